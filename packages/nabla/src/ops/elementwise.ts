// Elementwise primitives. Their Jacobians are diagonal, so one map v ↦ v·∂out/∂input serves vjp and jvp alike.
// Conventions are PyTorch's: relu'(0) = 0, ties of maximum and minimum share evenly, NaN propagates.
import { alignBatch, scalarLike } from "./broadcast.ts";
import { requireDType, requireElementType, requireFloating, requireNumber, requireSame, requireSameShape, requireSigned } from "./check.ts";
import { type DType, isFloating } from "./dtype.ts";
import type { Aval, GraphNode, OpName, OpParams } from "./graph.ts";
import type { KindOf } from "./kind.ts";
import { apply, correctlyRounded, type ErrorSample, type HostValue, type Rule, type RuleContext, type Sample } from "./rule.ts";
import { aval, host, spread } from "./sample.ts";

/** Primitives of one operand. The kernels' register forms (loops/scalar.ts) and Tensor's methods follow this list. */
export type UnaryOp = "neg" | "abs" | "sign" | "floor" | "exp" | "expm1" | "log" | "log1p" | "sqrt" | "sin" | "cos" | "tanh" | "sigmoid" | "softplus" | "relu" | "logicalNot";
/** Primitives of two operands. Comparisons give bool. */
export type BinaryOp =
  "add" | "sub" | "mul" | "div" | "pow" | "maximum" | "minimum" | "equal" | "less" | "lessEqual" | "logicalAnd" | "logicalOr";
type ElementwiseOp = UnaryOp | BinaryOp | "select" | "stopGradient";

/** A primitive as the function that builds its node, with everything else about it in `rule`. */
export interface Unary<P extends OpName> {
  (x: GraphNode): GraphNode<P>;
  readonly rule: Rule<P>;
}

/** As {@link Unary}, of two operands. */
export interface Binary<P extends OpName> {
  (a: GraphNode, b: GraphNode): GraphNode<P>;
  readonly rule: Rule<P>;
}

type PlainSample = Sample<"add">;
type PlainError = ErrorSample<"add">;
type Scale = (context: RuleContext<OpName>, v: GraphNode) => GraphNode | null;

interface Parts {
  /** The output of the operands, or a refusal. */
  readonly shape: (op: OpName, operands: readonly Aval[]) => Aval;
  /** One element from one element of each input; `dtype` is the output's. */
  readonly element: (a: number, b: number, c: number, dtype: DType) => number;
  /** See {@link Rule.cost}. */
  readonly cost: number;
  /** See {@link RoundingError}: relative, 1 by default. */
  readonly roundingError?: number;
  /** See {@link RoundingError}: absolute, 0 by default. */
  readonly absoluteError?: number;
  /** For each input v ↦ v·∂out/∂input, or null where that is zero everywhere. */
  readonly derivatives: "none" | readonly Scale[];
  readonly samples: () => readonly PlainSample[];
  readonly errors: readonly PlainError[];
}

function elementwise<P extends ElementwiseOp>(op: P, parts: Parts): Rule<P> {
  const { shape, element, cost, roundingError = 1, absoluteError = 0, derivatives, samples, errors } = parts;
  const params = {} as OpParams[P];
  const rule: Rule<P> = {
    op,
    kind: "elementwise" as KindOf<P>,
    cost,
    shape: (operands) => shape(op, operands),
    reference: ([a, b, c], _, out) => {
      const [x, y, z] = [a!.data, b?.data, c?.data];
      for (let i = 0; i < out.data.length; i++) out.data[i] = element(x[i]!, y?.[i] ?? 0, z?.[i] ?? 0, out.dtype);
    },
    roundingError: { relative: roundingError, absolute: () => absoluteError },
    vjp: derivatives === "none" ? "none" : (context, cotangent) => derivatives.map((scale) => scale(context as RuleContext<OpName>, cotangent)),
    jvp:
      derivatives === "none"
        ? "none"
        : (context, tangents) =>
            sumOf(tangents.map((tangent, index) => (tangent === null ? null : derivatives[index]!(context as RuleContext<OpName>, tangent)))),
    batch: (inputs, batched, _, size) => apply(rule, alignBatch(inputs, batched, size), params),
    samples: () => samples().map((sample) => ({ ...sample, params })),
    errors: errors.map((error) => ({ ...error, params })),
  };
  return rule;
}

