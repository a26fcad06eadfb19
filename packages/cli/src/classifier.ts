// Networks that classify digits: the one that `nabla train mnist` trains, and what a saved one must be for `nabla predict`.
// Files describe their networks themselves (io.loadModel).
import { io, NablaError, nn, ValueError, zeros } from "nabla";

const SIDE = 28;
const CLASSES = 10;

/** Dense layers of `hidden` units, each with dropout of this rate after it. */
export function classifier(hidden: readonly number[], dropout: number): nn.Layer {
  const layers: nn.Layer[] = [nn.flatten()];
  let width = SIDE * SIDE;
  for (const units of hidden) {
    layers.push(nn.dense(width, units), nn.relu(), nn.dropout(dropout));
    width = units;
  }
  return nn.sequential(...layers, nn.dense(width, CLASSES));
}

/** The network of a file, from images [n, 28, 28] to scores of classes; throws {@link ValueError} on a network of anything else. */
export async function loadClassifier(path: string): Promise<nn.Layer> {
  const model = await io.loadModel(path);
  await requireFinite(model, path);
  // Networks of rows of pixels take them flattened.
  for (const network of [model, nn.sequential(nn.flatten(), model).eval()]) {
    if (isClassifier(network)) return network;
  }
  throw new ValueError(`"${path}" holds a network that does not classify images of ${SIDE} × ${SIDE} pixels.`, "Pass one that `nabla train mnist` saved, or any from [n, 28, 28] or [n, 784] to a score a class.");
}

/** What is computed with NaN says nothing, however sure it looks. */
async function requireFinite(model: nn.Layer, path: string): Promise<void> {
  for (const [name, variable] of Object.entries(model.variables())) {
    const wrong = (await variable.data()).find((value) => !Number.isFinite(value));
    if (wrong !== undefined) throw new ValueError(`"${path}": ${name} holds ${wrong}.`, "The training diverged, or the file is damaged: train again, e.g. with a lower learning rate.");
  }
}

function isClassifier(network: nn.Layer): boolean {
  try {
    // Only the shape is asked for: nothing is computed.
    const { shape } = network.forward(zeros([2, SIDE, SIDE]));
    return shape.length === 2 && shape[0] === 2 && shape[1]! > 1;
  } catch (error) {
    if (error instanceof NablaError) return false;
    throw error;
  }
}
