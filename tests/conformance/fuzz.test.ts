// Differential fuzzing: random graphs and their gradients through the compiler on every device, against float64 node by node.
// The seed is fixed, so that a failure is a change; raise RUNS and drop the seed to search.
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { compileProgram } from "../../packages/nabla/src/compile/index.ts";
import { execute } from "../../packages/nabla/src/kernels/execute.fixture.ts";
import type { Device } from "../../packages/nabla/src/devices/device.ts";
import { interpret, record, replay } from "../../packages/nabla/src/devices/reference/interpret.ts";
import { hostArray, isFloating } from "../../packages/nabla/src/ops/dtype.ts";
import { derivationOrder } from "../../packages/nabla/src/ops/graph.ts";
import type { HostValue } from "../../packages/nabla/src/ops/rule.ts";
import { sizeOf } from "../../packages/nabla/src/ops/shape.ts";
import { devices } from "../devices.ts";
import { type RandomGraph, randomGraphs } from "./graphs.ts";
import { expectClose, outputSlots, runOn, widened } from "./run.ts";

const SEED = 20260101;
const RUNS = 300;

/** What each output must be, and how far rounding on the way may take it. */
function expectation({ outputs, leaves, values }: RandomGraph): { value: HostValue; absolute: number }[] {
  const wide = values.map(widened);
  const nodes = derivationOrder(outputs);
  const every = replay(record(leaves, nodes), wide, "float64");
  const largest = Math.max(1, ...every.filter(({ dtype }) => isFloating(dtype)).map(({ data }) => magnitude(data)));
  const narrow = interpret(outputs, leaves, values.map(({ data }) => data), "native");
  return outputs.map((output, index) => {
    const value = every[nodes.indexOf(output)]!;
    const lost = Math.max(0, ...Array.from(value.data, (x, i) => Math.abs(x - narrow[index]!.data[i]!)).filter(Number.isFinite));
    return { value, absolute: isFloating(value.dtype) ? 2e-6 * largest + 32 * lost : 0 };
  });
}

function magnitude(data: HostValue["data"]): number {
  return Float64Array.from(data).reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x)) : most), 0);
}

function compare(actual: readonly HostValue[], graph: RandomGraph): void {
  expectation(graph).forEach(({ value, absolute }, index) => {
    // Beyond float32's range the two differ by nature.
    if (magnitude(value.data) < 1e30) expectClose(actual[index]!, value, { relative: 1e-5, absolute });
  });
}

/** Runs `check` on random graphs; the report of a failure is the smallest recipe that still fails. */
async function fuzz(check: (graph: RandomGraph) => Promise<void> | void): Promise<void> {
  await fc.assert(fc.asyncProperty(randomGraphs, async (graph) => check(graph)), { seed: SEED, numRuns: RUNS });
}

describe("fuzz", () => {
  test("the compiler's kernels, run element by element", async () => {
    await fuzz((graph) => {
      const { leaves, outputs, values, donate } = graph;
      // Plain evaluation of kernels has no generator.
      if (derivationOrder(outputs).some(({ op }) => op === "randomBits")) return;
      const own = outputs.filter((_, index) => donate[index] === undefined);
      const program = compileProgram({ inputs: leaves, outputs, donate });
      const written = outputSlots(graph);
      // Kernels of one phase are independent, so their order is nothing.
      for (const phases of [program.phases, program.phases.map((phase) => phase.toReversed())]) {
        const slots = [...values.map(({ data }) => data.slice()), ...own.map(({ shape, dtype }) => hostArray(dtype, sizeOf(shape)))];
        execute({ ...program, phases }, slots);
        compare(outputs.map(({ shape, dtype }, index) => ({ shape, dtype, data: slots[written[index]!]! })), graph);
      }
    });
  });

  describe.each(devices)("$name", ({ make }) => {
    let device: Device;
    beforeAll(() => {
      device = make();
    });
    afterAll(async () => {
      expect(device.memory()).toEqual({ buffers: 0, bytes: 0 });
      await device.dispose();
    });

    test("random graphs and their gradients", async () => {
      await fuzz(async (graph) => compare(await runOn(device, graph), graph));
    });
  });
});
