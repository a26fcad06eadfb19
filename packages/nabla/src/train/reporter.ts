// Who shows progress when nobody else does: Node's entry installs a terminal bar, elsewhere it is a line an epoch on the console.
// A reporter is made anew for each training.
import { epochLine } from "./epoch-line.ts";
import type { Progress } from "./epochs.ts";

export interface Reporter {
  show(progress: Progress): void;
  /** Training is over, or has failed. */
  end(): void;
}

let make: () => Reporter = consoleReporter;

export function installReporter(factory: () => Reporter): void {
  make = factory;
}

export function defaultReporter(): Reporter {
  return make();
}

function consoleReporter(): Reporter {
  return {
    show(progress) {
      if (progress.ended !== undefined) console.log(epochLine(progress, Infinity));
    },
    end: () => undefined,
  };
}
