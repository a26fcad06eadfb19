// The module of a study: loaded, and what it exports checked.
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { TuneError, type StudyDefinition } from "@nabla/tune";

/** The module's URL and the study it exports; throws TuneError for one that cannot be loaded or exports none. */
export async function definitionOf(file: string): Promise<{ readonly module: string; readonly definition: StudyDefinition<unknown> }> {
  const module = pathToFileURL(resolve(file)).href;
  let loaded: { readonly default?: StudyDefinition<unknown> };
  try {
    loaded = (await import(module)) as typeof loaded;
  } catch (error) {
    throw new TuneError(`${file} cannot be loaded: ${(error as Error).message}`, { cause: error });
  }
  if (typeof loaded.default?.objective !== "function") throw new TuneError(`${file} exports no study; write \`export default defineStudy({ objective: (trial) => … })\`.`);
  return { module, definition: loaded.default };
}