function unary<P extends ElementwiseOp>(op: P, parts: Parts): Unary<P> {
  const rule = elementwise(op, parts);
  return Object.assign((x: GraphNode) => apply(rule, [x], {} as OpParams[P]), { rule });
}

function binary<P extends ElementwiseOp>(op: P, parts: Parts): Binary<P> {
  const rule = elementwise(op, parts);
  return Object.assign((a: GraphNode, b: GraphNode) => apply(rule, [a, b], {} as OpParams[P]), { rule });
}

/** The sum of what is not null. */
export function sumOf(terms: readonly (GraphNode | null)[]): GraphNode | null {
  return terms.reduce((total, term) => (total === null ? term : term === null ? total : add(total, term)), null);
}

/** Operands of one shape and a dtype that `check` takes, which the output has as well. */
function like(check?: (op: OpName, operand: Aval) => void): Parts["shape"] {
  return (op, [a, b]) => {
    if (b !== undefined) requireSame(op, a!, b);
    check?.(op, a!);
    return { shape: a!.shape, dtype: a!.dtype };
  };
}

function logicalShape(op: OpName, operands: readonly Aval[]): Aval {
  for (const operand of operands) requireDType(op, "an operand", operand, "bool");
  const [a, b] = operands;
  if (b !== undefined) requireSameShape(op, a!.shape, b.shape);
  return { shape: a!.shape, dtype: "bool" };
}

const inputOf = (context: RuleContext<OpName>, index = 0): GraphNode => context.inputs[index]!;

/** v where lo < hi, nothing where hi < lo, half of it where they tie. */
function share(lo: GraphNode, hi: GraphNode, v: GraphNode): GraphNode {
  const shared = select(less(hi, lo), scalarLike(0, v), mul(v, scalarLike(0.5, v)));
  return select(less(lo, hi), v, shared);
}

/** a^(b − 1)·b; at b = 0 the power is replaced before it is taken, so that no derivative of it is ∞·0. */
function powByBase({ inputs }: RuleContext<OpName>, v: GraphNode): GraphNode {
  const [a, b] = inputs as readonly [GraphNode, GraphNode];
  const zero = scalarLike(0, b);
  const one = scalarLike(1, b);
  const flat = equal(b, zero);
  const exponent = select(flat, one, b);
  const slope = mul(b, pow(a, sub(exponent, one)));
  return mul(v, select(flat, zero, slope));
}

/** a^b·log a; 0 at a = 0, where the function of b is flat for b > 0. */
function powByExponent({ inputs, output }: RuleContext<OpName>, v: GraphNode): GraphNode {
  const a = inputs[0]!;
  const zero = scalarLike(0, a);
  const flat = equal(a, zero);
  const logarithm = log(select(flat, scalarLike(1, a), a));
  return mul(v, select(flat, zero, mul(output, logarithm)));
}

function shapes(make: (shape: readonly number[], dtype: DType) => readonly HostValue[]): PlainSample[] {
  const sample = (shape: readonly number[], dtype: DType, name?: string): PlainSample => ({ inputs: make(shape, dtype), params: {}, ...(name === undefined ? {} : { name }) });
  return [
    sample([2, 3], "float32"),
    sample([], "float32", "scalar"),
    sample([1], "float32", "one element"),
    sample([3, 7], "float32", "odd sizes"),
    sample([17], "float32", "odd size"),
    sample([0, 3], "float32", "empty"),
    sample([5], "float64", "float64"),
  ];
}

