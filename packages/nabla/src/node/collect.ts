// Garbage collection on demand in Node: V8's own function, and an end to what weak references keep until the current turn is over.
// A loop that never awaits has no other way to find out what it dropped.
import { setFlagsFromString } from "node:v8";
import { createContext, runInContext, Script } from "node:vm";

/** Collects all garbage before it returns; undefined where the runtime does not offer it (Bun, Deno). */
export function nodeCollector(): (() => void) | undefined {
  if (process.versions["bun"] !== undefined || process.versions["deno"] !== undefined) return undefined;
  let collect: (() => void) | undefined;
  return () => (collect ??= makeCollector())();
}

function makeCollector(): () => void {
  // A context with a queue of microtasks of its own: whenever it has run something, V8 forgets what this turn's weak references keep alive.
  const context = createContext({}, { microtaskMode: "afterEvaluate" });
  setFlagsFromString("--expose-gc");
  const gc = runInContext("gc", createContext({})) as () => void;
  setFlagsFromString("--no-expose-gc");
  const nothing = new Script("0");
  return () => {
    nothing.runInContext(context);
    gc();
  };
}
