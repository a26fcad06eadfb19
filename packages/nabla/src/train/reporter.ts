// Who shows progress when nobody else does: Node's entry installs a terminal bar, elsewhere nothing is shown.
// A reporter is made anew for each training.
import type { Progress } from "./epochs.ts";

export interface Reporter {
  show(progress: Progress): void;
  /** Training is over, or has failed. */
  end(): void;
}

let make: (() => Reporter) | undefined;

export function installReporter(factory: () => Reporter): void {
  make = factory;
}

export function defaultReporter(): Reporter | undefined {
  return make?.();
}