/** Samples of a function of one variable on [low, high), and of what happens at the ends. */
function unarySamples(low: number, high: number, extremes: readonly number[] = []): PlainSample[] {
  const samples = shapes((shape, dtype) => [spread(dtype, shape, low, high)]);
  if (extremes.length === 0) return samples;
  return [...samples, ...(["float32", "float64"] as const).map((dtype) => ({
    inputs: [host(dtype, [extremes.length], extremes)], params: {}, name: `extremes ${dtype}`, differentiable: false,
  }))];
}

function binarySamples(low: number, high: number, low2 = low, high2 = high): PlainSample[] {
  return shapes((shape, dtype) => [spread(dtype, shape, low, high), spread(dtype, shape, low2, high2, 1)]);
}

/** a and b, element by element, in `dtype`. */
function pairs(dtype: DType, name: string, list: readonly (readonly [number, number])[]): PlainSample {
  return {
    inputs: [host(dtype, [list.length], list.map(([a]) => a)), host(dtype, [list.length], list.map(([, b]) => b))],
    params: {}, name, differentiable: false,
  };
}

const integers = (): PlainSample => ({ inputs: [host("int32", [5], [-7, -1, 0, 3, 12])], params: {}, name: "int32" });
const integerPairs = (): PlainSample => pairs("int32", "int32 wraps", [[7, -3], [2147483647, 1], [-2147483648, 1], [65537, 65537], [-9, 2]]);
const bytePairs = (): PlainSample => pairs("uint8", "uint8 wraps", [[200, 100], [3, 5], [255, 255], [0, 0]]);
const special = [0, -0, 1, -1, Infinity, -Infinity, NaN];
const specialPairs = (): PlainSample => pairs("float32", "special values", special.flatMap((a) => special.map((b) => [a, b] as const)));

const floatingOnly: readonly PlainError[] = [{ inputs: [aval("int32", 3)], params: {}, message: /takes float32 or float64, not int32/ }];
const signedOnly: readonly PlainError[] = [
  { inputs: [aval("uint8", 3)], params: {}, message: /takes float32, float64 or int32, not uint8/ },
  { inputs: [aval("bool", 3)], params: {}, message: /not bool/ },
];
const sameOnly: readonly PlainError[] = [
  { inputs: [aval("float32", 2, 3), aval("float32", 2, 4)], params: {}, message: /\[2, 3\] and \[2, 4\] differ: axis 1 has 3 and 4/ },
  { inputs: [aval("float32", 2), aval("float32", 2, 1)], params: {}, message: /\[2\] and \[2, 1\] differ in rank/ },
  { inputs: [aval("float32", 2), aval("int32", 2)], params: {}, message: /dtypes float32 and int32 differ/ },
];
const numbersOnly: readonly PlainError[] = [...sameOnly, { inputs: [aval("bool", 2), aval("bool", 2)], params: {}, message: /takes numbers, not bool/ }];

export const neg: Unary<"neg"> = unary("neg", {
  shape: like(requireSigned),
  element: (a) => -a,
  cost: 1,
  derivatives: [(_, v) => neg(v)],
  samples: () => [...unarySamples(-3, 3, [0, -0, Infinity, NaN]), integers()],
  errors: signedOnly,
});

export const abs: Unary<"abs"> = unary("abs", {
  shape: like(requireSigned),
  element: Math.abs,
  cost: 1,
  derivatives: [(c, v) => mul(v, sign(inputOf(c)))],
  samples: () => [...unarySamples(-3, 3, [0, -0, -Infinity, NaN]), integers()],
  errors: signedOnly,
});

export const sign: Unary<"sign"> = unary("sign", {
  shape: like(requireSigned),
  element: Math.sign,
  cost: 1,
  derivatives: "none",
  samples: () => [...unarySamples(-3, 3, [0, Infinity, -Infinity]), integers()],
  errors: signedOnly,
});

