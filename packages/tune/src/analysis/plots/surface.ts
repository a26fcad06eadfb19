// A smooth surface through scattered values, and the regions where it is above a level (marching squares).
// Works in the unit square of the plot, so that log scales are smoothed in the logarithm.

export interface Surface {
  readonly columns: number;
  readonly rows: number;
  /** Row-major node values; node (i, j) stands at (i / (columns − 1), j / (rows − 1)). At least two by two. */
  readonly values: Float64Array;
}

export interface ScatteredPoint {
  readonly x: number;
  readonly y: number;
  readonly value: number;
}

/** More would blur fine structure that so many points can show. */
const MOST_NEIGHBOURS = 200;

/** Local linear regression with tricube weights of the nearest points (Cleveland 1979), at every node; with one column or row, constant across. */
export function smoothSurface(points: readonly ScatteredPoint[], columns: number, rows: number): Surface {
  const values = new Float64Array(columns * rows);
  const neighbours = Math.min(points.length, MOST_NEIGHBOURS, Math.max(8, Math.ceil(points.length / 8)));
  const squared = new Float64Array(points.length);
  const selected = new Float64Array(points.length);
  for (let j = 0; j < rows; j++)
    for (let i = 0; i < columns; i++) {
      const [x, y] = [columns === 1 ? 0 : i / (columns - 1), rows === 1 ? 0 : j / (rows - 1)];
      for (const [k, point] of points.entries()) squared[k] = (point.x - x) ** 2 + (point.y - y) ** 2;
      selected.set(squared);
      const reach = 1.1 * Math.sqrt(select(selected, neighbours - 1)) + 1e-9;
      values[j * columns + i] = localLinear(points, squared, x, y, reach);
    }
  const wide = Math.max(2, columns), high = Math.max(2, rows);
  return { columns: wide, rows: high, values: Float64Array.from({ length: wide * high }, (_, node) => values[Math.min(rows - 1, Math.floor(node / wide)) * columns + Math.min(columns - 1, node % wide)]!) };
}

/** The k-th smallest value, from 0; reorders `values` (Hoare 1961). */
function select(values: Float64Array, k: number): number {
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = values[(low + high) >> 1]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i]! < pivot) i++;
      while (values[j]! > pivot) j--;
      if (i > j) break;
      const swap = values[i]!;
      values[i++] = values[j]!;
      values[j--] = swap;
    }
    if (k <= j) high = j;
    else if (k >= i) low = i;
    else return values[k]!;
  }
  return values[k]!;
}

/** Weighted least squares of value ≈ a + b dx + c dy; returns a. A small ridge keeps lines of points solvable. */
function localLinear(points: readonly ScatteredPoint[], squared: Float64Array, x: number, y: number, reach: number): number {
  let [w, wx, wy, wxx, wxy, wyy, wz, wxz, wyz] = [0, 0, 0, 0, 0, 0, 0, 0, 0];
  for (const [k, point] of points.entries()) {
    if (squared[k]! >= reach * reach) continue;
    const u = Math.sqrt(squared[k]!) / reach;
    const weight = (1 - u ** 3) ** 3;
    const [dx, dy] = [point.x - x, point.y - y];
    w += weight;
    wx += weight * dx;
    wy += weight * dy;
    wxx += weight * dx * dx;
    wxy += weight * dx * dy;
    wyy += weight * dy * dy;
    wz += weight * point.value;
    wxz += weight * dx * point.value;
    wyz += weight * dy * point.value;
  }
  const ridge = 0.02 * w * reach * reach;
  const [mx, my, mz] = [wx / w, wy / w, wz / w];
  const [sxx, sxy, syy] = [wxx - w * mx * mx + ridge, wxy - w * mx * my, wyy - w * my * my + ridge];
  const [sxz, syz] = [wxz - w * mx * mz, wyz - w * my * mz];
  const determinant = sxx * syy - sxy * sxy;
  return mz - ((syy * sxz - sxy * syz) * mx + (sxx * syz - sxy * sxz) * my) / determinant;
}

/** Polygons that cover where the surface is ≥ level, in unit coordinates; full cells of a row are joined. */
export function regionsAbove({ columns, rows, values }: Surface, level: number): [number, number][][] {
  const polygons: [number, number][][] = [];
  const at = (i: number, j: number): [number, number] => [i / (columns - 1), j / (rows - 1)];
  for (let j = 0; j + 1 < rows; j++) {
    let runStart = -1;
    const closeRun = (end: number): void => {
      if (runStart >= 0) polygons.push([at(runStart, j), at(end, j), at(end, j + 1), at(runStart, j + 1)]);
      runStart = -1;
    };
    for (let i = 0; i + 1 < columns; i++) {
      const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]] as const;
      const heights = corners.map(([a, b]) => values[b * columns + a]! - level);
      if (heights.every((height) => height >= 0)) {
        if (runStart < 0) runStart = i;
        continue;
      }
      closeRun(i);
      const polygon: [number, number][] = [];
      for (let k = 0; k < 4; k++) {
        const [here, next] = [heights[k]!, heights[(k + 1) % 4]!];
        const [from, to] = [at(...corners[k]!), at(...corners[(k + 1) % 4]!)];
        if (here >= 0) polygon.push(from);
        if (here >= 0 !== next >= 0) {
          const t = here / (here - next);
          polygon.push([from[0] + t * (to[0] - from[0]), from[1] + t * (to[1] - from[1])]);
        }
      }
      if (polygon.length > 2) polygons.push(polygon);
    }
    closeRun(columns - 1);
  }
  return polygons;
}
