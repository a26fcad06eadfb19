// The standard normal distribution: density, distribution function, quantile, and the logarithm of expected improvement,
// each accurate far into the tails, because acquisition functions live there.

export const LOG_SQRT_2PI: number = 0.5 * Math.log(2 * Math.PI);

/** Distribution function Φ(x), absolute error about 1e-15 and relative error about 1e-14 in the left tail (Hart 1968, algorithm 5666). */
export function normalCdf(x: number): number {
  const a = Math.abs(x);
  let tail: number;
  if (a > 39) tail = 0;
  else {
    const e = Math.exp(-0.5 * a * a);
    if (a < 7.07106781186547) {
      const p = (((((0.0352624965998911 * a + 0.700383064443688) * a + 6.37396220353165) * a + 33.912866078383) * a
        + 112.079291497871) * a + 221.213596169931) * a + 220.206867912376;
      const q = ((((((0.0883883476483184 * a + 1.75566716318264) * a + 16.064177579207) * a + 86.7807322029461) * a
        + 296.564248779674) * a + 637.333633378831) * a + 793.826512519948) * a + 440.413735824752;
      tail = e * p / q;
    } else {
      let fraction = a;
      for (let k = 14; k > 0; k--) fraction = a + k / fraction; // Laplace's continued fraction
      tail = e / (fraction * 2.5066282746310002);
    }
  }
  return x > 0 ? 1 - tail : tail;
}

/** Quantile Φ⁻¹(p) for 0 < p < 1; ±∞ at the ends (Wichura 1988, AS 241 PPND16). */
export function normalQuantile(p: number): number {
  if (p <= 0) return -Infinity;
  if (p >= 1) return Infinity;
  const q = p - 0.5;
  if (Math.abs(q) <= 0.425) {
    const r = 0.180625 - q * q;
    return q * (((((((2509.0809287301227 * r + 33430.57558358813) * r + 67265.7709270087) * r
      + 45921.95393154987) * r + 13731.69376550946) * r + 1971.5909503065513) * r + 133.14166789178438) * r
      + 3.3871328727963665)
      / (((((((5226.495278852546 * r + 28729.085735721943) * r + 39307.89580009271) * r
      + 21213.794301586597) * r + 5394.196021424751) * r + 687.1870074920579) * r + 42.31333070160091) * r + 1);
  }
  let r = Math.sqrt(-Math.log(q < 0 ? p : 1 - p));
  let z: number;
  if (r <= 5) {
    r -= 1.6;
    z = (((((((0.0007745450142783414 * r + 0.022723844989269184) * r + 0.2417807251774506) * r
      + 1.2704582524523684) * r + 3.6478483247632045) * r + 5.769497221460691) * r + 4.630337846156546) * r
      + 1.4234371107496835)
      / (((((((1.0507500716444169e-9 * r + 0.0005475938084995345) * r + 0.015198666563616457) * r
      + 0.14810397642748008) * r + 0.6897673349851) * r + 1.6763848301838038) * r + 2.053191626637759) * r + 1);
  } else {
    r -= 5;
    z = (((((((2.0103343992922881e-7 * r + 2.7115555687434876e-5) * r + 0.0012426609473880784) * r
      + 0.026532189526576124) * r + 0.29656057182850487) * r + 1.7848265399172913) * r + 5.463784911164114) * r
      + 6.657904643501103)
      / (((((((2.0442631033899397e-15 * r + 1.421511758316446e-7) * r + 1.8463183175100548e-5) * r
      + 0.0007868691311456133) * r + 0.014875361290850615) * r + 0.1369298809227358) * r + 0.599832206555888) * r + 1);
  }
  return q < 0 ? -z : z;
}

/** log(φ(z) + z·Φ(z)) and its derivative: the logarithm of expected improvement for unit deviation (Ament et al. 2023, LogEI). */
export function logExpectedImprovement(z: number): { value: number; derivative: number } {
  if (z > -20) {
    const cdf = normalCdf(z);
    const h = Math.exp(-0.5 * z * z - LOG_SQRT_2PI) + z * cdf;
    return { value: Math.log(h), derivative: cdf / h };
  }
  // Mills' ratio as an asymptotic series: below −20 four terms are exact to double precision.
  const u = 1 / (z * z);
  const series = 1 - 3 * u * (1 - 5 * u * (1 - 7 * u));
  return {
    value: -0.5 * z * z - LOG_SQRT_2PI + Math.log(u * series),
    derivative: -z * (1 - u * (1 - 3 * u * (1 - 5 * u))) / series,
  };
}

/** A draw from N(mean, deviation²) truncated to [low, high], as the quantile of the uniform number u. */
export function truncatedNormal(mean: number, deviation: number, low: number, high: number, u: number): number {
  const a = normalCdf((low - mean) / deviation);
  const b = normalCdf((high - mean) / deviation);
  const x = mean + deviation * normalQuantile(a + u * (b - a));
  return x < low ? low : x > high ? high : x;
}