export const floor: Unary<"floor"> = unary("floor", {
  shape: like(requireFloating),
  element: Math.floor,
  cost: 1,
  derivatives: "none",
  samples: () => unarySamples(-3, 3, [-1, -0.5, 0, 0.5, 2, 1e9, -3e9, Infinity, NaN]),
  errors: floatingOnly,
});

export const exp: Unary<"exp"> = unary("exp", {
  shape: like(requireFloating),
  element: Math.exp,
  cost: 12,
  roundingError: 4,
  derivatives: [({ output }, v) => mul(v, output)],
  samples: () => unarySamples(-4, 4, [0, -0, 88, 89, 1000, -80, -1000, 1e-8, Infinity, -Infinity, NaN]),
  errors: floatingOnly,
});

/** eˣ − 1, exact near 0. */
export const expm1: Unary<"expm1"> = unary("expm1", {
  shape: like(requireFloating),
  element: Math.expm1,
  cost: 14,
  roundingError: 4,
  // Not output + 1, which is rounded away where eˣ is small.
  derivatives: [(c, v) => mul(v, exp(inputOf(c)))],
  samples: () => unarySamples(-4, 4, [0, -0, 1e-10, -1e-30, 1e-4, -0.3, 88, 1000, -20, -1000, Infinity, -Infinity, NaN]),
  errors: floatingOnly,
});

/** Natural logarithm. */
export const log: Unary<"log"> = unary("log", {
  shape: like(requireFloating),
  element: Math.log,
  cost: 12,
  roundingError: 4,
  absoluteError: 0.25,
  derivatives: [(c, v) => div(v, inputOf(c))],
  samples: () => unarySamples(0.1, 5, [0, 1, 1e-30, 1e30, 0.999999, 1.000001, Infinity, -1, NaN]),
  errors: floatingOnly,
});

/** log(1 + x), exact near 0. */
export const log1p: Unary<"log1p"> = unary("log1p", {
  shape: like(requireFloating),
  element: Math.log1p,
  cost: 16,
  roundingError: 4,
  derivatives: [(c, v) => div(v, add(inputOf(c), scalarLike(1, v)))],
  samples: () => unarySamples(-0.9, 5, [0, -0, 1e-10, -1e-30, 1e-4, -1, -0.99, -2, 1e7, 1e30, Infinity, -Infinity, NaN]),
  errors: floatingOnly,
});

export const sqrt: Unary<"sqrt"> = unary("sqrt", {
  shape: like(requireFloating),
  element: Math.sqrt,
  cost: 4,
  derivatives: [({ output }, v) => div(v, add(output, output))],
  samples: () => unarySamples(0.1, 5, [0, 1, 1e-30, 1e30, Infinity, -1, NaN]),
  errors: floatingOnly,
});

export const sin: Unary<"sin"> = unary("sin", {
  shape: like(requireFloating),
  element: Math.sin,
  cost: 16,
  roundingError: 6,
  // Near their zeros, which no multiple of the rounded π hits.
  derivatives: [(c, v) => mul(v, cos(inputOf(c)))],
  samples: () => unarySamples(-7, 7, [0, -0, 100, -1000, 1e5, -1e9, 1e15, -1e22, 1e30, Infinity, NaN]),
  errors: floatingOnly,
});

export const cos: Unary<"cos"> = unary("cos", {
  shape: like(requireFloating),
  element: Math.cos,
  cost: 16,
  roundingError: 6,
  // Near their zeros, which no multiple of the rounded π hits.
  derivatives: [(c, v) => neg(mul(v, sin(inputOf(c))))],
  samples: () => unarySamples(-7, 7, [0, 100, -1000, 1e5, -1e9, 1e15, -1e22, 1e30, Infinity, NaN]),
  errors: floatingOnly,
});

export const tanh: Unary<"tanh"> = unary("tanh", {
  shape: like(requireFloating),
  element: Math.tanh,
  cost: 14,
  roundingError: 6,
  derivatives: [({ output }, v) => sub(v, mul(v, mul(output, output)))],
  samples: () => unarySamples(-3, 3, [0, -0, 1e-8, -1e-4, 9, -9, 20, 1000, Infinity, -Infinity, NaN]),
  errors: floatingOnly,
});

