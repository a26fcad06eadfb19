// How a peer is spoken to: one JSON request a line on stdin, one JSON answer a line on stdout.
// A peer says null for work it cannot do.
import { createInterface } from "node:readline";

/** One measurement a peer is asked for. */
export type Request =
  | { readonly work: "matmul"; readonly m: number; readonly n: number; readonly k: number; readonly transposeA?: boolean; readonly transposeB?: boolean }
  | { readonly work: "mlp"; readonly batch: number }
  | { readonly work: "tiny" }
  | { readonly work: "fma"; readonly rounds: number }
  | { readonly work: "elementwise"; readonly size: number }
  | { readonly work: "adam"; readonly size: number }
  /** One of ../kernels.ts. */
  | { readonly work: "kernel"; readonly name: string }
  /** An elementwise function of elementwise.ts. */
  | { readonly work: "function"; readonly name: string };

/** How long and on how many threads. */
export interface Conditions {
  readonly threads: number;
  readonly seconds: number;
}

/** Seconds of each call. */
export type Answer = { readonly times: readonly number[] | null; readonly error?: string };

/** Makes ready; returns one call of the work (undefined: not possible). A call ends when its result is there. */
export type Prepare = (request: Request & Conditions) => Promise<(() => Promise<void> | void) | undefined>;

const MOST_CALLS = 2000;

/** Serves requests until stdin ends. */
export async function serve(prepare: Prepare): Promise<void> {
  for await (const line of createInterface({ input: process.stdin })) {
    const request = JSON.parse(line) as Request & Conditions;
    let answer: Answer;
    try {
      const call = await prepare(request);
      answer = { times: call === undefined ? null : await time(call, request.seconds) };
    } catch (error) {
      answer = { times: null, error: error instanceof Error ? error.message : String(error) };
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  }
}

/** Calls shorter than this are timed several at once: the clock and the event loop cost about 0.3 µs. */
const SHORTEST_SAMPLE = 5e-5;

async function time(call: () => Promise<void> | void, seconds: number): Promise<number[]> {
  const sample = async (calls: number): Promise<number> => {
    const start = performance.now();
    for (let i = 0; i < calls; i++) {
      const pending = call();
      if (pending !== undefined) await pending;
    }
    return (performance.now() - start) / 1e3 / calls;
  };
  for (let i = 0; i < 3; i++) await sample(1);
  const calls = Math.min(100, Math.max(1, Math.ceil(SHORTEST_SAMPLE / (await sample(1)))));
  const times: number[] = [];
  const stop = performance.now() + seconds * 1e3;
  while (times.length < 3 || (performance.now() < stop && times.length < MOST_CALLS)) times.push(await sample(calls));
  return times;
}
