// A row of the engine bench.
import type { Request } from "./peers/protocol.ts";

export interface Row {
  readonly name: string;
  readonly request: Request;
  readonly threads: number;
  /** Turns the median seconds of a call into the figure shown. */
  readonly figure: (seconds: number) => number;
  readonly unit: string;
}