export const sigmoid: Unary<"sigmoid"> = unary("sigmoid", {
  shape: like(requireFloating),
  element: (a) => (a >= 0 ? 1 / (1 + Math.exp(-a)) : Math.exp(a) / (1 + Math.exp(a))),
  cost: 14,
  roundingError: 6,
  derivatives: [({ output }, v) => mul(v, sub(output, mul(output, output)))],
  samples: () => unarySamples(-5, 5, [0, 20, -20, 80, -80, 1000, -1000, Infinity, -Infinity, NaN]),
  errors: floatingOnly,
});

/** log(1 + eˣ), without overflow; its tails are x and eˣ. */
export const softplus: Unary<"softplus"> = unary("softplus", {
  shape: like(requireFloating),
  element: (a) => Math.max(a, 0) + Math.log1p(Math.exp(-Math.abs(a))),
  cost: 24,
  roundingError: 6,
  derivatives: [(c, v) => mul(v, sigmoid(inputOf(c)))],
  samples: () => unarySamples(-5, 5, [0, -0, 1e-8, 20, -20, 80, -80, 1000, -1000, Infinity, -Infinity, NaN]),
  errors: floatingOnly,
});

export const relu: Unary<"relu"> = unary("relu", {
  shape: like(requireSigned),
  element: (a) => (a < 0 ? 0 : a),
  cost: 1,
  // The output tells the sign as well as the input does, and a layer keeps it anyway.
  derivatives: [({ output }, v) => select(less(scalarLike(0, output), output), v, scalarLike(0, v))],
  samples: () => [...unarySamples(-2, 2, [0, -0, Infinity, -Infinity, NaN]), integers()],
  errors: signedOnly,
});

export const logicalNot: Unary<"logicalNot"> = unary("logicalNot", {
  shape: logicalShape,
  element: (a) => (a === 0 ? 1 : 0),
  cost: 1,
  derivatives: "none",
  samples: () => [
    { inputs: [host("bool", [5], [1, 0, 0, 1, 1])], params: {} },
    { inputs: [host("bool", [0], [])], params: {}, name: "empty" },
    { inputs: [spread("bool", [3, 7], 0, 2)], params: {}, name: "odd sizes" },
  ],
  errors: [{ inputs: [aval("float32", 2)], params: {}, message: /must be bool, not float32/ }],
});

/** The same values, through which no derivative passes. */
export const stopGradient: Unary<"stopGradient"> = unary("stopGradient", {
  shape: like(),
  element: (a) => a,
  cost: 0,
  derivatives: "none",
  samples: () => [...unarySamples(-3, 3, [0, Infinity, NaN]), integers(), { inputs: [host("bool", [3], [1, 0, 1])], params: {}, name: "bool" }],
  errors: [],
});

export const add: Binary<"add"> = binary("add", {
  shape: like(requireNumber),
  element: (a, b) => a + b,
  cost: 1,
  derivatives: [(_, v) => v, (_, v) => v],
  samples: () => [...binarySamples(-3, 3), integerPairs(), bytePairs(), specialPairs()],
  errors: numbersOnly,
});

export const sub: Binary<"sub"> = binary("sub", {
  shape: like(requireNumber),
  element: (a, b) => a - b,
  cost: 1,
  derivatives: [(_, v) => v, (_, v) => neg(v)],
  samples: () => [...binarySamples(-3, 3), integerPairs(), bytePairs(), specialPairs()],
  errors: numbersOnly,
});

export const mul: Binary<"mul"> = binary("mul", {
  shape: like(requireNumber),
  element: (a, b, _, dtype) => (isFloating(dtype) ? a * b : Math.imul(a, b)),
  cost: 1,
  derivatives: [(c, v) => mul(v, inputOf(c, 1)), (c, v) => mul(v, inputOf(c))],
  samples: () => [...binarySamples(-3, 3), integerPairs(), bytePairs(), specialPairs()],
  errors: numbersOnly,
});

