import fc from "fast-check";
import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { compileProgram } from "../compile/index.ts";
import { ShapeError, ValueError } from "../errors/errors.ts";
import { grad } from "../transform/derivatives.ts";
import { arange, ones, tensor, zeros } from "./creation.ts";
import { einsum } from "./einsum.ts";
import type { Tensor } from "./tensor.ts";

const sizes: { readonly [label: string]: number } = { a: 2, b: 3, c: 1, d: 4 };
const shapeOf = (labels: string): number[] => Array.from(labels).map((label) => sizes[label]!);
const numbers = (labels: string, seed: number): Tensor => {
  const shape = shapeOf(labels);
  return arange(seed, seed + shape.reduce((size, extent) => size * extent, 1), 1, "float64").mul(1.7).sin().reshape(shape);
};

/** The sum over all values of all labels, one by one. */
function loops(inputs: readonly string[], output: string, operands: readonly Tensor[]): number[] {
  const labels = Array.from(new Set(Array.from(inputs.join("") + output)));
  const data = operands.map((operand) => operand.dataSync());
  const result = new Array<number>(shapeOf(output).reduce((size, extent) => size * extent, 1)).fill(0);
  const at: { [label: string]: number } = {};
  const position = (of: string): number => Array.from(of).reduce((index, label) => index * sizes[label]! + at[label]!, 0);
  const visit = (depth: number): void => {
    if (depth === labels.length) {
      result[position(output)]! += inputs.reduce((product, of, index) => product * data[index]![position(of)]!, 1);
      return;
    }
    for (let i = 0; i < sizes[labels[depth]!]!; i++) {
      at[labels[depth]!] = i;
      visit(depth + 1);
    }
  };
  visit(0);
  return result;
}

onEveryDevice("einsum", () => {
  test("is the sum over all indices", () => {
    const subset = fc.shuffledSubarray(["a", "b", "c", "d"]).map((labels) => labels.join(""));
    fc.assert(
      fc.property(fc.array(subset, { minLength: 1, maxLength: 3 }), subset, (inputs, wanted) => {
        const output = Array.from(wanted).filter((label) => inputs.join("").includes(label)).join("");
        const operands = inputs.map((labels, index) => numbers(labels, index));
        const actual = einsum(`${inputs.join(",")}->${output}`, ...operands);
        expect(actual.shape).toEqual(shapeOf(output));
        const expected = loops(inputs, output, operands);
        actual.dataSync().forEach((value, index) => expect(value).toBeCloseTo(expected[index]!, 10));
      }),
      { numRuns: 60 },
    );
  });

  test("without an arrow sums over what occurs twice", () => {
    const [x, y] = [arange(6).reshape([2, 3]), arange(12).reshape([3, 4])];
    expect(einsum("ij, jk", x, y).toArray()).toEqual(x.matmul(y).toArray());
    expect(einsum("ba", x).toArray()).toEqual(x.T.toArray());
  });

  test("attention's products copy nothing", () => {
    const [q, k] = [ones([2, 5, 4, 8]).clone(), ones([2, 7, 4, 8]).clone()];
    const { node } = einsum("bqhd,bkhd->bhqk", q, k);
    const { kernels, arenaBytes } = compileProgram({ inputs: [q.node, k.node], outputs: [node], donate: [] });
    expect([kernels.map(({ kind }) => kind), arenaBytes]).toEqual([["gemm"], 0]);
  });

  test("has derivatives", () => {
    const w = tensor([[1, 2], [3, 4]]);
    expect(grad((x: Tensor) => einsum("i,ij,j->", x, w, x))(tensor([1, 1])).toArray()).toEqual([7, 13]);
  });

  test("gives a tensor of its own", () => {
    const x = tensor([1, 2]);
    einsum("i->i", x).dispose();
    expect(x.toArray()).toEqual([1, 2]);
  });

  test("says what is wrong", () => {
    expect(() => einsum("ij,jk->ik", zeros([2, 3]), zeros([4, 5]))).toThrow(/einsum "ij,jk->ik": the axis "j" has 3 and 4 entries/);
    expect(() => einsum("ij->i", zeros([2]))).toThrow(ShapeError);
    expect(() => einsum("ii->i", zeros([2, 2]))).toThrow(/"i" stands twice in "ii"/);
    expect(() => einsum("i,i->", zeros([2]))).toThrow(/names 2 operands, 1 were given/);
    expect(() => einsum("i->ij", zeros([2]))).toThrow(/no operand has the result's axis "j"/);
    expect(() => einsum("...i->i", zeros([2]))).toThrow(ValueError);
  });
});
