import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import { key } from "../random/index.ts";
import { type Dataset, dataset } from "./dataset.ts";
import { type LoaderOptions, release } from "./loader.ts";

/** Samples 0 to count − 1, each a row [i, i + 0.5] and the label i. */
function numbered(count: number): Dataset<"x" | "y"> {
  return dataset({
    x: { data: Float32Array.from({ length: 2 * count }, (_, i) => i / 2), shape: [2] },
    y: { data: Int32Array.from({ length: count }, (_, i) => i), shape: [] },
  });
}

/** The labels of one epoch, batch by batch. */
function labels(set: Dataset<"x" | "y">, options: LoaderOptions, epoch = 0): number[][] {
  const loader = set.loader(options);
  loader.epoch = epoch;
  return [...loader.batches()].map(({ y }) => y.toArray() as number[]);
}

describe("Dataset", () => {
  test("refuses columns that are no set, and says why", () => {
    const y = { data: new Int32Array(3), shape: [] };
    expect(() => dataset({})).toThrow("A data set without columns.");
    expect(() => dataset({ x: { data: new Float32Array(4), shape: [2] }, y })).toThrow(/Column "x" has 2 samples, "y" has 3/);
    expect(() => dataset({ x: { data: new Float32Array(5), shape: [2] } })).toThrow(ShapeError);
    expect(() => dataset({ x: { data: new Float32Array(5), shape: [0] } })).toThrow(ShapeError);
    expect(() => dataset({ x: { data: new Float32Array(0), shape: [2] } })).toThrow("The data set is empty.");
    for (const column of [{ data: [1, 2], shape: [] }, undefined, {}]) expect(() => dataset({ x: column as never })).toThrow(DTypeError);
    for (const shape of [[-2], [-2, -1], [0.5], [NaN]]) expect(() => dataset({ x: { data: new Float32Array(4), shape } })).toThrow('Column "x" does not say what shape');
    expect(() => dataset({ x: { data: new Float32Array(2) } as never })).toThrow('Column "x" does not say what shape a sample has.');
  });

  test.each([NaN, Infinity, -Infinity])("%s is named with its sample and position", (bad) => {
    const data = new Float64Array(12);
    data[10] = bad;
    expect(() => dataset({ x: { data, shape: [2, 2] } })).toThrow(`Column "x" holds ${bad} in sample 2, position 2.`);
  });

  test("slices share the data and refuse bad bounds", () => {
    const set = numbered(10);
    const part = set.slice(3, 7).slice(1);
    expect(part.length).toBe(3);
    expect([...part.columns.y.data]).toEqual([4, 5, 6]);
    expect([...part.columns.x.data.subarray(0, 2)]).toEqual([4, 4.5]);
    expect(part.columns.x.data.buffer).toBe(set.columns.x.data.buffer);
    for (const [begin, end] of [[-1, 2], [2, 2], [3, 1], [0, 11], [0.5, 2], [NaN, 2]] as const) expect(() => set.slice(begin, end)).toThrow(ValueError);
  });

  test("loaders refuse bad options", () => {
    for (const batchSize of [0, -1, 1.5, NaN]) expect(() => numbered(3).loader({ batchSize })).toThrow(ValueError);
    expect(() => numbered(3).loader({ batchSize: 4, dropLast: true })).toThrow(/3 samples do not fill a batch of 4/);
    expect(numbered(3).loader({ batchSize: 4 }).length).toBe(1);
  });
});

