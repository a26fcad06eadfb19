// Executors where there is no Node: a study in a browser evaluates in its page.
import { TuneError } from "../errors/errors.ts";
import type * as workers from "./workers.ts";

export const threadExecutor: typeof workers.threadExecutor = () => refuse("threadExecutor");
export const processExecutor: typeof workers.processExecutor = () => refuse("processExecutor");

function refuse(name: string): never {
  throw new TuneError(`${name} needs Node; in a browser call study.optimize, whose evaluations overlap with \`workers\`.`);
}
