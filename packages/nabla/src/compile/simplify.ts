// Simplification: the graph rebuilt bottom-up, equal expressions once, and what costs nothing removed.
// The result is detached from the tensors it came from.
import { type DType, isFloating } from "../ops/dtype.ts";
import { type AnyNode, type Aval, dependencies, GraphNode, type OpName, paramsKey, topologicalOrder } from "../ops/graph.ts";
import { sameShape, type Shape, sizeOf } from "../ops/shape.ts";
import { isMovement } from "./index-map.ts";
import { type Make, sumOfPieces } from "./sum-of-pieces.ts";

/** Rebuilds the graph between `inputs` and `outputs` in its simplest form, on fresh source nodes. */
export function simplify(inputs: readonly GraphNode[], outputs: readonly GraphNode[]): {
  readonly inputs: readonly GraphNode[]; readonly outputs: readonly GraphNode[];
} {
  const stop = new Set(inputs);
  const order = topologicalOrder(outputs, stop) as readonly AnyNode[];
  const rewriter = new Rewriter(usesOf(order, outputs), partialSums(order, outputs));
  const rebuilt = new Map<GraphNode, GraphNode>(inputs.map((input) => [input, rewriter.leaf(input)]));
  // What an `after` waits for may have no other user, and then it is not there.
  for (const node of order) {
    if (!rebuilt.has(node)) rebuilt.set(node, rewriter.rewrite(node, node.inputs.flatMap((input) => rebuilt.get(input) ?? [])));
  }
  return { inputs: inputs.map((input) => rebuilt.get(input)!), outputs: outputs.map((output) => rebuilt.get(output)!) };
}

/** How often each node is read, or given as an output. */
function usesOf(order: readonly GraphNode[], outputs: readonly GraphNode[]): Map<GraphNode, number> {
  const uses = new Map<GraphNode, number>();
  for (const node of [...outputs, ...order.flatMap((reader) => reader.inputs)]) uses.set(node, (uses.get(node) ?? 0) + 1);
  return uses;
}

/** Additions that only another addition reads. */
function partialSums(order: readonly GraphNode[], outputs: readonly GraphNode[]): Set<GraphNode> {
  const partial = new Set<GraphNode>();
  const read = new Set<GraphNode>(outputs);
  for (const node of order.toReversed()) {
    for (const input of dependencies(node)) {
      if (read.has(input)) partial.delete(input);
      else if (node.op === "add" && input.op === "add") partial.add(input);
      read.add(input);
    }
  }
  return partial;
}

/** Reductions of at least this many elements into few are cut in two, so that threads can share them. */
const LONG_REDUCTION = 32768;
const FEW_RESULTS = 64;
const CHUNKS = 64;

/** Elements of a matrix from which its product with a vector is a sum. */
const LARGE_MATRIX = 16384;
/** Rows of a matrix that are added up at a time. */
const CHUNK_ROWS = 64;

/** An operand of a product as it is stored; `transposed`: its last two axes are swapped. */
interface Factor {
  readonly matrix: GraphNode;
  readonly transposed: boolean;
}

class Rewriter {
  readonly #known = new Map<string, GraphNode>();
  /** Of the nodes that are rewritten. */
  readonly #uses: ReadonlyMap<GraphNode, number>;
  /** Additions that wait for the one which reads them, as they were and as they are rewritten: a long sum is seen whole. */
  readonly #partial: ReadonlySet<GraphNode>;
  readonly #rewrittenPartial = new Set<GraphNode>();

  constructor(uses: ReadonlyMap<GraphNode, number>, partial: ReadonlySet<GraphNode>) {
    this.#uses = uses;
    this.#partial = partial;
  }

  leaf(node: GraphNode): GraphNode {
    return new GraphNode("source", [], { shape: node.shape, dtype: node.dtype }, node);
  }

