// What a training loop counts in passing: how fast it is, and the means of what it measures.
// Means are sums and counts, so that an epoch can be left and taken up again.
import type { Tensor } from "../tensor/tensor.ts";

/** Steps and samples a second of training, validation left out; nor does the first step count, which compiles, once there is a second. */
export class Pace {
  #steps = 0;
  #samples = 0;
  #seconds = 0;
  #last = 0;

  /** Steps follow. */
  start(): void {
    this.#last = performance.now();
  }

  add(samples: number): void {
    const now = performance.now();
    if (this.#steps === 1) this.#samples = this.#seconds = 0;
    this.#seconds += (now - this.#last) / 1e3;
    this.#last = now;
    this.#steps++;
    this.#samples += samples;
  }

  get stepsPerSecond(): number {
    return (this.#steps > 1 ? this.#steps - 1 : this.#steps) / Math.max(this.#seconds, 1e-9);
  }

  get samplesPerSecond(): number {
    return this.#samples / Math.max(this.#seconds, 1e-9);
  }
}

/** Means over an epoch, each batch weighted by its size. */
export class Means {
  readonly #sums: Map<string, number>;
  readonly #last = new Map<string, number>();
  #samples: number;

  constructor({ sums, samples }: { readonly sums: Readonly<Record<string, number>>; readonly samples: number }) {
    this.#sums = new Map(Object.entries(sums));
    this.#samples = samples;
  }

  async add(results: Readonly<Record<string, Tensor>>, samples: number): Promise<void> {
    for (const [name, tensor] of Object.entries(results)) {
      const value = (await tensor.data())[0]!;
      this.#last.set(name, value);
      this.#sums.set(name, (this.#sums.get(name) ?? 0) + value * samples);
    }
    this.#samples += samples;
  }

  last(name: string): number {
    return this.#last.get(name) ?? NaN;
  }

  values(): Record<string, number> {
    return Object.fromEntries([...this.#sums].map(([name, sum]) => [name, sum / this.#samples]));
  }

  /** What a new one goes on from. */
  totals(): { readonly sums: Record<string, number>; readonly samples: number } {
    return { sums: Object.fromEntries(this.#sums), samples: this.#samples };
  }
}
