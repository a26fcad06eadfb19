// One battery for every layer: shapes, derivatives by central differences, modes, paths.
// A new layer is added to `cases`; an exported one that is not there fails.
import { describe, expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { LifetimeError, ShapeError, ValueError } from "../errors/errors.ts";
import type { Shape } from "../ops/shape.ts";
import { key, normal, seed } from "../random/index.ts";
import { arange, ones, tensor, zeros } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Variable } from "../tensor/variable.ts";
import { compile } from "../transform/compile.ts";
import { grad, valueAndGrad } from "../transform/derivatives.ts";
import { buildLayer, describeLayer } from "./architecture.ts";
import * as nn from "./index.ts";

interface Case {
  readonly make: () => nn.Layer;
  readonly input: Shape;
  readonly output: Shape;
}

const cases: Readonly<Record<string, Case>> = {
  batchNorm: { make: () => nn.batchNorm(3), input: [4, 2, 3], output: [4, 2, 3] },
  dense: { make: () => nn.dense(3, 5), input: [4, 3], output: [4, 5] },
  dropout: { make: () => nn.dropout(0.4), input: [6, 5], output: [6, 5] },
  flatten: { make: () => nn.flatten(), input: [2, 3, 4], output: [2, 12] },
  localResponseNorm: { make: () => nn.localResponseNorm({ size: 3, alpha: 0.1 }), input: [2, 2, 4], output: [2, 2, 4] },
  relu: { make: () => nn.relu(), input: [7], output: [7] },
  sequential: { make: () => nn.sequential(nn.dense(3, 4), nn.tanh(), nn.dense(4, 2, { bias: false })), input: [5, 3], output: [5, 2] },
  sigmoid: { make: () => nn.sigmoid(), input: [7], output: [7] },
  softmax: { make: () => nn.softmax(), input: [2, 7], output: [2, 7] },
  softplus: { make: () => nn.softplus(), input: [7], output: [7] },
  tanh: { make: () => nn.tanh(), input: [7], output: [7] },
};

const initialisers = { constant: nn.constant(0.5), gaussian: nn.gaussian(0.1), glorotNormal: nn.glorotNormal, glorotUniform: nn.glorotUniform, heNormal: nn.heNormal, heUniform: nn.heUniform, uniform: nn.uniform(0.1), zeros: nn.zeros };
const regularisers = ["l1", "l2"];
const losses = ["binaryCrossEntropy", "crossEntropy", "meanSquaredError", "requireLabels"];

describe("layers", () => {
  test("every exported one is in the battery", () => {
    const functions = Object.keys(nn).filter((name) => !/^[A-Z]/.test(name));
    expect(functions.sort()).toEqual([...Object.keys(cases), ...Object.keys(initialisers), ...losses, ...regularisers].sort());
  });
});

for (const [name, { make, input, output }] of Object.entries(cases)) {
  onEveryDevice(name, () => {
    const example = (): Tensor => normal(key(11), input, { dtype: "float64" });

    test("maps shapes, in training and evaluation", () => {
      const layer = make();
      expect(layer.forward(example()).shape).toEqual(output);
      expect(layer.eval().forward(zeros(input)).shape).toEqual(output);
      expect(layer.training).toBe(false);
    });

    test("the same seed gives the same layer, and evaluation the same values", () => {
      seed(5);
      const first = make().eval();
      seed(5);
      const second = make().eval();
      expect(first.forward(example()).toArray()).toEqual(second.forward(example()).toArray());
      expect(first.forward(example()).toArray()).toEqual(first.forward(example()).toArray());
    });

    test("its description makes it again: add it to architecture.ts", () => {
      const layer = make();
      const built = buildLayer(JSON.parse(JSON.stringify(describeLayer(layer))), "a file");
      const found = layer.variables();
      expect(Object.keys(built.variables())).toEqual(Object.keys(found));
      for (const [path, variable] of Object.entries(built.variables())) {
        found[path]!.dataSync();
        variable.assign(found[path]!);
      }
      expect(built.forward(example()).toArray()).toEqual(layer.forward(example()).toArray());
    });

    test("derivatives are those of central differences", () => {
      const layer = make().eval();
      const weights = normal(key(12), output, { dtype: "float64" });
      const loss = (model: nn.Layer, x: Tensor): Tensor => model.forward(x).mul(weights).sum();
      const x = example();
      checkDerivative((value) => loss(layer, value).item(), x, grad((value: Tensor) => loss(layer, value))(x));
      const gradients = grad(loss)(layer, x);
      expect(Object.keys(gradients)).toEqual(Object.keys(layer.parameters()));
      for (const [path, variable] of Object.entries(layer.parameters())) {
        const initial = variable.clone();
        initial.dataSync();
        const at = (value: Tensor): number => {
          variable.assign(value.float());
          return loss(layer, x).item();
        };
        checkDerivative(at, initial, gradients[path]!);
        variable.assign(initial);
      }
    });
  });
}