  readonly #make: Make = (op, inputs, params, shape, dtype) => {
    const key = `${op}(${inputs.map((input) => input.id).join(",")})${paramsKey(params)}`;
    let node = this.#known.get(key);
    if (node === undefined) this.#known.set(key, (node = new GraphNode(op, inputs, params, { shape, dtype })));
    return node;
  };

  #fill(value: number, { shape, dtype }: Aval): GraphNode {
    const scalar = this.#make("constant", [], { value, dtype }, [], dtype);
    return this.#broadcast(this.#reshape(scalar, shape.map(() => 1)), shape);
  }

  #reshape(input: GraphNode, shape: Shape): GraphNode {
    if (sameShape(input.shape, shape)) return input;
    const source = input.op === "reshape" ? input.inputs[0]! : input;
    return sameShape(source.shape, shape) ? source : this.#make("reshape", [source], { shape }, shape, input.dtype);
  }

  #broadcast(input: GraphNode, shape: Shape): GraphNode {
    if (sameShape(input.shape, shape)) return input;
    const source = input.op === "broadcast" ? input.inputs[0]! : input;
    return this.#make("broadcast", [source], { shape }, shape, input.dtype);
  }

  rewrite(node: AnyNode, inputs: readonly GraphNode[]): GraphNode {
    if (sizeOf(node.shape) === 0) return this.#fill(0, node);
    const [a, b] = inputs as readonly [GraphNode, GraphNode];
    const folded = this.#fold(node, inputs);
    if (folded !== undefined) return folded;
    // oxlint-disable-next-line typescript/switch-exhaustiveness-check -- most primitives have no simpler form
    switch (node.op) {
      case "source":
        throw new Error("A source that is not an input of the program reached the compiler.");
      case "stopGradient":
        return a;
      case "after":
        return this.#after(a, inputs.slice(1));
      case "cast":
        if (a.dtype === node.dtype) return a;
        break;
      case "neg":
        if (a.op === "neg") return a.inputs[0]!;
        break;
      case "logicalNot":
        if (a.op === "logicalNot") return a.inputs[0]!;
        break;
      case "add":
        if (fillValue(a) === 0) return b;
        if (fillValue(b) === 0) return a;
        return this.#add(node, a, b);
      case "sub":
        if (fillValue(b) === 0) return a;
        break;
      case "mul":
        if (fillValue(a) === 1) return b;
        if (fillValue(b) === 1) return a;
        break;
      case "div":
        if (fillValue(b) === 1) return a;
        break;
      case "pow": {
        const exponent = fillValue(b);
        if (exponent === 1) return a;
        if (exponent === 2) return this.#make("mul", [a, a], {}, node.shape, node.dtype);
        break;
      }
      case "reshape":
        return this.#reshape(a, node.shape);
      case "broadcast":
        return this.#broadcast(a, node.shape);
      case "transpose":
        return this.#transposedProduct(node, a as AnyNode) ?? this.#transpose(a, node.params.permutation);
      case "slice":
        if (sameShape(a.shape, node.shape)) return a;
        break;
      case "flip":
        if (node.params.axes.every((axis) => node.shape[axis] === 1)) return a;
        break;
      case "pad":
        if (sameShape(a.shape, node.shape)) return a;
        break;
      case "concat":
        if (inputs.length === 1) return a;
        break;
      case "sum":
      case "max":
        return this.#reduce(node.op, a, node.params.axes);
      case "matmul":
        return this.#matmul(node, a, b);
      default:
        break;
    }
    return this.#make(node.op, inputs, node.params, node.shape, node.dtype);
  }

  #add(node: GraphNode, a: GraphNode, b: GraphNode): GraphNode {
    if (!this.#partial.has(node)) return sumOfPieces(this.#terms([a, b]), this.#make) ?? this.#make("add", [a, b], {}, node.shape, node.dtype);
    const sum = this.#make("add", [a, b], {}, node.shape, node.dtype);
    this.#rewrittenPartial.add(sum);
    return sum;
  }

  /** What a sum adds up, partial sums taken apart, in order. */
  #terms(sums: readonly GraphNode[]): GraphNode[] {
    const terms: GraphNode[] = [];
    const stack = sums.toReversed();
    while (stack.length > 0) {
      const term = stack.pop()!;
      if (this.#rewrittenPartial.has(term)) stack.push(...term.inputs.toReversed());
      else terms.push(term);
    }
    return terms;
  }

  /** Movements come last, so that products see transposes. Constants do not wait, and nothing waits for what is there from the start. */
  #after(x: GraphNode, others: readonly GraphNode[]): GraphNode {
    if (fillValue(x) !== undefined || x.op === "iota") return x;
    if (isMovement(x) && x.op !== "after") return this.rewrite(x, [this.#after(x.inputs[0]!, others)]);
    const later = others.filter((other) => dependencies(origin(other)).length > 0);
    return later.length === 0 ? x : this.#make("after", [x, ...later], {}, x.shape, x.dtype);
  }

  #transpose(input: GraphNode, permutation: readonly number[]): GraphNode {
    const inner = input as AnyNode;
    if (inner.op === "transpose") {
      const { permutation: first } = inner.params;
      return this.#transpose(inner.inputs[0]!, permutation.map((axis) => first[axis]!));
    }
    if (permutation.every((from, axis) => from === axis)) return input;
    const shape = permutation.map((axis) => input.shape[axis]!);
    return this.#make("transpose", [input], { permutation }, shape, input.dtype);
  }

  /** (A·B)ᵀ = Bᵀ·Aᵀ where nothing else reads A·B, so that the product is made as it is wanted: a weight's gradient, say. */
  #transposedProduct(node: Extract<AnyNode, { op: "transpose" }>, product: AnyNode): GraphNode | undefined {
    if (product.op !== "matmul" || node.inputs[0]!.op !== "matmul" || this.#uses.get(node.inputs[0]!) !== 1 || !swapsLastTwo(node.params.permutation)) return undefined;
    const [a, b] = product.inputs as readonly [GraphNode, GraphNode];
    const { transposeA, transposeB } = product.params;
    return this.#make("matmul", [b, a], { transposeA: !transposeB, transposeB: !transposeA }, node.shape, node.dtype);
  }

  /** A transposed operand becomes a flag: the packing of the product reads either order. */
  #matmul(node: Extract<AnyNode, { op: "matmul" }>, a: GraphNode, b: GraphNode): GraphNode {
    let { transposeA, transposeB } = node.params;
    const swap = (operand: GraphNode): GraphNode | undefined => {
      const moved = operand as AnyNode;
      return moved.op === "transpose" && swapsLastTwo(moved.params.permutation) ? moved.inputs[0]! : undefined;
    };
    const plainA = swap(a);
    if (plainA !== undefined) transposeA = !transposeA;
    const plainB = swap(b);
    if (plainB !== undefined) transposeB = !transposeB;
    const summed = this.#vectorProduct(node, { matrix: plainA ?? a, transposed: transposeA }, { matrix: plainB ?? b, transposed: transposeB });
    if (summed !== undefined) return summed;
    return this.#make("matmul", [plainA ?? a, plainB ?? b], { transposeA, transposeB }, node.shape, node.dtype);
  }

  /** A large matrix times a vector reads each element once: a sum over products in the order of memory, whose pieces threads share. */
  #vectorProduct(node: GraphNode, a: Factor, b: Factor): GraphNode | undefined {
    const [m, n] = node.shape.slice(-2) as [number, number];
    const size = Math.max(sizeOf(a.matrix.shape), sizeOf(b.matrix.shape));
    if (Math.min(m, n) !== 1 || sizeOf(node.shape) !== Math.max(m, n) || !isFloating(node.dtype) || size < LARGE_MATRIX) return undefined;
    // A row times a matrix stored by rows goes by whole vectors as a product, too.
    if (m === 1 && n > 1 && !b.transposed) return undefined;
    const k = a.matrix.shape.at(a.transposed ? -2 : -1)!;
    // The matrix as it lies in memory; which of its axes is k.
    const [matrix, vector, rowsAreK] = n === 1 ? [a.matrix, b.matrix, a.transposed] : [b.matrix, a.matrix, !b.transposed];
    const shape = rowsAreK ? [k, m * n] : [m * n, k];
    const repeated = this.#broadcast(this.#reshape(vector, rowsAreK ? [k, 1] : [1, k]), shape);
    const products = this.#make("mul", [this.#reshape(matrix, shape), repeated], {}, shape, node.dtype);
    const chunks = Math.floor(k / CHUNK_ROWS);
    // Few rows at a time lie in few pages of memory.
    const sum = rowsAreK && m * n > FEW_RESULTS && chunks > 1 ? this.#inChunks("sum", products, 0, chunks) : this.#reduce("sum", products, [rowsAreK ? 0 : 1]);
    return this.#reshape(sum, node.shape);
  }

  #reduce(op: "sum" | "max", input: GraphNode, axes: readonly number[]): GraphNode {
    const shape = input.shape.filter((_, axis) => !axes.includes(axis));
    if (axes.every((axis) => input.shape[axis] === 1)) return this.#reshape(input, shape);
    const value = fillValue(input);
    if (op === "sum" && value !== undefined && isFloating(input.dtype)) {
      return this.#fill(rounded(value * (sizeOf(input.shape) / Math.max(1, sizeOf(shape))), input.dtype), { shape, dtype: input.dtype });
    }
    return this.#cut(op, input, axes, shape) ?? this.#make(op, [input], { axes }, shape, input.dtype);
  }

  #cut(op: "sum" | "max", input: GraphNode, axes: readonly number[], shape: Shape): GraphNode | undefined {
    const length = axes.reduce((product, axis) => product * input.shape[axis]!, 1);
    if (length < LONG_REDUCTION || sizeOf(shape) > FEW_RESULTS) return undefined;
    const [outer, ...inner] = axes as [number, ...number[]];
    if (inner.length > 0 && input.shape[outer]! >= 2) {
      return this.#reduce(op, this.#reduce(op, input, inner), [outer]);
    }
    if (inner.length > 0 || input.shape[outer]! < LONG_REDUCTION) return undefined;
    return this.#inChunks(op, input, outer, CHUNKS);
  }

  /** The reduction of one axis, first within each of `chunks` equal parts of it. */
  #inChunks(op: "sum" | "max", input: GraphNode, outer: number, chunks: number): GraphNode {
    const shape = input.shape.toSpliced(outer, 1);
    const extent = input.shape[outer]!;
    const width = Math.floor(extent / chunks);
    const part = (begin: number, end: number): GraphNode => this.rewrite(sliceOf(input, outer, begin, end), [input]);
    const split = input.shape.toSpliced(outer, 1, chunks, width);
    const partial = this.#reduce(op, this.#reshape(part(0, chunks * width), split), [outer + 1]);
    const whole = this.#reduce(op, partial, [outer]);
    if (chunks * width === extent) return whole;
    const rest = this.#reduce(op, part(chunks * width, extent), [outer]);
    return this.#make(op === "sum" ? "add" : "maximum", [whole, rest], {}, shape, input.dtype);
  }

  /** Elementwise arithmetic on values that are the same number everywhere. */
  #fold(node: AnyNode, inputs: readonly GraphNode[]): GraphNode | undefined {
    const compute = foldable[node.op];
    // Integer arithmetic wraps on the device, which this would not.
    if (compute === undefined || (!isFloating(node.dtype) && node.op !== "cast") || node.dtype === "uint8") return undefined;
    const values = inputs.map(fillValue);
    if (values.some((value) => value === undefined)) return undefined;
    return this.#fill(rounded(compute(...(values as number[])), node.dtype), node);
  }
}

