// Sums of values that are zero but for a range of one axis, as the derivatives of slices are:
// different ranges are concatenated instead of added up, so that a loop over T slices costs T pieces and not T wholes.
import type { DType } from "../ops/dtype.ts";
import type { AnyNode, GraphNode, OpName, OpParams } from "../ops/graph.ts";
import type { Shape } from "../ops/shape.ts";

/** Makes a node of the graph being built. */
export type Make = <P extends OpName>(op: P, inputs: readonly GraphNode[], params: OpParams[P], shape: Shape, dtype: DType) => GraphNode;

/** A value that is `value` from index `begin` of `axis` on, and zero elsewhere. */
interface Piece {
  readonly axis: number;
  readonly begin: number;
  readonly value: GraphNode;
}

/** The sum of `terms`, all of one shape; undefined where no two of them are pieces along one axis. */
export function sumOfPieces(terms: readonly GraphNode[], make: Make): GraphNode | undefined {
  const whole: GraphNode[] = [];
  const byAxis = new Map<number, Piece[]>();
  for (const term of terms) {
    const piece = pieceOf(term as AnyNode);
    const known = piece && byAxis.get(piece.axis);
    if (piece === undefined) whole.push(term);
    else if (known === undefined) byAxis.set(piece.axis, [piece]);
    else known.push(piece);
  }
  if ([...byAxis.values()].every((pieces) => pieces.length < 2)) return undefined;
  const { shape, dtype } = terms[0]!;
  const add = (a: GraphNode, b: GraphNode): GraphNode => make("add", [a, b], {}, a.shape, dtype);
  for (const [axis, pieces] of byAxis) {
    for (const layer of disjointLayers(sumsOfEqual(pieces, add))) whole.push(joined(layer, axis, shape, make));
  }
  return whole.reduce(add);
}

function pieceOf(node: AnyNode): Piece | undefined {
  if (node.op !== "pad" || node.params.value !== 0) return undefined;
  const { before, after } = node.params;
  const [axis, second] = before.flatMap((_, at) => (before[at]! + after[at]! > 0 ? [at] : []));
  return axis === undefined || second !== undefined ? undefined : { axis, begin: before[axis]!, value: node.inputs[0]! };
}

/** One piece for all of the same range, sorted by where they begin. */
function sumsOfEqual(pieces: readonly Piece[], add: (a: GraphNode, b: GraphNode) => GraphNode): Piece[] {
  const sums = new Map<string, Piece>();
  for (const piece of pieces) {
    const range = `${piece.begin},${piece.value.shape[piece.axis]}`;
    const known = sums.get(range);
    sums.set(range, known === undefined ? piece : { ...known, value: add(known.value, piece.value) });
  }
  return [...sums.values()].sort((a, b) => a.begin - b.begin);
}

/** Pieces in as few layers as possible, those of one layer apart from each other; `pieces` are sorted by where they begin. */
function disjointLayers(pieces: readonly Piece[]): Piece[][] {
  const layers: { readonly pieces: Piece[]; end: number }[] = [];
  for (const piece of pieces) {
    const end = piece.begin + piece.value.shape[piece.axis]!;
    const free = layers.find((layer) => layer.end <= piece.begin);
    if (free === undefined) layers.push({ pieces: [piece], end });
    else {
      free.pieces.push(piece);
      free.end = end;
    }
  }
  return layers.map((layer) => layer.pieces);
}

/** `pieces` side by side along `axis`, zeros in the gaps. */
function joined(pieces: readonly Piece[], axis: number, shape: Shape, make: Make): GraphNode {
  const { dtype } = pieces[0]!.value;
  const parts: GraphNode[] = [];
  let at = 0;
  const zerosTo = (begin: number): void => {
    if (begin === at) return;
    const scalar = make("constant", [], { value: 0, dtype }, [], dtype);
    const point = shape.map(() => 1);
    const gap = shape.with(axis, begin - at);
    parts.push(make("broadcast", [make("reshape", [scalar], { shape: point }, point, dtype)], { shape: gap }, gap, dtype));
  };
  for (const { begin, value } of pieces) {
    zerosTo(begin);
    parts.push(value);
    at = begin + value.shape[axis]!;
  }
  zerosTo(shape[axis]!);
  return parts.length === 1 ? parts[0]! : make("concat", parts, { axis }, shape, dtype);
}