/** On integers truncates toward zero; by zero gives 0. */
export const div: Binary<"div"> = binary("div", {
  shape: like(requireNumber),
  element: (a, b, _, dtype) => (isFloating(dtype) ? a / b : b === 0 ? 0 : Math.trunc(a / b)),
  cost: 4,
  derivatives: [(c, v) => div(v, inputOf(c, 1)), (c, v) => neg(div(mul(v, c.output), inputOf(c, 1)))],
  samples: () => [
    ...binarySamples(-3, 3, 0.5, 3),
    specialPairs(),
    pairs("int32", "int32 truncates, by zero is 0", [[7, 2], [-7, 2], [7, -2], [5, 0], [-5, 0], [0, 3], [-2147483648, -1]]),
  ],
  errors: numbersOnly,
});

export const pow: Binary<"pow"> = binary("pow", {
  shape: like(requireFloating),
  element: power,
  cost: 24,
  roundingError: 2,
  derivatives: [powByBase, powByExponent],
  samples: () => [
    ...binarySamples(0.2, 3, -2, 3),
    { inputs: [host("float32", [6], [-2, -1, -0.5, 2, 3, -3]), host("float32", [6], [2, 3, 1, 2, 3, 4])], params: {}, name: "integer powers of negative numbers", differentiable: false },
    pairs("float32", "zero and infinity", [[0, 0], [0, 1], [0, 2.5], [0, -1], [2, 0], [-3, 0], [Infinity, 2], [Infinity, -1], [2, Infinity], [0.5, Infinity], [-8, 1 / 3], [1, 5]]),
  ],
  errors: [...sameOnly, { inputs: [aval("int32", 2), aval("int32", 2)], params: {}, message: /takes float32 or float64, not int32/ }],
});

/** IEEE 754 has 1 for 1^y and for (−1)^±∞; JavaScript has NaN. */
function power(a: number, b: number): number {
  return a === 1 || (a === -1 && Math.abs(b) === Infinity) ? 1 : a ** b;
}

export const maximum: Binary<"maximum"> = binary("maximum", {
  shape: like(requireNumber),
  element: (a, b) => Math.max(a, b),
  cost: 1,
  derivatives: [(c, v) => share(inputOf(c, 1), inputOf(c), v), (c, v) => share(inputOf(c), inputOf(c, 1), v)],
  samples: () => [...binarySamples(-3, 3), integerPairs(), bytePairs(), specialPairs()],
  errors: numbersOnly,
});

export const minimum: Binary<"minimum"> = binary("minimum", {
  shape: like(requireNumber),
  element: (a, b) => Math.min(a, b),
  cost: 1,
  derivatives: [(c, v) => share(inputOf(c), inputOf(c, 1), v), (c, v) => share(inputOf(c, 1), inputOf(c), v)],
  samples: () => [...binarySamples(-3, 3), integerPairs(), bytePairs(), specialPairs()],
  errors: numbersOnly,
});

function comparison(op: "equal" | "less" | "lessEqual", compare: (a: number, b: number) => boolean): Parts {
  return {
    shape: (_, [a, b]) => {
      requireSame(op, a!, b!);
      return { shape: a!.shape, dtype: "bool" };
    },
    element: (a, b) => (compare(a, b) ? 1 : 0),
    cost: 1,
    derivatives: "none",
    samples: () => [
      ...binarySamples(-3, 3),
      specialPairs(),
      pairs("int32", "int32", [[1, 1], [2, 1], [-1, 1], [2147483647, -2147483648]]),
      pairs("uint8", "uint8", [[200, 100], [3, 5], [255, 255]]),
      pairs("bool", "bool", [[0, 0], [0, 1], [1, 0], [1, 1]]),
    ],
    errors: [...sameOnly, { inputs: [aval("int32", 2), aval("bool", 2)], params: {}, message: new RegExp(`^${op}: dtypes int32 and bool differ`) }],
  };
}

