// einsum: sums of products by named axes. Two operands at a time become one batched matrix product, or one broadcast product
// where nothing is summed; so derivatives, fusion and transposes as flags follow.
import { ShapeError, ValueError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { formatShape, sizeOf } from "../ops/shape.ts";
import { mul } from "./arithmetic.ts";
import { matmul } from "./contraction.ts";
import { alias, reshape, transpose } from "./movement.ts";
import { sum } from "./reduction.ts";
import { Tensor } from "./tensor.ts";
import { nodeOf } from "./value.ts";

/** A node whose axes have names, a letter each. */
interface Term {
  readonly node: GraphNode;
  readonly labels: readonly string[];
}

/**
 * Sums of products over named axes (Einstein's notation): a letter an axis, operands separated by commas, then `->` and the axes of
 * the result. Axes that the result does not name are summed over; without `->` those are the letters that occur twice.
 *
 * Operands are joined from left to right, two at a time.
 * Throws {@link ValueError} where the equation cannot be read, {@link ShapeError} where sizes do not agree with it.
 *
 * @example
 * einsum("ij,jk->ik", tensor([[1, 2], [3, 4]]), tensor([[1], [1]])).toArray(); // [[3], [7]]
 * einsum("bqhd,bkhd->bhqk", ones([2, 5, 4, 8]), ones([2, 7, 4, 8])).shape; // [2, 4, 5, 7]
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  const { inputs, output } = parse(equation, operands.length);
  const terms = operands.map((operand, index) => ({ node: nodeOf("einsum", operand), labels: inputs[index]! }));
  requireSizes(equation, terms);
  let [result, ...rest] = terms as [Term, ...Term[]];
  while (rest.length > 0) {
    const [next, ...later] = rest as [Term, ...Term[]];
    result = join(result, next, new Set([...output, ...later.flatMap(({ labels }) => labels)]));
    rest = later;
  }
  const node = arrange(result, output);
  // A tensor of its own, even where there was nothing to do.
  return new Tensor(operands.some((operand) => operand.node === node) ? alias(node) : node);
}

function parse(equation: string, operands: number): { readonly inputs: readonly (readonly string[])[]; readonly output: readonly string[] } {
  const problem = (what: string, fix: string): ValueError => new ValueError(`einsum "${equation}": ${what}.`, fix);
  const match = /^([a-zA-Z,]*)(?:->([a-zA-Z]*))?$/.exec(equation.replaceAll(" ", ""));
  if (match === null) throw problem("this is no equation", 'Write letters, commas and one arrow, e.g. "ij,jk->ik".');
  const inputs = match[1]!.split(",").map((labels) => labels.split(""));
  if (inputs.length !== operands) throw problem(`it names ${inputs.length} operands, ${operands} were given`, "Pass one tensor for each part between commas.");
  const all = inputs.flat();
  const output = match[2] === undefined ? [...new Set(all)].filter((label) => all.indexOf(label) === all.lastIndexOf(label)).sort() : match[2].split("");
  for (const labels of [...inputs, output]) {
    const twice = labels.find((label, at) => labels.indexOf(label) !== at);
    if (twice !== undefined) throw problem(`"${twice}" stands twice in "${labels.join("")}"`, "Name each axis of one tensor differently.");
  }
  const unknown = output.find((label) => !all.includes(label));
  if (unknown !== undefined) throw problem(`no operand has the result's axis "${unknown}"`, "Name axes of the operands.");
  return { inputs, output };
}

function requireSizes(equation: string, terms: readonly Term[]): void {
  const sizes = new Map<string, number>();
  for (const { node, labels } of terms) {
    if (labels.length !== node.shape.length) {
      throw new ShapeError(`einsum "${equation}": "${labels.join("")}" names ${labels.length} axes of a tensor of shape ${formatShape(node.shape)}.`, "Name each of its axes.");
    }
    labels.forEach((label, axis) => {
      const size = sizes.get(label) ?? node.shape[axis]!;
      if (size !== node.shape[axis]) {
        throw new ShapeError(`einsum "${equation}": the axis "${label}" has ${size} and ${node.shape[axis]} entries.`, "Give axes of different sizes different letters.");
      }
      sizes.set(label, size);
    });
  }
}

const sizeOfLabel = ({ node, labels }: Term, label: string): number => node.shape[labels.indexOf(label)]!;

/** The product of two terms, summed over what is not `wanted`. */
function join(first: Term, second: Term, wanted: ReadonlySet<string>): Term {
  const a = reduce(first, (label) => wanted.has(label) || second.labels.includes(label));
  const b = reduce(second, (label) => wanted.has(label) || first.labels.includes(label));
  const shared = a.labels.filter((label) => b.labels.includes(label));
  const batch = shared.filter((label) => wanted.has(label));
  const contracted = shared.filter((label) => !wanted.has(label));
  const rows = a.labels.filter((label) => !shared.includes(label));
  const columns = b.labels.filter((label) => !shared.includes(label));
  const labels = [...batch, ...rows, ...columns];
  const sizes = (of: Term, names: readonly string[]): number[] => names.map((label) => sizeOfLabel(of, label));
  const [batchSizes, rowSizes, columnSizes] = [sizes(a, batch), sizes(a, rows), sizes(b, columns)];
  if (contracted.length === 0) {
    const left = reshape(arrange(a, [...batch, ...rows]), [...batchSizes, ...rowSizes, ...columns.map(() => 1)]);
    const right = reshape(arrange(b, [...batch, ...columns]), [...batchSizes, ...rows.map(() => 1), ...columnSizes]);
    return { node: mul(left, right), labels };
  }
  const depth = sizeOf(sizes(a, contracted));
  const left = reshape(arrange(a, [...batch, ...rows, ...contracted]), [...batchSizes, sizeOf(rowSizes), depth]);
  const right = reshape(arrange(b, [...batch, ...contracted, ...columns]), [...batchSizes, depth, sizeOf(columnSizes)]);
  return { node: reshape(matmul(left, right), [...batchSizes, ...rowSizes, ...columnSizes]), labels };
}

/** `term` summed over the axes that are not `kept`. */
function reduce({ node, labels }: Term, kept: (label: string) => boolean): Term {
  const axes = labels.flatMap((label, axis) => (kept(label) ? [] : [axis]));
  return { node: axes.length === 0 ? node : sum(node, axes, false), labels: labels.filter(kept) };
}

/** The values of `term` with the axes `labels`, the others summed over. */
function arrange(term: Term, labels: readonly string[]): GraphNode {
  const reduced = reduce(term, (label) => labels.includes(label));
  return transpose(reduced.node, labels.map((label) => reduced.labels.indexOf(label)));
}
