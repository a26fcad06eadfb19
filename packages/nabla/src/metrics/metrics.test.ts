import { expect, test } from "vitest";
import { onEveryDevice } from "../../../../tests/devices.ts";
import { DTypeError, ShapeError, ValueError } from "../errors/errors.ts";
import { ones, tensor, zeros } from "../tensor/creation.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { compile } from "../transform/compile.ts";
import { accuracy, binaryAccuracy, confusionMatrix, emptyMean, updateMean } from "./index.ts";

onEveryDevice("metrics", () => {
  const outputs = (): Tensor => tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7], [2, 1]]);
  const labels = (): Tensor => tensor([1, 1, 1, 0], { dtype: "int32" });

  test("accuracy of indices and one-hot labels, inside a compiled function", () => {
    expect(accuracy(outputs(), labels()).item()).toBe(0.75);
    expect(accuracy(outputs(), labels().oneHot(2)).item()).toBe(0.75);
    expect(compile(accuracy)(outputs(), labels().cast("uint8")).item()).toBe(0.75);
    expect(() => accuracy(outputs(), zeros([4]))).toThrow(ShapeError);
    expect(() => accuracy(outputs(), zeros([3], "int32"))).toThrow(/class indices of shape \[4\]/);
  });

  test("one output answers yes or no, and has no classes", () => {
    const [logits, answers] = [tensor([[4], [-3], [2], [-1]]), tensor([[0], [1], [0], [0]])];
    expect(binaryAccuracy(logits, answers).item()).toBe(0.25);
    expect(binaryAccuracy(logits.sigmoid(), answers.int(), 0.5).item()).toBe(0.25);
    expect(() => binaryAccuracy(logits, answers.flatten())).toThrow(ShapeError);
    for (const metric of [accuracy, confusionMatrix]) expect(() => metric(logits, answers)).toThrow(/have one class.*use metrics\.binaryAccuracy and nn\.binaryCrossEntropy/);
  });

  test("the confusion matrix counts every row once, unknown classes never", () => {
    expect(confusionMatrix(outputs(), labels()).toArray()).toEqual([[1, 0], [1, 2]]);
    expect(confusionMatrix(outputs(), tensor([5, -1, 1, 0], { dtype: "int32" })).sum().item()).toBe(2);
  });

  test("a running mean weighs its batches", () => {
    const mean = updateMean(updateMean(emptyMean(), tensor(1), 3), tensor(5), 1);
    expect(mean.total.div(mean.weight).item()).toBe(2);
    expect(() => updateMean(mean, ones([2]), 1)).toThrow(ShapeError);
    expect(() => updateMean(mean, tensor(1), 0)).toThrow(ValueError);
    expect(() => updateMean(mean, tensor(true), 1)).toThrow(DTypeError);
  });
});
