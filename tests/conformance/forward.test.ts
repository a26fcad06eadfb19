// Every sample of every primitive, on every device, against the same sample evaluated in float64.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../packages/nabla/src/devices/device.ts";
import { interpret } from "../../packages/nabla/src/devices/reference/interpret.ts";
import { node } from "../../packages/nabla/src/ops/build.ts";
import type { OpName } from "../../packages/nabla/src/ops/graph.ts";
import { rules } from "../../packages/nabla/src/ops/registry.ts";
import type { HostValue, Rule, Sample } from "../../packages/nabla/src/ops/rule.ts";
import { devices } from "../devices.ts";
import { expectClose, placeholder, runOn, type Tolerance, widened } from "./run.ts";

// A source has no value of its own.
const names = (Object.keys(rules) as OpName[]).filter((op) => op !== "source");

/** Half a unit in the last place of 1. */
const halfUnit = 2 ** -24;
/** float64 is held to the same functions, at its own precision; its polynomials may be a little looser. */
const NARROWER = 2 ** -27;

function tolerance(op: OpName, { inputs }: Sample<OpName>, out: HostValue): Tolerance {
  const unit = halfUnit * (out.dtype === "float64" ? NARROWER : 1);
  const { roundingError } = rules[op];
  return { relative: roundingError.relative * unit, absolute: roundingError.absolute(inputs, out) * unit };
}

describe.each(devices)("forward ($name)", ({ make }) => {
  let device: Device;
  beforeAll(() => {
    device = make();
  });
  afterAll(async () => {
    expect(device.memory()).toEqual({ buffers: 0, bytes: 0 });
    await device.dispose();
  });

  describe.each(names)("%s", (op) => {
    const samples = (rules[op] as Rule<OpName>).samples();
    const named = samples.map((sample, index) => ({ sample, title: `${index}: ${sample.name ?? "plain"}` }));
    test.each(named)("$title", async ({ sample }) => {
      const leaves = sample.inputs.map(placeholder);
      const output = node(op, leaves, sample.params);
      const [expected] = interpret([output], leaves, sample.inputs.map(widened), "float64");
      const [actual] = await runOn(device, { outputs: [output], leaves, values: sample.inputs });
      expectClose(actual!, expected!, tolerance(op, sample, expected!));
    });
  });
});
