// The browser's side of "#platform": the same functions, which say what a browser lacks.
import { StorageError, TuneError } from "../study/errors.ts";
import type * as node from "./node.ts";

export const openOutside: typeof node.openOutside = (scheme) => {
  if (!["journal", "sqlite", "postgres", "postgresql"].includes(scheme)) return Promise.resolve(null);
  return Promise.reject(new StorageError(`${scheme}: needs Node; in a browser a study is kept in memory:, or in a Storage of your own.`));
};

export const threadExecutor: typeof node.threadExecutor = () => {
  throw new TuneError("threadExecutor needs Node; in a browser call study.optimize, whose evaluations overlap with `workers`.");
};

export const processExecutor: typeof node.processExecutor = () => {
  throw new TuneError("processExecutor needs Node; in a browser call study.optimize, whose evaluations overlap with `workers`.");
};