onEveryDevice("batches", () => {
  test("keep dtypes and shapes", () => {
    const set = dataset({
      a: { data: new Float64Array(6), shape: [3] },
      b: { data: Uint8Array.of(7, 8), shape: [1, 1] },
      c: { data: Int32Array.of(1, 2), shape: [] },
    });
    const { a, b, c } = set.batch([1, 0, 1]);
    expect([a.dtype, b.dtype, c.dtype]).toEqual(["float64", "uint8", "int32"]);
    expect([a.shape, b.shape, c.shape]).toEqual([[3, 3], [3, 1, 1], [3]]);
    expect(b.toArray()).toEqual([[[8]], [[7]], [[8]]]);
  });

  test("refuse rows that are not there", () => {
    for (const row of [-1, 3, 0.5, NaN]) expect(() => numbered(3).batch([0, row])).toThrow(`The data set has no sample ${row}.`);
  });

  test("a transform makes what it likes of a batch's values, but keeps its rows", () => {
    const bytes = { data: Uint8Array.from({ length: 256 }, (_, byte) => byte), shape: [2] };
    const set = dataset({ x: { ...bytes, transform: (x) => x.float().sub(33).div(77) }, y: { ...bytes, transform: (x) => x.sum(1) } });
    const wanted = (row: number): number[] => [2 * row, 2 * row + 1].map((byte) => expect.closeTo((byte - 33) / 77, 6) as number);
    const [first] = set.slice(2).loader({ batchSize: 3 }).batches();
    for (const [{ x, y }, rows] of [[set.batch([3, 0]), [3, 0]], [first!, [2, 3, 4]]] as const) {
      expect(x.toArray()).toEqual(rows.map(wanted));
      expect(y.toArray()).toEqual(rows.map((row) => 4 * row + 1));
    }
    const flat = dataset({ x: { ...bytes, transform: (x) => x.flatten() } });
    expect(() => flat.batch([0, 1])).toThrow(/The transform of column "x" made \[4\] of \[2, 2\]\. Keep the first axis/);
    expect(() => [...flat.loader({ batchSize: 2 }).batches()]).toThrow(ShapeError);
  });

  test("come in order without shuffling, the last one short or left out", () => {
    expect(labels(numbered(5), { batchSize: 2 })).toEqual([[0, 1], [2, 3], [4]]);
    expect(labels(numbered(5), { batchSize: 2, dropLast: true })).toEqual([[0, 1], [2, 3]]);
  });

  test("rows stay together when shuffled", () => {
    for (const { x, y } of numbered(9).loader({ batchSize: 4, shuffle: true }).batches()) {
      expect((x.toArray() as number[][]).map((row) => row[0])).toEqual(y.toArray());
    }
  });

  test("async iteration gives the same batches and walks on by epochs", async () => {
    const options = { batchSize: 3, shuffle: true, seed: 5 };
    const loader = numbered(7).loader(options);
    for (const epoch of [0, 1]) {
      const seen: unknown[] = [];
      for await (const { y } of loader) seen.push(y.toArray());
      expect(seen).toEqual(labels(numbered(7), options, epoch));
    }
    expect(loader.epoch).toBe(2);
  });
});

onEveryDevice("a loader", () => {
  test("keeps a small set on the device, gives it back, and takes it again", () => {
    const loader = numbered(9).loader({ batchSize: 4 });
    expect([...loader.batches()][0]!.x.toArray()).toEqual([[0, 0.5], [1, 1.5], [2, 2.5], [3, 3.5]]);
    loader.dispose();
    expect([...loader.batches()].at(-1)!.y.toArray()).toEqual([8]);
    loader.dispose();
  });

  test("copies the batches of a set that is too large for that", () => {
    const sample = 2 ** 22;
    const data = new Uint8Array(130 * sample);
    for (let row = 0; row < 130; row++) data[row * sample + 1] = row;
    const set = dataset({ x: { data, shape: [sample], transform: (x) => x.slice(null, [0, 2]).float().mul(2) }, y: { data: Int32Array.from({ length: 130 }, (_, row) => row), shape: [] } });
    const loader = set.loader({ batchSize: 2, shuffle: true });
    for (const batch of loader.batches(63)) {
      expect(batch.x.toArray()).toEqual((batch.y.toArray() as number[]).map((row) => [0, 2 * row]));
      release(batch);
    }
  });

  test("starts where it is told, on the epoch's order", () => {
    const options = { batchSize: 3, shuffle: true, seed: 4 };
    const all = labels(numbered(11), options, 2);
    const loader = numbered(11).loader(options);
    loader.epoch = 2;
    expect([...loader.batches(2)].map(({ y }) => y.toArray())).toEqual(all.slice(2));
  });
});

onEveryDevice("shuffling", () => {
  test("covers every sample once, for any size, batch and seed", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 12 }), fc.nat(), (count, batchSize, seed) => {
      const batches = labels(numbered(count), { batchSize, shuffle: true, seed });
      expect(batches.length).toBe(Math.ceil(count / batchSize));
      expect(batches.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
    }), { numRuns: 25 });
  });

  test("differs from epoch to epoch and seed to seed, and repeats with both", () => {
    const options = { batchSize: 10, shuffle: true, seed: 1 };
    const set = numbered(30);
    expect(labels(set, options, 0)).not.toEqual(labels(set, options, 1));
    expect(labels(set, options)).not.toEqual(labels(set, { ...options, seed: 2 }));
    expect(labels(set, options, 3)).toEqual(labels(set, { ...options, seed: key(1) }, 3));
  });
});
