// Activations, losses and tensor functions with joins, against closed forms: value, first and second derivative, in both float dtypes.
// Where a function has a kink or a tie, the convention of its documentation is the closed form.
import { describe, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { concat, grad, nn, onesLike, tensor, type Tensor, zerosLike } from "../index.ts";

const rowsOf = (x: Tensor): number[][] => x.toArray() as number[][];

type Float = "float32" | "float64";

/** A function, and its value and two derivatives as they should be. */
interface Form {
  readonly of: (x: Tensor) => Tensor;
  readonly forms: readonly [value: (x: number) => number, first: (x: number) => number, second: (x: number) => number];
  readonly at: readonly number[];
}

const sigmoid = (x: number): number => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
const slope = (x: number): number => sigmoid(x) * sigmoid(-x);
const softplus = (x: number): number => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
const step = (x: number): number => Number(x > 0);
const zero = (): number => 0;
const smooth = [-100, -40, -20, -8, -1, -1e-4, 0, 1e-4, 0.5, 3, 20, 40, 100];
const kinks = [-3, -1e-30, -0, 0, 1e-30, 2];

const functions: Readonly<Record<string, Form>> = {
  relu: { of: (x) => x.relu(), forms: [(x) => Math.max(x, 0), step, zero], at: kinks },
  abs: { of: (x) => x.abs(), forms: [Math.abs, Math.sign, zero], at: kinks },
  sign: { of: (x) => x.sign(), forms: [Math.sign, zero, zero], at: kinks },
  sigmoid: { of: (x) => x.sigmoid(), forms: [sigmoid, slope, (x) => slope(x) * (1 - 2 * sigmoid(x))], at: smooth },
  tanh: { of: (x) => x.tanh(), forms: [Math.tanh, (x) => 1 / Math.cosh(x) ** 2, (x) => (-2 * Math.tanh(x)) / Math.cosh(x) ** 2], at: smooth },
  softplus: { of: (x) => x.softplus(), forms: [softplus, sigmoid, slope], at: smooth },
  "silu, x·σ(x)": {
    of: (x) => x.mul(x.sigmoid()),
    forms: [(x) => x * sigmoid(x), (x) => sigmoid(x) + x * slope(x), (x) => slope(x) * (2 + x * (1 - 2 * sigmoid(x)))],
    at: smooth,
  },
  "log(1 + x)": { of: (x) => x.log1p(), forms: [Math.log1p, (x) => 1 / (1 + x), (x) => -1 / (1 + x) ** 2], at: [-0.9, -1e-8, 0, 1e-8, 0.5, 1e4] },
  "e^x − 1": { of: (x) => x.expm1(), forms: [Math.expm1, Math.exp, Math.exp], at: [-100, -20, -1e-8, 0, 1e-8, 1, 20] },
  "clip to [−1, 1]": {
    of: (x) => x.clip(-1, 1),
    // At a bound the tie is shared.
    forms: [(x) => Math.min(Math.max(x, -1), 1), (x) => (Math.abs(x) < 1 ? 1 : Math.abs(x) > 1 ? 0 : 0.5), zero],
    at: [-2, -1, -0.5, 0, 0.5, 1, 2],
  },
  "maximum with 0": { of: (x) => x.maximum(0), forms: [(x) => Math.max(x, 0), (x) => (x === 0 ? 0.5 : step(x)), zero], at: kinks },
  "minimum with 0": { of: (x) => x.minimum(0), forms: [(x) => Math.min(x, 0), (x) => (x === 0 ? 0.5 : step(-x)), zero], at: kinks },
  "where x > 0 then x² else −x": {
    of: (x) => x.greater(0).where(x.square(), x.neg()),
    forms: [(x) => (x > 0 ? x * x : -x), (x) => (x > 0 ? 2 * x : -1), (x) => (x > 0 ? 2 : 0)],
    at: kinks,
  },
  "x²": { of: (x) => x.pow(2), forms: [(x) => x * x, (x) => 2 * x, () => 2], at: kinks },
  "x³": { of: (x) => x.pow(3), forms: [(x) => x ** 3, (x) => 3 * x * x, (x) => 6 * x], at: kinks },
  "x^0": { of: (x) => x.pow(0), forms: [() => 1, zero, zero], at: kinks },
  "x^1": { of: (x) => x.pow(1), forms: [(x) => x, () => 1, zero], at: kinks },
  "log(e^x + e^0)": { of: (x) => concat([x, zerosLike(x)]).logSumExp(), forms: [softplus, sigmoid, slope], at: smooth },
  "binaryCrossEntropy, target 1": {
    of: (x) => nn.binaryCrossEntropy(x, onesLike(x)),
    forms: [(x) => softplus(-x), (x) => -sigmoid(-x), slope],
    at: smooth,
  },
  "binaryCrossEntropy, target 0.25": {
    of: (x) => nn.binaryCrossEntropy(x, onesLike(x).mul(0.25)),
    forms: [(x) => softplus(x) - 0.25 * x, (x) => sigmoid(x) - 0.25, slope],
    at: smooth,
  },
  meanSquaredError: { of: (x) => nn.meanSquaredError(x, onesLike(x)), forms: [(x) => (x - 1) ** 2, (x) => 2 * (x - 1), () => 2], at: kinks },
};

/** Relative for values away from 1, absolute near it; float32 sums of smooth tails keep about 6 digits. */
const tolerance: Readonly<Record<Float, number>> = { float32: 3e-6, float64: 1e-12 };

function close(actual: number, expected: number, dtype: Float, what: string): void {
  const bound = tolerance[dtype] * Math.max(1, Math.abs(expected));
  if (!(Math.abs(actual - expected) <= bound)) expect.fail(`${what} is ${actual}, should be ${expected}`);
}

onEveryDevice("closed forms", () => {
  describe.each(["float32", "float64"] as const)("%s", (dtype) => {
    test.each(Object.entries(functions))("%s", (_, { of, forms, at }) => {
      for (const point of at) {
        const x = tensor([point], { dtype });
        const value = (y: Tensor): Tensor => of(y).sum();
        const first = grad(value);
        const orders = [value(x), first(x), grad((y: Tensor) => first(y).sum())(x)].map((result) => result.sum().item());
        orders.forEach((result, order) => close(result, forms[order]!(x.sum().item()), dtype, `derivative ${order} at ${point}`));
      }
    });
  });

  test("the tail of softplus keeps its relative accuracy", () => {
    for (const x of [-8, -12, -17, -20, -40, -80]) {
      expect(tensor([x]).softplus().item() / softplus(x)).toBeCloseTo(1, 6);
      expect(tensor([x], { dtype: "float64" }).softplus().item() / softplus(x)).toBeCloseTo(1, 13);
    }
    expect(nn.binaryCrossEntropy(tensor([18]), tensor([1])).item() / softplus(-18)).toBeCloseTo(1, 6);
  });

  test("logistic regression from zero weights learns", () => {
    const x = tensor([[1], [-1]]);
    const y = tensor([[1], [0]]);
    const gradient = grad((w: Tensor) => nn.binaryCrossEntropy(x.matmul(w), y))(tensor([[0]]));
    expect(gradient.toArray()).toEqual([[-0.5]]);
  });

  test("logSumExp, softmax and logSoftmax at ties and extremes", () => {
    const rows = tensor([[0, 0, 0], [1000, 1000, -1000], [-1000, -1001, -Infinity]]);
    const third = Math.fround(1 / 3);
    expect(rowsOf(rows.softmax())[0]).toEqual([third, third, third].map((each) => expect.closeTo(each, 6)));
    expect(rowsOf(rows.softmax())[1]).toEqual([0.5, 0.5, 0]);
    expect(rowsOf(rows.logSoftmax())[2]).toEqual([expect.closeTo(-0.3132617, 6), expect.closeTo(-1.3132617, 6), -Infinity]);
    expect(rows.logSumExp(-1).toArray()).toEqual([expect.closeTo(Math.log(3), 6), expect.closeTo(1000 + Math.log(2), 4), expect.closeTo(-999.6867, 3)]);
    const gradient = rowsOf(grad((z: Tensor) => z.logSumExp(-1).sum())(rows));
    expect(gradient[1]).toEqual([0.5, 0.5, 0]);
    expect(gradient[2]![2]).toBe(0);
  });

  test("binaryCrossEntropy with infinite logits is 0 where they are right, and infinite where not; its gradient is σ − y", () => {
    const logits = tensor([Infinity, -Infinity, Infinity, -Infinity, Infinity, 0]);
    const targets = tensor([1, 0, 0, 1, 0.5, 1]);
    const each = [...logits.dataSync()].map((_, i) => nn.binaryCrossEntropy(logits.slice([i, i + 1]), targets.slice([i, i + 1])).item());
    expect(each).toEqual([0, 0, Infinity, Infinity, Infinity, expect.closeTo(Math.LN2, 6)]);
    expect(nn.binaryCrossEntropy(tensor([NaN]), tensor([0])).item()).toBeNaN();
    const gradient = grad((z: Tensor) => nn.binaryCrossEntropy(z, targets).mul(6))(logits);
    expect([...gradient.dataSync()]).toEqual([0, 0, 1, -1, 0.5, -0.5].map((value) => expect.closeTo(value, 6)));
  });

  test("crossEntropy with a class masked by −∞ is finite, and so is its gradient", () => {
    const logits = tensor([[-Infinity, 1, 3], [2, -Infinity, 0]]);
    const right = Math.log1p(Math.exp(-2));
    for (const labels of [tensor([2, 0], { dtype: "int32" }), tensor([[0, 0, 1], [1, 0, 0]])]) {
      expect(nn.crossEntropy(logits, labels).item()).toBeCloseTo(right, 6);
      const gradient = rowsOf(grad((z: Tensor) => nn.crossEntropy(z, labels))(logits)).flat();
      const p = sigmoid(-2) / 2;
      gradient.forEach((value, index) => expect(value).toBeCloseTo([0, p, -p, -p, 0, p][index]!, 6));
    }
  });
});
