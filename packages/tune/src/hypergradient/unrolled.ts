// Hypergradients through the unrolled training: reverse mode with √T checkpointing, and forward mode.
// Domke 2012; Maclaurin 2015; Franceschi 2017 (equations 13 and 15); truncation: Shaban 2019.
import { HypergradientError } from "../errors/errors.ts";
import { requireFinite, type Hypergradient, type OuterObjective, type Spaces, type TrainingStep } from "./bilevel.ts";

/** A training run of `steps` steps from `initial`, judged by `outer`. */
export interface UnrolledProblem<W, H> {
  /** Where weights and hyper-parameters live. */
  spaces: Spaces<W, H>;
  /** The steps of the training. */
  training: TrainingStep<W, H>;
  /** The validation loss. */
  outer: OuterObjective<W, H>;
  /** w_0; taken as independent of λ. */
  initial: W;
  /** T. */
  steps: number;
}

/** How much of the training is kept in memory. */
export interface ReverseOptions {
  /** Steps between stored weights; default ⌈√T⌉, 1 stores every state. */
  checkpointEvery?: number;
  /** Go back only through the last K steps (Shaban 2019); default all. K = 1 is T1–T2 (Luketina 2016). */
  truncate?: number;
}

/** A hypergradient and what it cost. */
export interface ReverseResult<W, H> extends Hypergradient<W, H> {
  /** Most weight states held at one time: ≤ 2 ⌈√T⌉ + 1 by default. */
  peakStates: number;
  /** Training steps computed, with those computed again: < 2 T. */
  stepsRun: number;
}

/** dL_V/dλ by reverse mode: O(√T · P) memory and one extra forward pass, for any number of hyper-parameters. */
export async function reverseHypergradient<W, H>(
  problem: UnrolledProblem<W, H>,
  hyper: H,
  options: ReverseOptions = {},
): Promise<ReverseResult<W, H>> {
  const { spaces, training, outer, steps } = problem;
  requireCount(steps, "steps");
  const every = options.checkpointEvery ?? Math.max(1, Math.ceil(Math.sqrt(steps)));
  requireCount(every, "checkpointEvery", 1);
  const depth = Math.min(steps, options.truncate ?? steps);
  requireCount(depth, "truncate");
  const first = steps - depth; // the reverse sweep ends here

  const stored = new Map<number, W>();
  let stepsRun = 0;
  let weights = problem.initial;
  for (let t = 0; t < steps; t++) {
    if (t >= first && (t - first) % every === 0) stored.set(t, weights);
    weights = await training.step(weights, hyper, t);
    stepsRun++;
  }
  const value = requireFinite(await outer.value(weights, hyper), `The outer loss after ${steps} steps`);
  let { weights: adjoint, hyper: gradient } = await outer.gradient(weights, hyper);

  let peakStates = stored.size + 1;
  for (let end = steps; end > first; ) {
    const start = end - 1 - ((end - 1 - first) % every);
    const segment: W[] = [stored.get(start)!];
    stored.delete(start);
    for (let t = start; t + 1 < end; t++) {
      segment.push(await training.step(segment[t - start]!, hyper, t));
      stepsRun++;
    }
    peakStates = Math.max(peakStates, stored.size + segment.length + 1);
    for (let t = end - 1; t >= start; t--) {
      const back = await training.vjp(segment.pop()!, hyper, t, adjoint);
      gradient = spaces.hyper.addScaled(gradient, 1, back.hyper);
      adjoint = back.weights;
    }
    end = start;
  }
  return { value, gradient, weights, peakStates, stepsRun };
}

/** dL_V/dλ by forward mode: O(H · P) memory whatever T, time × (1 + H); for a handful of hyper-parameters. */
export async function forwardHypergradient<W, H>(
  problem: UnrolledProblem<W, H>,
  hyper: H,
): Promise<Hypergradient<W, H>> {
  const { spaces, training, outer, steps } = problem;
  requireCount(steps, "steps");
  const axes = spaces.hyper.basis(hyper);
  let tangents = axes.map(() => spaces.weights.zeros(problem.initial)); // the columns of Z_t = dw_t/dλ
  let weights = problem.initial;
  for (let t = 0; t < steps; t++) {
    const moved: W[] = [];
    for (const [i, axis] of axes.entries()) moved.push(await training.jvp(weights, hyper, t, tangents[i]!, axis));
    tangents = moved; // Z_{t+1} = A_t Z_t + B_t
    weights = await training.step(weights, hyper, t);
  }
  const value = requireFinite(await outer.value(weights, hyper), `The outer loss after ${steps} steps`);
  const direct = await outer.gradient(weights, hyper);
  let gradient = direct.hyper;
  for (const [i, axis] of axes.entries())
    gradient = spaces.hyper.addScaled(gradient, await spaces.weights.dot(direct.weights, tangents[i]!), axis);
  return { value, gradient, weights };
}

function requireCount(count: number, name: string, least = 0): void {
  if (!Number.isInteger(count) || count < least)
    throw new HypergradientError(`${name} is ${count}; give an integer ≥ ${least}.`);
}