export const equal: Binary<"equal"> = binary("equal", comparison("equal", (a, b) => a === b));
export const less: Binary<"less"> = binary("less", comparison("less", (a, b) => a < b));
export const lessEqual: Binary<"lessEqual"> = binary("lessEqual", comparison("lessEqual", (a, b) => a <= b));

function logical(combine: (a: number, b: number) => boolean): Parts {
  return {
    shape: logicalShape,
    element: (a, b) => (combine(a, b) ? 1 : 0),
    cost: 1,
    derivatives: "none",
    samples: () => [
      pairs("bool", "truth table", [[0, 0], [0, 1], [1, 0], [1, 1]]),
      { inputs: [spread("bool", [3, 7], 0, 2), spread("bool", [3, 7], 0, 2, 1)], params: {}, name: "odd sizes" },
      { inputs: [host("bool", [0], []), host("bool", [0], [])], params: {}, name: "empty" },
    ],
    errors: [
      { inputs: [aval("int32", 2), aval("int32", 2)], params: {}, message: /must be bool, not int32/ },
      { inputs: [aval("bool", 2), aval("bool", 3)], params: {}, message: /axis 0 has 2 and 3/ },
    ],
  };
}

export const logicalAnd: Binary<"logicalAnd"> = binary("logicalAnd", logical((a, b) => a !== 0 && b !== 0));
export const logicalOr: Binary<"logicalOr"> = binary("logicalOr", logical((a, b) => a !== 0 || b !== 0));

/** `condition ? a : b`, element by element. */
export function select(condition: GraphNode, a: GraphNode, b: GraphNode): GraphNode<"select"> {
  return apply(selectRule, [condition, a, b], {});
}

export const selectRule: Rule<"select"> = elementwise("select", {
  shape: (op, [condition, a, b]) => {
    requireDType(op, "the condition", condition!, "bool");
    requireSame(op, a!, b!);
    requireSameShape(op, condition!.shape, a!.shape);
    return { shape: a!.shape, dtype: a!.dtype };
  },
  element: (condition, a, b) => (condition !== 0 ? a : b),
  cost: 1,
  derivatives: [
    () => null,
    (c, v) => select(inputOf(c), v, scalarLike(0, v)),
    (c, v) => select(inputOf(c), scalarLike(0, v), v),
  ],
  samples: () => [
    ...shapes((shape, dtype) => [spread("bool", shape, 0, 2, 2), spread(dtype, shape, -3, 3), spread(dtype, shape, -3, 3, 1)]),
    { inputs: [host("bool", [4], [1, 0, 1, 0]), host("float32", [4], [1, NaN, Infinity, 2]), host("float32", [4], [NaN, 3, -Infinity, NaN])], params: {}, name: "NaN on the other side", differentiable: false },
    { inputs: [host("bool", [3], [1, 0, 1]), host("int32", [3], [1, 2, 3]), host("int32", [3], [-1, -2, -3])], params: {}, name: "int32" },
    { inputs: [host("bool", [3], [1, 0, 1]), host("uint8", [3], [1, 2, 3]), host("uint8", [3], [250, 251, 252])], params: {}, name: "uint8" },
    { inputs: [host("bool", [3], [1, 0, 1]), host("bool", [3], [1, 1, 0]), host("bool", [3], [0, 0, 1])], params: {}, name: "bool" },
  ],
  errors: [
    { inputs: [aval("float32", 2), aval("float32", 2), aval("float32", 2)], params: {}, message: /the condition must be bool, not float32/ },
    { inputs: [aval("bool", 3), aval("float32", 2), aval("float32", 2)], params: {}, message: /\[3\] and \[2\] differ: axis 0/ },
    { inputs: [aval("bool", 2), aval("float32", 2), aval("float64", 2)], params: {}, message: /dtypes float32 and float64 differ/ },
  ],
});