const foldable: Partial<Record<OpName, (...values: number[]) => number>> = {
  neg: (a) => -a!,
  sqrt: (a) => Math.sqrt(a!),
  add: (a, b) => a! + b!,
  sub: (a, b) => a! - b!,
  mul: (a, b) => a! * b!,
  cast: (a) => a!,
};

/** Rounds to what the dtype holds. */
function rounded(value: number, dtype: DType): number {
  switch (dtype) {
    case "float32":
      return Math.fround(value);
    case "float64":
      return value;
    case "bool":
      return value === 0 ? 0 : 1;
    case "int32":
      return Number.isNaN(value) ? 0 : Math.trunc(Math.min(Math.max(value, -(2 ** 31)), 2 ** 31 - 1));
    case "uint8":
      return value & 255;
  }
}

/** The value that `node` is a view of. */
function origin(node: GraphNode): GraphNode {
  let current = node;
  while (isMovement(current)) current = current.inputs[0]!;
  return current;
}

function swapsLastTwo(permutation: readonly number[]): boolean {
  const last = permutation.length - 1;
  return last > 0 && permutation.every((from, axis) => from === (axis === last ? last - 1 : axis === last - 1 ? last : axis));
}

/** The number that fills `node`, if it is a constant behind reshapes and broadcasts. */
export function fillValue(node: GraphNode): number | undefined {
  let current = node as AnyNode;
  while ((current.op === "reshape" || current.op === "broadcast") && current.storage === undefined) current = current.inputs[0] as AnyNode;
  return current.op === "constant" ? current.params.value : undefined;
}

function sliceOf(input: GraphNode, axis: number, begin: number, end: number): GraphNode<"slice"> {
  const zeros = input.shape.map(() => 0);
  const params = { begin: zeros.with(axis, begin), end: input.shape.with(axis, end), step: input.shape.map(() => 1) };
  return new GraphNode("slice", [input], params, { shape: input.shape.with(axis, end - begin), dtype: input.dtype });
}