/** Compares `gradient` with central differences of `f` at `x`, with steps that float32 holds exactly. */
function checkDerivative(f: (x: Tensor) => number, x: Tensor, gradient: Tensor): void {
  const step = 2 ** -9;
  const data = x.dataSync();
  const found = gradient.dataSync();
  expect(gradient.shape).toEqual(x.shape);
  for (let index = 0; index < data.length; index++) {
    const at = (offset: number): [number, number] => {
      const moved = data.slice();
      moved[index]! += offset;
      return [f(tensor(moved, { shape: x.shape })), moved[index]!];
    };
    const [above, right] = at(step);
    const [below, left] = at(-step);
    expect(found[index]).toBeCloseTo((above - below) / (right - left), 4);
  }
}

onEveryDevice("Module", () => {
  class Block extends nn.Module {
    first = nn.dense(2, 2);
    branches = { left: nn.dense(2, 2, { bias: false }), rest: [nn.dropout(0.5), nn.dense(2, 1)] };
    scale = new Variable(ones([1]));
    name = "block";
    constants = ones([3]);
    tied = this.scale;
    forward(x: Tensor): Tensor {
      return this.branches.rest[1]!.forward(this.branches.left.forward(this.first.forward(x))).mul(this.scale);
    }
  }

  test("its tree is its fields in order, shared variables once", () => {
    const block = new Block();
    expect(Object.keys(block.parameters())).toEqual(["first.weight", "first.bias", "branches.left.weight", "branches.rest.1.weight", "branches.rest.1.bias", "scale"]);
    expect(Object.keys(block.variables())).toContain("branches.rest.0.key");
    expect(Object.keys(block.modules())).toEqual(["", "first", "branches.left", "branches.rest.0", "branches.rest.1"]);
  });

  test("train and eval reach every module", () => {
    const block = new Block().eval();
    expect(Object.values(block.modules()).map(({ training }) => training)).toEqual([false, false, false, false, false]);
    expect(block.train().branches.rest[0]!.training).toBe(true);
  });

  test("what is no layer is named where the network is made", () => {
    expect(() => nn.sequential(nn.dense(2, 2), nn.relu as never)).toThrow("sequential: layer 1 is a function. Call it, e.g. relu().");
    expect(() => nn.sequential(undefined as never)).toThrow("sequential: layer 0 is undefined. Pass modules with a forward method.");
  });

  test("errors say which layer they come from", () => {
    const model = nn.sequential(nn.flatten(), nn.sequential(nn.dense(4, 3), nn.relu(), nn.dense(4, 2)));
    expect(() => model.forward(zeros([2, 2, 2]))).toThrow(/^In Sequential\.layers\.1\.layers\.2: dense\(4, 2\): the input has shape \[2, 3\], its last axis is not 4\./);
    expect(() => new Block().forward(zeros([3]))).toThrow(/^In Block\.first: dense/);
    expect(() => model.forward(zeros([2, 2, 2]))).toThrow(ShapeError);
  });

  test("a module's method may call its parent's", () => {
    class Doubled extends nn.Dense {
      override forward(x: Tensor): Tensor {
        return super.forward(x).mul(2);
      }
    }
    expect(new Doubled(1, 1, { init: nn.constant(3) }).forward(ones([1, 1])).item()).toBe(6);
    expect(() => new Doubled(1, 1).forward(ones([1, 2]))).toThrow(/^In Doubled: dense/);
  });

  test("a compiled function follows a module's variables", () => {
    const model = nn.dense(1, 1, { init: nn.constant(2) });
    const run = compile((layer: nn.Dense, x: Tensor) => layer.forward(x));
    expect(run(model, ones([1, 1])).item()).toBe(2);
    model.weight.assign(ones([1, 1]).mul(5));
    expect(run(model, ones([1, 1])).item()).toBe(5);
    expect(() => run(nn.dense(2, 1), ones([1, 2])).mul(0).item()).not.toThrow(LifetimeError);
  });
});