/** Conversion as hardware has it: to int32 truncates and saturates, NaN is 0; to uint8 then keeps the low byte; to bool is ≠ 0. */
function convert(value: number, dtype: DType): number {
  if (isFloating(dtype)) return value;
  if (dtype === "bool") return value !== 0 ? 1 : 0;
  const integer = Number.isNaN(value) ? 0 : Math.trunc(Math.min(Math.max(value, -(2 ** 31)), 2 ** 31 - 1));
  return dtype === "uint8" ? integer & 255 : integer;
}

function castSample(input: HostValue, dtype: DType, name?: string): Sample<"cast"> {
  return { inputs: [input], params: { dtype }, ...(name === undefined ? {} : { name }) };
}

const everyDType: readonly DType[] = ["float32", "float64", "int32", "uint8", "bool"];

/** Conversion: to int32 truncates and saturates, to uint8 then keeps the low byte, to bool is ≠ 0. */
export function cast(x: GraphNode, dtype: DType): GraphNode<"cast"> {
  return apply(castRule, [x], { dtype });
}

export const castRule: Rule<"cast"> = {
  op: "cast",
  kind: "elementwise",
  cost: 1,
  shape: ([x], { dtype }) => {
    requireElementType("cast", dtype);
    return { shape: x!.shape, dtype };
  },
  reference: ([x], { dtype }, out) => {
    for (let i = 0; i < out.data.length; i++) out.data[i] = convert(x!.data[i]!, dtype);
  },
  roundingError: correctlyRounded,
  vjp: ({ inputs: [x] }, cotangent) => [isFloating(x!.dtype) ? cast(cotangent, x!.dtype) : null],
  jvp: ({ params: { dtype } }, [tangent]) => (isFloating(dtype) ? cast(tangent!, dtype) : null),
  batch: ([x], _, { dtype }) => cast(x!, dtype),
  samples: () => [
    ...everyDType.flatMap((from) => everyDType.map((to) => castSample(from === "bool" ? spread("bool", [3, 7], 0, 2) : spread(from, [3, 7], 0, 100), to, `${from} to ${to}`))),
    ...everyDType.flatMap((to) => (["float32", "float64"] as const).map((from): Sample<"cast"> =>
      ({ inputs: [host(from, [10], [0.5, -0.5, -1.7, 300.9, -1, 3e9, -3e9, 0, 1, 16777217])], params: { dtype: to }, name: `rounds and saturates ${from} to ${to}`, differentiable: false }))),
    castSample(host("float32", [3], [NaN, Infinity, -Infinity]), "int32", "not finite"),
    castSample(host("float32", [3], [NaN, Infinity, 0]), "bool", "not finite"),
    castSample(host("int32", [5], [-1, 256, 511, -2147483648, 7]), "uint8", "keeps the low byte"),
    castSample(host("float32", [0], []), "int32", "empty"),
  ],
  errors: [{ inputs: [aval("float32", 3)], params: { dtype: "half" as DType }, message: /cast: "half" is no dtype/ }],
};

/** The rules of {@link UnaryOp}. */
export const unaryRules: { readonly [P in UnaryOp]: Rule<P> } = {
  neg: neg.rule, abs: abs.rule, sign: sign.rule, floor: floor.rule, exp: exp.rule, expm1: expm1.rule, log: log.rule, log1p: log1p.rule, sqrt: sqrt.rule,
  sin: sin.rule, cos: cos.rule, tanh: tanh.rule, sigmoid: sigmoid.rule, softplus: softplus.rule, relu: relu.rule, logicalNot: logicalNot.rule,
};

/** The rules of {@link BinaryOp}. */
export const binaryRules: { readonly [P in BinaryOp]: Rule<P> } = {
  add: add.rule, sub: sub.rule, mul: mul.rule, div: div.rule, pow: pow.rule, maximum: maximum.rule, minimum: minimum.rule,
  equal: equal.rule, less: less.rule, lessEqual: lessEqual.rule, logicalAnd: logicalAnd.rule, logicalOr: logicalOr.rule,
};
