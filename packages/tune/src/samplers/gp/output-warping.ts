// Monotone maps of the objective that make it look like a draw from a Gaussian process: real losses have long tails, and
// a model of their logarithm sees the valley instead of the cliffs.

/** One map with its logarithmic derivative. */
export interface OutputWarp {
  readonly name: string;
  apply(y: number): number;
  /** log of the derivative: the term that makes likelihoods of different maps comparable. */
  logSlope(y: number): number;
}

const identity: OutputWarp = { name: "identity", apply: (y) => y, logSlope: () => 0 };

/** log(y − best + c): c relative to the distance from the best to the median says how deep the logarithm looks. */
function logarithm(best: number, c: number, name: string): OutputWarp {
  return { name, apply: (y) => Math.log(Math.max(y - best, 0) + c), logSlope: (y) => -Math.log(Math.max(y - best, 0) + c) };
}

/** Yeo & Johnson (2000) with parameter λ of (y − centre) / width. */
function yeoJohnson(centre: number, width: number, lambda: number): OutputWarp {
  const standard = (y: number): number => (y - centre) / width;
  return {
    name: `yeo-johnson ${lambda}`,
    apply: (y) => {
      const t = standard(y);
      if (t >= 0) return lambda === 0 ? Math.log1p(t) : ((1 + t) ** lambda - 1) / lambda;
      return lambda === 2 ? -Math.log1p(-t) : -((1 - t) ** (2 - lambda) - 1) / (2 - lambda);
    },
    logSlope: (y) => {
      const t = standard(y);
      return (t >= 0 ? (lambda - 1) * Math.log1p(t) : (1 - lambda) * Math.log1p(-t)) - Math.log(width);
    },
  };
}

/** Linear up to the median, a power or logarithm beyond: volumes between good points keep their proportions. */
function tail(centre: number, width: number, lambda: number): OutputWarp {
  const beyond = yeoJohnson(centre, width, lambda);
  return {
    name: `tail ${lambda}`,
    apply: (y) => (y > centre ? beyond.apply(y) : (y - centre) / width),
    logSlope: (y) => (y > centre ? beyond.logSlope(y) : -Math.log(width)),
  };
}

/** Gives the maps worth trying on some losses. */
export type WarpFamily = (losses: Float64Array) => OutputWarp[];

/** For one objective, of which only the order counts: maps that look closely at the best values. */
export const outputWarps: WarpFamily = (losses) => {
  const { best, median, spread } = summary(losses);
  const depth = median - best;
  if (!(depth > 0) || !(spread > 0)) return [identity];
  return [
    identity,
    ...[1, 0.1, 0.01].map((c) => logarithm(best, c * depth, `log ${c}`)),
    ...[0.5, 0, -1].map((lambda) => yeoJohnson(median, spread, lambda)),
  ];
};

/** For one of several objectives, whose differences count in hypervolumes: maps that leave the better half as it is. */
export const tailWarps: WarpFamily = (losses) => {
  const { median, spread } = summary(losses);
  return spread > 0 ? [identity, ...[0.5, 0].map((lambda) => tail(median, spread, lambda))] : [identity];
};

function summary(losses: Float64Array): { best: number; median: number; spread: number } {
  const sorted = losses.toSorted();
  const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
  return { best: sorted[0]!, median: at(0.5), spread: at(0.75) - at(0.25) };
}

/** Losses under a map, shifted and scaled to mean 0 and variance 1, and the log Jacobian of the whole. */
export function warped(losses: Float64Array, warp: OutputWarp): { y: Float64Array; logJacobian: number } {
  const y = losses.map((loss) => warp.apply(loss));
  const n = y.length;
  const mean = y.reduce((a, b) => a + b, 0) / n;
  const deviation = Math.sqrt(y.reduce((a, b) => a + (b - mean) ** 2, 0) / n) || 1;
  let logJacobian = -n * Math.log(deviation);
  for (const loss of losses) logJacobian += warp.logSlope(loss);
  return { y: y.map((v) => (v - mean) / deviation), logJacobian };
}