onEveryDevice("dropout", () => {
  test("drops the share asked for, keeps the mean, and draws anew each time", () => {
    const layer = nn.dropout(0.25, { key: key(1) });
    const first = layer.forward(ones([2000]));
    const second = layer.forward(ones([2000]));
    expect(first.equal(0).mean().item()).toBeCloseTo(0.25, 1);
    expect(first.max().item()).toBeCloseTo(4 / 3, 6);
    expect(first.toArray()).not.toEqual(second.toArray());
    const again = nn.dropout(0.25, { key: key(1) });
    expect(again.forward(ones([2000])).toArray()).toEqual(first.toArray());
  });

  test("is the identity in evaluation and at rate 0", () => {
    expect(nn.dropout(0.9).eval().forward(ones([50])).min().item()).toBe(1);
    expect(nn.dropout(0).forward(ones([50])).min().item()).toBe(1);
    for (const wrong of [-0.1, 1, NaN]) expect(() => nn.dropout(wrong)).toThrow(ValueError);
  });

  test("its gradient is its mask", () => {
    const layer = nn.dropout(0.5, { key: key(2) });
    const [value, gradient] = valueAndGrad((x: Tensor) => layer.forward(x).sum())(ones([20]));
    expect(gradient.sum().item()).toBe(value.item());
  });
});

onEveryDevice("batchNorm", () => {
  test("gives each feature mean 0 and variance 1 in training, however far it lies", () => {
    const x = normal(key(4), [64, 3, 5]).mul(tensor([1, 10, 0.1, 1, 1])).add(tensor([0, 100, -3, 1000, 0]));
    const y = nn.batchNorm(5).forward(x);
    expect(y.mean([0, 1]).abs().max().item()).toBeLessThan(1e-3);
    expect(y.variance([0, 1]).sub(1).abs().max().item()).toBeLessThan(2e-3);
  });

  test("derivatives in training are those of central differences, and count the batch's statistics", () => {
    const x = normal(key(5), [4, 2], { dtype: "float64" });
    const weights = normal(key(6), [4, 2], { dtype: "float64" });
    const loss = (value: Tensor): Tensor => nn.batchNorm(2).forward(value).mul(weights).sum();
    checkDerivative((value) => loss(value).item(), x, grad(loss)(x));
    expect(grad(loss)(x).sum(0).abs().max().item()).toBeLessThan(1e-6); // a shift of all changes nothing
  });

  test("a batch of one value a feature, other features and nonsense are refused", () => {
    const layer = nn.batchNorm(3);
    expect(() => layer.forward(ones([1, 3]))).toThrow(/batchNorm: a batch of shape \[1, 3\] has 1 value a feature.*eval\(\)/);
    expect(layer.eval().forward(ones([1, 3])).shape).toEqual([1, 3]);
    expect(() => layer.forward(ones([2, 4]))).toThrow(/^In BatchNorm: batchNorm\(3\): the input has shape \[2, 4\]/);
    expect(() => nn.batchNorm(0)).toThrow(/features is 0/);
    expect(() => nn.batchNorm(2, { momentum: 2 })).toThrow(/momentum is 2/);
    expect(() => nn.batchNorm(2, 0.1 as never)).toThrow(ValueError);
    for (const wrong of [{ size: 4 }, { size: 0 }, { k: 0 }, { beta: NaN }]) expect(() => nn.localResponseNorm(wrong)).toThrow(ValueError);
  });
});

onEveryDevice("dense", () => {
  test("is x·W + b, with the weight [inputs, outputs]", () => {
    const layer = nn.dense(2, 3);
    layer.weight.assign(tensor([[1, 2, 3], [4, 5, 6]]));
    layer.bias!.assign(tensor([0.5, 0, 0]));
    expect(layer.forward(tensor([[1, 1], [0, 2]])).toArray()).toEqual([[5.5, 7, 9], [8.5, 10, 12]]);
    expect(layer.forward(zeros([4, 5, 2])).shape).toEqual([4, 5, 3]);
    expect(() => nn.dense(0, 3)).toThrow(/dense: inputs is 0/);
  });
});

onEveryDevice("regularisers", () => {
  test("measure trainable weights alone, and their gradients are sign(w) and w", () => {
    const model = nn.sequential(nn.dense(2, 3), nn.batchNorm(3), nn.dense(3, 1));
    const [first, second] = [model.layers[0] as nn.Dense, model.layers[2] as nn.Dense];
    first.weight.assign(tensor([[1, -2, 3], [0.5, 0, -4]]));
    second.weight.assign(tensor([[-1], [2], [0]]));
    second.bias!.assign(tensor([100]));
    expect(nn.l1(model).item()).toBeCloseTo(13.5, 6);
    expect(nn.l2(model).item()).toBeCloseTo((1 + 4 + 9 + 0.25 + 16 + 1 + 4) / 2, 6);
    expect(grad(nn.l1)(model)["layers.2.weight"]!.toArray()).toEqual([[-1], [1], [0]]);
    expect(grad(nn.l2)(model)["layers.0.weight"]!.toArray()).toEqual([[1, -2, 3], [0.5, 0, -4]]);
    expect(grad(nn.l2)(model)["layers.2.bias"]!.toArray()).toEqual([0]);
    second.weight.trainable = false;
    expect(nn.l1(model).item()).toBeCloseTo(10.5, 6);
  });

  test("a model without weights is refused", () => {
    expect(() => nn.l1(nn.relu())).toThrow("l1: Activation has no trainable parameter of two axes or more.");
    expect(() => nn.l2(undefined as never)).toThrow("The model is undefined.");
  });
});

