// A graph run on a device as a tensor would run it, and compared element by element.
import { expect } from "vitest";
import { compileProgram } from "../../packages/nabla/src/compile/index.ts";
import type { Device } from "../../packages/nabla/src/devices/device.ts";
import { bytesPerElement, hostArray, isFloating, type TypedArray } from "../../packages/nabla/src/ops/dtype.ts";
import { type Aval, GraphNode } from "../../packages/nabla/src/ops/graph.ts";
import type { HostValue } from "../../packages/nabla/src/ops/rule.ts";
import { sizeOf } from "../../packages/nabla/src/ops/shape.ts";

/** A placeholder of the shape and dtype of `like`. */
export function placeholder({ shape, dtype }: Aval): GraphNode {
  return new GraphNode("source", [], { shape, dtype }, { shape, dtype });
}

/** A graph, what its leaves hold, and (for outputs that update one in place) which leaf an output overwrites. */
export interface Work {
  readonly outputs: readonly GraphNode[];
  readonly leaves: readonly GraphNode[];
  readonly values: readonly HostValue[];
  readonly donate?: readonly (number | undefined)[];
}

/** The slot that each output of `work` is written to. */
export function outputSlots({ outputs, leaves, donate }: Work): number[] {
  let next = leaves.length;
  return outputs.map((_, index) => donate?.[index] ?? next++);
}

/** Compiles `work` as one program, runs it and frees everything. */
export async function runOn(device: Device, work: Work): Promise<HostValue[]> {
  const { outputs, leaves, values, donate = [] } = work;
  const executable = device.compile(compileProgram({ inputs: leaves, outputs, donate }));
  const own = outputs.filter((_, index) => donate[index] === undefined);
  const buffers = [...leaves, ...own].map(({ shape, dtype }) => device.allocate(sizeOf(shape) * bytesPerElement[dtype]));
  try {
    values.forEach(({ data }, index) => device.write(buffers[index]!, data));
    executable.run(buffers);
    const slots = outputSlots(work);
    return await Promise.all(outputs.map(async ({ shape, dtype }, index) => {
      const result = hostArray(dtype, sizeOf(shape));
      await device.read(buffers[slots[index]!]!, result);
      return { shape, dtype, data: result };
    }));
  } finally {
    for (const buffer of buffers) device.free(buffer);
    executable.dispose();
  }
}

/** Float data in doubles, as the interpreter wants it in "float64" precision. */
export function widened({ dtype, data }: HostValue): TypedArray {
  return isFloating(dtype) ? Float64Array.from(data) : data;
}

/** How far an element may be off: relative to itself, and to `scale` (the size of what was added up). */
export interface Tolerance {
  readonly relative: number;
  readonly absolute: number;
}

/** Fails naming the first element of `actual` that is not `expected`; NaN and infinities must agree. */
export function expectClose(actual: HostValue, expected: HostValue, { relative, absolute }: Tolerance): void {
  expect(actual.shape).toEqual(expected.shape);
  expect(actual.dtype).toBe(expected.dtype);
  expect(actual.data.length).toBe(expected.data.length);
  actual.data.forEach((value, index) => {
    const wide = expected.data[index]!;
    const wanted = expected.dtype === "float32" ? Math.fround(wide) : wide;
    if (value === wanted || (Number.isNaN(value) && Number.isNaN(wanted))) return;
    if (!(Math.abs(value - wide) <= relative * Math.abs(wide) + absolute)) {
      expect.fail(`element ${index} of [${expected.shape.join(", ")}] is ${value}, not ${wanted}`);
    }
  });
}
