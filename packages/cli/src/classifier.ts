// The digit classifier of `nabla train mnist`, and its description in the saved file.
// The description is what lets `nabla predict` build the same network again.
import { nn, ValueError } from "nabla";

/** What the file says of the network. */
export interface ClassifierShape {
  readonly hidden: readonly number[];
  readonly dropout: number;
}

const PIXELS = 784;
const CLASSES = 10;

export function classifier({ hidden, dropout }: ClassifierShape): nn.Layer {
  const layers: nn.Layer[] = [nn.flatten()];
  let width = PIXELS;
  for (const units of hidden) {
    layers.push(nn.dense(width, units), nn.relu(), nn.dropout(dropout));
    width = units;
  }
  return nn.sequential(...layers, nn.dense(width, CLASSES));
}

/** The file's metadata for a network of this shape. */
export function describeClassifier(shape: ClassifierShape): Record<string, string> {
  return { format: "nabla", classifier: JSON.stringify(shape) };
}

/** Reads {@link describeClassifier}'s metadata back; throws {@link ValueError} on a file that `nabla train` did not write. */
export function parseClassifier(metadata: Readonly<Record<string, string>>, path: string): ClassifierShape {
  let shape: unknown;
  try {
    shape = JSON.parse(metadata["classifier"] ?? "null");
  } catch {
    shape = null;
  }
  if (typeof shape !== "object" || shape === null || !("hidden" in shape) || !Array.isArray(shape.hidden)
    || !shape.hidden.every((units) => Number.isInteger(units) && units > 0) || !("dropout" in shape) || typeof shape.dropout !== "number") {
    throw new ValueError(`"${path}" does not say what network it holds.`, "Pass a file that `nabla train` saved.");
  }
  return { hidden: shape.hidden as number[], dropout: shape.dropout };
}