onEveryDevice("initialisers", () => {
  const deviations: Readonly<Record<string, number>> = {
    constant: 0, zeros: 0, gaussian: 0.1, uniform: 0.1 / Math.sqrt(3),
    glorotNormal: Math.sqrt(2 / 300), glorotUniform: Math.sqrt(2 / 300), heNormal: Math.sqrt(2 / 100), heUniform: Math.sqrt(2 / 100),
  };

  test.each(Object.entries(initialisers))("%s has its deviation", (name, init) => {
    const weight = init(key(3), [100, 200]);
    expect(weight.shape).toEqual([100, 200]);
    const expected = deviations[name]!;
    // Five standard errors of 20,000 draws are 2.5 %.
    expect(Math.abs(weight.variance().sqrt().item() - expected)).toBeLessThanOrEqual(0.025 * expected);
    expect(weight.mean().item()).toBeCloseTo(name === "constant" ? 0.5 : 0, 2);
  });

  test("a convolution's kernel counts in both fans", () => {
    // fanIn = 3·3·4: He's deviation is √(2/36).
    expect(nn.heNormal(key(0), [3, 3, 4, 500]).variance().item()).toBeCloseTo(2 / 36, 2);
  });
});

onEveryDevice("losses", () => {
  const logits = (): Tensor => tensor([[2, 0, -1], [0, 3, 0.5]], { dtype: "float64" });
  const expected = -(Math.log(Math.exp(2) / (Math.exp(2) + 1 + Math.exp(-1))) + Math.log(Math.exp(0.5) / (1 + Math.exp(3) + Math.exp(0.5)))) / 2;

  test("cross-entropy takes indices and one-hot labels", () => {
    const indices = tensor([0, 2], { dtype: "int32" });
    expect(nn.crossEntropy(logits(), indices).item()).toBeCloseTo(expected, 12);
    expect(nn.crossEntropy(logits(), indices.cast("uint8")).item()).toBeCloseTo(expected, 12);
    expect(nn.crossEntropy(logits(), indices.oneHot(3, "float64")).item()).toBeCloseTo(expected, 12);
    expect(nn.crossEntropy(tensor([[1000, 0]]), tensor([1], { dtype: "int32" })).item()).toBe(1000);
  });

  test("its gradient is (softmax − one-hot) / batch", () => {
    const indices = tensor([0, 2], { dtype: "int32" });
    const gradient = grad((z: Tensor) => nn.crossEntropy(z, indices))(logits());
    const closed = logits().softmax().sub(indices.oneHot(3, "float64")).div(2);
    expect(gradient.sub(closed).abs().max().item()).toBeLessThan(1e-15);
  });

  test("labels of the wrong shape, dtype or range are named", () => {
    expect(() => nn.crossEntropy(logits(), zeros([2]))).toThrow(/labels of shape \[2\] \(float32\).*class indices must be int32/);
    expect(() => nn.crossEntropy(logits(), zeros([2, 3], "int32"))).toThrow(ShapeError);
    expect(nn.crossEntropy(logits(), tensor([0, 3], { dtype: "int32" })).item()).toBeNaN();
    expect(() => nn.requireLabels([0, 1, 3], 3)).toThrow(/Label 3 of row 2 is outside the 3 classes/);
    expect(() => nn.requireLabels([0.5], 3)).toThrow(ValueError);
    expect(() => nn.crossEntropy(logits(), [0, 1] as never)).toThrow("crossEntropy: the labels are an array, not a tensor.");
  });

  test("mean squared error and binary cross-entropy", () => {
    expect(nn.meanSquaredError(arange(4), zeros([4])).item()).toBe(3.5);
    expect(() => nn.meanSquaredError(zeros([4]), zeros([4, 1]))).toThrow(/outputs \[4\] and targets \[4, 1\] differ/);
    const z = tensor([-800, 0, 2], { dtype: "float64" });
    const y = tensor([0, 1, 0], { dtype: "float64" });
    expect(nn.binaryCrossEntropy(z, y).item()).toBeCloseTo((0 + Math.log(2) + Math.log(1 + Math.exp(2))) / 3, 12);
  });
});
