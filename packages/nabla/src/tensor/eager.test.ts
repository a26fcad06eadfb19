// Eager programs are shared by graphs of one structure: whatever differs between two graphs must differ in their results.
import fc from "fast-check";
import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import type { Device, Executable, Program } from "../devices/device.ts";
import { ReferenceDevice } from "../devices/reference/device.ts";
import { WasmDevice } from "../devices/wasm/device.ts";
import { arange, full, tensor } from "./creation.ts";
import { setDefaultDevice } from "./storage.ts";
import type { Tensor } from "./tensor.ts";

class CountingDevice extends ReferenceDevice {
  compiled = 0;

  override compile(program: Program): Executable {
    this.compiled++;
    return super.compile(program);
  }
}

/** What `body` returns with `device` as the default one, which is disposed of. */
async function on<D extends Device, T>(device: D, body: (device: D) => T): Promise<T> {
  const previous = setDefaultDevice(device);
  try {
    return body(device);
  } finally {
    setDefaultDevice(previous);
    await device.dispose();
  }
}

test("a constant that changes is compiled twice: as itself, and as an argument", async () => {
  await on(new CountingDevice(), (device) => {
    const x = tensor([1, 2, 3]);
    for (let factor = 2; factor < 50; factor++) expect(x.mul(factor + 0.25).add(3).toArray()).toEqual([1, 2, 3].map((value) => value * (factor + 0.25) + 3));
    expect(device.compiled).toBe(2);
    expect(x.mul(2.25).add(4).toArray()).toEqual([6.25, 8.5, 10.75]);
    expect(device.compiled).toBe(3);
    expect(x.mul(7).add(5).toArray()).toEqual([12, 19, 26]);
    expect(device.compiled).toBe(3);
  });
});

test("what simplifies with a value is compiled for the value", async () => {
  await on(new CountingDevice(), (device) => {
    const x = tensor([4, 9]);
    expect(x.mul(3).toArray()).toEqual([12, 27]);
    expect(x.mul(1).toArray()).toEqual([4, 9]);
    expect(x.mul(0).toArray()).toEqual([0, 0]);
    expect(x.pow(0.5).toArray()).toEqual([2, 3]);
    expect(x.pow(3).toArray()).toEqual([64, 729]);
    expect(device.compiled).toBe(5);
  });
});

/** Operations of x and a number. */
const operations: Record<string, (x: Tensor, c: number) => Tensor> = {
  add: (x, c) => x.add(c), sub: (x, c) => x.sub(c), mul: (x, c) => x.mul(c), div: (x, c) => x.div(c), pow: (x, c) => x.pow(c), mod: (x, c) => x.mod(c),
  maximum: (x, c) => x.maximum(c), less: (x, c) => x.less(c), clip: (x, c) => x.clip(c - 1, c), "mul add": (x, c) => x.mul(c).add(c / 3),
  "x·(c·c) + x": (x, c) => full([5], c).mul(c / 7).mul(x).add(x), "c + c of integers": (x, c) => full([5], Math.round(c), "int32").add(Math.round(c)).mul(x),
  mean: (x, c) => x.mul(c).mean(), "matmul epilogue": (x, c) => x.reshape([1, 5]).matmul(arange(15).reshape([5, 3])).mul(c).sub(c),
};

test.each(Object.entries(operations))("%s: the same bits whether a number is compiled in or an argument", async (_, operation) => {
  const values = [2.5, -0.1, 3, 1e-3, 7.25, 2];
  const results = async (used: readonly number[]): Promise<unknown> =>
    on(new WasmDevice({ threads: 1 }), () => {
      const x = tensor([0.3, -1.7, 2.2, 5, 0]);
      return used.map((value) => operation(x, value).dataSync()).at(-1);
    });
  for (const [index, value] of values.entries()) expect(await results(values.slice(0, index + 1))).toEqual(await results([value]));
});

onEveryDevice("structure", () => {
  test("graphs that differ in anything do not share a program", () => {
    const x = tensor([1, 2, 3, 4]);
    const y = tensor([5, 6, 7, 8]);
    // Of float32 and float64, of one shape or another, of leaves once or twice, of parameters and of outputs.
    const [column] = x.reshape([4, 1]).split([4]) as [Tensor];
    expect(x.add(y).toArray()).toEqual([6, 8, 10, 12]);
    expect(x.add(x).toArray()).toEqual([2, 4, 6, 8]);
    expect(x.double().add(0.1).toArray()).toEqual([1.1, 2.1, 3.1, 4.1]);
    expect(x.add(0.5).toArray()).toEqual([1.5, 2.5, 3.5, 4.5]);
    expect(x.sub(y).sub(x).toArray()).toEqual([-5, -6, -7, -8]);
    expect(x.sub(y.sub(x)).toArray()).toEqual([-3, -2, -1, 0]);
    expect(column.add(y).shape).toEqual([4, 4]);
    expect(x.reshape([2, 2]).sum(0).toArray()).toEqual([4, 6]);
    expect(x.reshape([2, 2]).sum(1).toArray()).toEqual([3, 7]);
    expect(x.slice([1, 3]).toArray()).toEqual([2, 3]);
    expect(x.slice([0, 2]).toArray()).toEqual([1, 2]);
  });

  test("numbers of every size keep apart", () => {
    const x = tensor([1], { dtype: "float64" });
    fc.assert(fc.property(fc.double({ noNaN: true }), fc.double({ noNaN: true }), (a, b) => {
      expect(x.mul(a).item()).toBe(a);
      expect(x.mul(b).item()).toBe(b);
      expect(x.sub(a).item()).toBe(1 - a);
    }), { numRuns: 60 });
  });
});
