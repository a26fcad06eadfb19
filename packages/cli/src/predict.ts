// `nabla predict`: digits of the test set, drawn, with what the network makes of them.
// With --json one object a line, for programs.
import { io, train, ValueError } from "nabla";
import { mnist } from "nabla/data";
import { classifier, parseClassifier } from "./classifier.ts";
import { digitLines, largest } from "./train.ts";

export interface PredictOptions {
  readonly samples: readonly number[];
  readonly folder?: string;
  readonly json?: boolean;
}

export async function predict(path: string, options: PredictOptions): Promise<void> {
  const model = classifier(parseClassifier(await io.metadata(path), path));
  await io.load(path, model);
  const { testSet } = await mnist(options.folder === undefined ? {} : { folder: options.folder });
  const missing = options.samples.find((sample) => sample >= testSet.length);
  if (missing !== undefined) throw new ValueError(`There is no test digit ${missing}.`, `Pass numbers below ${testSet.length}.`);
  for (const sample of options.samples) {
    const { values } = await train.predict(model, testSet.slice(sample, sample + 1));
    const said = largest(values);
    const probabilities = softmax(values);
    const truth = testSet.columns.labels.data[sample]!;
    if (options.json === true) {
      console.log(JSON.stringify({ sample, prediction: said, truth, probabilities: [...probabilities] }));
    } else {
      console.log(`${digitLines(testSet, sample).join("\n")}\n#${sample}: ${said} (${(100 * probabilities[said]!).toFixed(1)} %), the label is ${truth}\n`);
    }
  }
}

function softmax(logits: Float32Array): Float32Array {
  const highest = Math.max(...logits);
  const exponentials = logits.map((value) => Math.exp(value - highest));
  const total = exponentials.reduce((sum, value) => sum + value, 0);
  return exponentials.map((value) => value / total);
}
