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

/** The maps worth trying on these losses. */
export function outputWarps(losses: Float64Array): OutputWarp[] {
  const sorted = losses.toSorted();
  const at = (q: number): number => sorted[Math.min(sorted.length - 1, Math.floor(q * sorted.length))]!;
  const best = sorted[0]!, median = at(0.5), spread = at(0.75) - at(0.25);
  const depth = median - best;
  if (!(depth > 0) || !(spread > 0)) return [identity];
  return [
    identity,
    ...[1, 0.1, 0.01].map((c) => logarithm(best, c * depth, `log ${c}`)),
    ...[0.5, 0, -1].map((lambda) => yeoJohnson(median, spread, lambda)),
  ];
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
