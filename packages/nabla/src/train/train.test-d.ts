// The names of what is measured are types: they follow from the metrics, or from the default's.
import { expectTypeOf, test } from "vitest";
import type { Dataset } from "../data/dataset.ts";
import { accuracy } from "../metrics/index.ts";
import { crossEntropy } from "../nn/losses.ts";
import type { Layer } from "../nn/module.ts";
import type { Optimizer } from "../optim/optimizer.ts";
import { type Epoch, epochs } from "./epochs.ts";
import { evaluate } from "./evaluate.ts";
import { fit } from "./fit.ts";

declare const model: Layer;
declare const set: Dataset;
declare const optimizer: Optimizer;

test("a classification by default", async () => {
  for await (const epoch of epochs(model, set, { optimizer })) {
    expectTypeOf(epoch.accuracy).toEqualTypeOf<number>();
    expectTypeOf(epoch.loss).toEqualTypeOf<number>();
    expectTypeOf(epoch.validation?.accuracy).toEqualTypeOf<number | undefined>();
    const any: Epoch = epoch;
    void any;
  }
  expectTypeOf((await evaluate(model, set)).accuracy).toEqualTypeOf<number>();
});

test("a loss alone has no metrics, and metrics have their names", async () => {
  const { last } = await fit(model, set, { optimizer, loss: (outputs, targets) => outputs.sub(targets).square().mean() });
  expectTypeOf(last.loss).toEqualTypeOf<number>();
  // @ts-expect-error nobody measured it
  void last.accuracy;
  const run = await fit(model, set, { optimizer, loss: crossEntropy, metrics: { top: accuracy } });
  expectTypeOf(run.history[0]?.top).toEqualTypeOf<number | undefined>();
  const only = await evaluate(model, set, { metrics: { top: accuracy } });
  // @ts-expect-error it was not asked for
  void only.loss;
  // @ts-expect-error a misspelt option
  void fit(model, set, { optimizer, batchsize: 3 });
});
