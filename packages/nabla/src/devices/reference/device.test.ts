import { describe, expect, test } from "vitest";
import { add, exp, log, source } from "../../ops/build.ts";
import { LifetimeError, ValueError } from "../../errors/errors.ts";
import type { GraphNode } from "../../ops/graph.ts";
import type { Program } from "../device.ts";
import { ReferenceDevice } from "./device.ts";

/** A program of the graph alone; slots are as given. */
function program(inputs: readonly GraphNode[], outputs: readonly { readonly node: GraphNode; readonly slot: number }[], slots: number): Program {
  return { buffers: [], kernels: [], phases: [], arenaBytes: 0, slots, graph: { inputs: inputs.map((node, slot) => ({ node, slot })), outputs } };
}

const pair = (): GraphNode => source({ shape: [2], dtype: "float32" });

function floats(device: ReferenceDevice, values: readonly number[]): ReturnType<ReferenceDevice["allocate"]> {
  const buffer = device.allocate(values.length * 4);
  device.write(buffer, Float32Array.from(values));
  return buffer;
}

function read(device: ReferenceDevice, buffer: ReturnType<ReferenceDevice["allocate"]>): number[] {
  const into = new Float32Array(buffer.bytes / 4);
  device.readSync(buffer, into);
  return [...into];
}

describe("the reference device", () => {
  test("outputs that exchange their inputs in place see the old values", () => {
    const device = new ReferenceDevice();
    const [a, b] = [pair(), pair()];
    const executable = device.compile(program([a, b], [{ node: b, slot: 0 }, { node: add(a, b), slot: 1 }], 2));
    const [x, y] = [floats(device, [1, 2]), floats(device, [10, 20])];
    executable.run([x, y]);
    expect(read(device, x)).toEqual([10, 20]);
    expect(read(device, y)).toEqual([11, 22]);
  });

  test("a compiled program outlives what happens to its nodes", () => {
    const device = new ReferenceDevice();
    const [a, b] = [pair(), pair()];
    const total = add(a, b);
    const executable = device.compile(program([a, b], [{ node: total, slot: 2 }], 3));
    total.inputs = [];
    const out = device.allocate(8);
    executable.run([floats(device, [1, 2]), floats(device, [3, 4]), out]);
    expect(read(device, out)).toEqual([4, 6]);
  });

  test("float64 precision holds float32 values in doubles, from run to run", () => {
    const run = (device: ReferenceDevice): number[] => {
      const x = pair();
      // 1 + 1e-9 is lost in float32, and so is its logarithm.
      const executable = device.compile(program([x], [{ node: exp(x), slot: 1 }], 2));
      const back = device.compile(program([x], [{ node: log(x), slot: 1 }], 2));
      const [small, middle, result] = [floats(device, [1e-9, 2e-9]), device.allocate(8), device.allocate(8)];
      executable.run([small, middle]);
      back.run([middle, result]);
      return read(device, result);
    };
    expect(run(new ReferenceDevice())).toEqual([0, 0]);
    const [first, second] = run(new ReferenceDevice({ precision: "float64" }));
    expect(first).toBeCloseTo(1e-9, 14);
    expect(second).toBeCloseTo(2e-9, 14);
  });

  test("writes at an offset", () => {
    for (const precision of ["native", "float64"] as const) {
      const device = new ReferenceDevice({ precision });
      const buffer = floats(device, [1, 2, 3]);
      device.write(buffer, Float32Array.of(9), 4);
      expect(read(device, buffer)).toEqual([1, 9, 3]);
    }
  });

  test("counts live buffers and refuses freed ones, foreign ones and what does not fit", () => {
    const device = new ReferenceDevice();
    const buffer = floats(device, [1]);
    expect(device.memory()).toEqual({ buffers: 1, bytes: 4 });
    expect(() => device.write(buffer, Float32Array.of(1, 2))).toThrow(/bytes 0 to 8 of a buffer of 4/);
    expect(() => device.write(buffer, Float32Array.of(1), 4)).toThrow(ValueError);
    device.free(buffer);
    expect(device.memory()).toEqual({ buffers: 0, bytes: 0 });
    expect(() => read(device, buffer)).toThrow(LifetimeError);
    expect(() => device.free({ bytes: 4 })).toThrow(/another device/);
  });

  test("wants one buffer a slot", () => {
    const device = new ReferenceDevice();
    const x = pair();
    const executable = device.compile(program([x], [{ node: x, slot: 1 }], 2));
    expect(() => executable.run([floats(device, [1, 2])])).toThrow(/1 buffers for 2 slots/);
  });
});
