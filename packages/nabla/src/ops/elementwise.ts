// Elementwise primitives. Their Jacobians are diagonal, so one map v ↦ v·∂out/∂input serves vjp and jvp alike.
// Conventions are PyTorch's: relu'(0) = 0, ties of maximum and minimum share evenly, NaN propagates.
import * as ops from "./build.ts";
import { type DType, isFloating } from "./dtype.ts";
import type { GraphNode, OpName, OpParams } from "./graph.ts";
import { infer } from "./infer.ts";
import type { ErrorSample, HostValue, Rule, RuleContext, Sample } from "./rule.ts";
import { aval, host, spread } from "./sample.ts";

/** Primitives without parameters that compute out[i] from input[i] alone. */
type Elementwise = { [P in OpName]: OpParams[P] extends Readonly<Record<never, never>> ? (Readonly<Record<never, never>> extends OpParams[P] ? P : never) : never }[OpName];
type PlainSample = Sample<"add">;
type PlainError = ErrorSample<"add">;
type Scale = (context: RuleContext<OpName>, v: GraphNode) => GraphNode | null;

interface Parts {
  /** One element from one element of each input; `dtype` is the output's. */
  readonly element: (a: number, b: number, c: number, dtype: DType) => number;
  /** For each input v ↦ v·∂out/∂input, or null where that is zero everywhere. */
  readonly derivatives: "none" | readonly Scale[];
  readonly samples: () => readonly PlainSample[];
  readonly errors: readonly PlainError[];
}

function elementwise<P extends Elementwise>(op: P, { element, derivatives, samples, errors }: Parts): Rule<P> {
  const params = {} as OpParams[P];
  return {
    shape: infer[op],
    reference: ([a, b, c], _, out) => {
      const [x, y, z] = [a!.data, b?.data, c?.data];
      for (let i = 0; i < out.data.length; i++) out.data[i] = element(x[i]!, y?.[i] ?? 0, z?.[i] ?? 0, out.dtype);
    },
    vjp: derivatives === "none" ? "none" : (context, cotangent) => derivatives.map((scale) => scale(context as RuleContext<OpName>, cotangent)),
    jvp:
      derivatives === "none"
        ? "none"
        : (context, tangents) =>
            ops.sumOf(tangents.map((tangent, index) => (tangent === null ? null : derivatives[index]!(context as RuleContext<OpName>, tangent)))),
    batch: (inputs, batched, _, size) => ops.node(op, ops.alignBatch(inputs, batched, size), params),
    samples: () => samples().map((sample) => ({ ...sample, params })),
    errors: errors.map((error) => ({ ...error, params })),
  };
}

const inputOf = (context: RuleContext<OpName>, index = 0): GraphNode => context.inputs[index]!;

/** v where lo < hi, nothing where hi < lo, half of it where they tie. */
function share(lo: GraphNode, hi: GraphNode, v: GraphNode): GraphNode {
  const shared = ops.select(ops.less(hi, lo), ops.scalarLike(0, v), ops.mul(v, ops.scalarLike(0.5, v)));
  return ops.select(ops.less(lo, hi), v, shared);
}

/** a^(b − 1)·b; at b = 0 the power is replaced before it is taken, so that no derivative of it is ∞·0. */
function powByBase({ inputs }: RuleContext<OpName>, v: GraphNode): GraphNode {
  const [a, b] = inputs as readonly [GraphNode, GraphNode];
  const zero = ops.scalarLike(0, b);
  const one = ops.scalarLike(1, b);
  const flat = ops.equal(b, zero);
  const exponent = ops.select(flat, one, b);
  const slope = ops.mul(b, ops.pow(a, ops.sub(exponent, one)));
  return ops.mul(v, ops.select(flat, zero, slope));
}

/** a^b·log a; 0 at a = 0, where the function of b is flat for b > 0. */
function powByExponent({ inputs, output }: RuleContext<OpName>, v: GraphNode): GraphNode {
  const a = inputs[0]!;
  const zero = ops.scalarLike(0, a);
  const flat = ops.equal(a, zero);
  const logarithm = ops.log(ops.select(flat, ops.scalarLike(1, a), a));
  return ops.mul(v, ops.select(flat, zero, ops.mul(output, logarithm)));
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

export const negRule: Rule<"neg"> = elementwise("neg", {
  element: (a) => -a,
  derivatives: [(_, v) => ops.neg(v)],
  samples: () => [...unarySamples(-3, 3, [0, -0, Infinity, NaN]), integers()],
  errors: signedOnly,
});

export const absRule: Rule<"abs"> = elementwise("abs", {
  element: Math.abs,
  derivatives: [(c, v) => ops.mul(v, ops.sign(inputOf(c)))],
  samples: () => [...unarySamples(-3, 3, [0, -0, -Infinity, NaN]), integers()],
  errors: signedOnly,
});

export const signRule: Rule<"sign"> = elementwise("sign", {
  element: Math.sign,
  derivatives: "none",
  samples: () => [...unarySamples(-3, 3, [0, Infinity, -Infinity]), integers()],
  errors: signedOnly,
});

export const floorRule: Rule<"floor"> = elementwise("floor", {
  element: Math.floor,
  derivatives: "none",
  samples: () => unarySamples(-3, 3, [-1, -0.5, 0, 0.5, 2, 1e9, -3e9, Infinity, NaN]),
  errors: floatingOnly,
});

export const expRule: Rule<"exp"> = elementwise("exp", {
  element: Math.exp,
  derivatives: [({ output }, v) => ops.mul(v, output)],
  samples: () => unarySamples(-4, 4, [0, -0, 88, 89, 1000, -80, -1000, 1e-8, Infinity, -Infinity, NaN]),
  errors: floatingOnly,
});

export const logRule: Rule<"log"> = elementwise("log", {
  element: Math.log,
  derivatives: [(c, v) => ops.div(v, inputOf(c))],
  samples: () => unarySamples(0.1, 5, [0, 1, 1e-30, 1e30, 0.999999, 1.000001, Infinity, -1, NaN]),
  errors: floatingOnly,
});

export const sqrtRule: Rule<"sqrt"> = elementwise("sqrt", {
  element: Math.sqrt,
  derivatives: [({ output }, v) => ops.div(v, ops.add(output, output))],
  samples: () => unarySamples(0.1, 5, [0, 1, 1e-30, 1e30, Infinity, -1, NaN]),
  errors: floatingOnly,
});

export const sinRule: Rule<"sin"> = elementwise("sin", {
  element: Math.sin,
  derivatives: [(c, v) => ops.mul(v, ops.cos(inputOf(c)))],
  samples: () => unarySamples(-7, 7, [0, -0, 100, -1000, Infinity, NaN]),
  errors: floatingOnly,
});

export const cosRule: Rule<"cos"> = elementwise("cos", {
  element: Math.cos,
  derivatives: [(c, v) => ops.neg(ops.mul(v, ops.sin(inputOf(c))))],
  samples: () => unarySamples(-7, 7, [0, 100, -1000, Infinity, NaN]),
  errors: floatingOnly,
});

export const tanhRule: Rule<"tanh"> = elementwise("tanh", {
  element: Math.tanh,
  derivatives: [({ output }, v) => ops.sub(v, ops.mul(v, ops.mul(output, output)))],
  samples: () => unarySamples(-3, 3, [0, -0, 1e-8, -1e-4, 9, -9, 20, 1000, Infinity, -Infinity, NaN]),
  errors: floatingOnly,
});

export const sigmoidRule: Rule<"sigmoid"> = elementwise("sigmoid", {
  element: (a) => (a >= 0 ? 1 / (1 + Math.exp(-a)) : Math.exp(a) / (1 + Math.exp(a))),
  derivatives: [({ output }, v) => ops.mul(v, ops.sub(output, ops.mul(output, output)))],
  samples: () => unarySamples(-5, 5, [0, 20, -20, 80, -80, 1000, -1000, Infinity, -Infinity, NaN]),
  errors: floatingOnly,
});

export const reluRule: Rule<"relu"> = elementwise("relu", {
  element: (a) => (a < 0 ? 0 : a),
  // The output tells the sign as well as the input does, and a layer keeps it anyway.
  derivatives: [({ output }, v) => ops.select(ops.less(ops.scalarLike(0, output), output), v, ops.scalarLike(0, v))],
  samples: () => [...unarySamples(-2, 2, [0, -0, Infinity, -Infinity, NaN]), integers()],
  errors: signedOnly,
});

export const logicalNotRule: Rule<"logicalNot"> = elementwise("logicalNot", {
  element: (a) => (a === 0 ? 1 : 0),
  derivatives: "none",
  samples: () => [
    { inputs: [host("bool", [5], [1, 0, 0, 1, 1])], params: {} },
    { inputs: [host("bool", [0], [])], params: {}, name: "empty" },
    { inputs: [spread("bool", [3, 7], 0, 2)], params: {}, name: "odd sizes" },
  ],
  errors: [{ inputs: [aval("float32", 2)], params: {}, message: /must be bool, not float32/ }],
});

export const stopGradientRule: Rule<"stopGradient"> = elementwise("stopGradient", {
  element: (a) => a,
  derivatives: "none",
  samples: () => [...unarySamples(-3, 3, [0, Infinity, NaN]), integers(), { inputs: [host("bool", [3], [1, 0, 1])], params: {}, name: "bool" }],
  errors: [],
});

export const addRule: Rule<"add"> = elementwise("add", {
  element: (a, b) => a + b,
  derivatives: [(_, v) => v, (_, v) => v],
  samples: () => [...binarySamples(-3, 3), integerPairs(), bytePairs(), specialPairs()],
  errors: numbersOnly,
});

export const subRule: Rule<"sub"> = elementwise("sub", {
  element: (a, b) => a - b,
  derivatives: [(_, v) => v, (_, v) => ops.neg(v)],
  samples: () => [...binarySamples(-3, 3), integerPairs(), bytePairs(), specialPairs()],
  errors: numbersOnly,
});

export const mulRule: Rule<"mul"> = elementwise("mul", {
  element: (a, b, _, dtype) => (isFloating(dtype) ? a * b : Math.imul(a, b)),
  derivatives: [(c, v) => ops.mul(v, inputOf(c, 1)), (c, v) => ops.mul(v, inputOf(c))],
  samples: () => [...binarySamples(-3, 3), integerPairs(), bytePairs(), specialPairs()],
  errors: numbersOnly,
});

export const divRule: Rule<"div"> = elementwise("div", {
  element: (a, b, _, dtype) => (isFloating(dtype) ? a / b : b === 0 ? 0 : Math.trunc(a / b)),
  derivatives: [(c, v) => ops.div(v, inputOf(c, 1)), (c, v) => ops.neg(ops.div(ops.mul(v, c.output), inputOf(c, 1)))],
  samples: () => [
    ...binarySamples(-3, 3, 0.5, 3),
    specialPairs(),
    pairs("int32", "int32 truncates, by zero is 0", [[7, 2], [-7, 2], [7, -2], [5, 0], [-5, 0], [0, 3], [-2147483648, -1]]),
  ],
  errors: numbersOnly,
});

export const powRule: Rule<"pow"> = elementwise("pow", {
  element: power,
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

export const maximumRule: Rule<"maximum"> = elementwise("maximum", {
  element: (a, b) => Math.max(a, b),
  derivatives: [(c, v) => share(inputOf(c, 1), inputOf(c), v), (c, v) => share(inputOf(c), inputOf(c, 1), v)],
  samples: () => [...binarySamples(-3, 3), integerPairs(), bytePairs(), specialPairs()],
  errors: numbersOnly,
});

export const minimumRule: Rule<"minimum"> = elementwise("minimum", {
  element: (a, b) => Math.min(a, b),
  derivatives: [(c, v) => share(inputOf(c), inputOf(c, 1), v), (c, v) => share(inputOf(c, 1), inputOf(c), v)],
  samples: () => [...binarySamples(-3, 3), integerPairs(), bytePairs(), specialPairs()],
  errors: numbersOnly,
});

function comparison(op: "equal" | "less" | "lessEqual", compare: (a: number, b: number) => boolean): Parts {
  return {
    element: (a, b) => (compare(a, b) ? 1 : 0),
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

export const equalRule: Rule<"equal"> = elementwise("equal", comparison("equal", (a, b) => a === b));
export const lessRule: Rule<"less"> = elementwise("less", comparison("less", (a, b) => a < b));
export const lessEqualRule: Rule<"lessEqual"> = elementwise("lessEqual", comparison("lessEqual", (a, b) => a <= b));

function logical(combine: (a: number, b: number) => boolean): Parts {
  return {
    element: (a, b) => (combine(a, b) ? 1 : 0),
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

export const logicalAndRule: Rule<"logicalAnd"> = elementwise("logicalAnd", logical((a, b) => a !== 0 && b !== 0));
export const logicalOrRule: Rule<"logicalOr"> = elementwise("logicalOr", logical((a, b) => a !== 0 || b !== 0));

export const selectRule: Rule<"select"> = elementwise("select", {
  element: (condition, a, b) => (condition !== 0 ? a : b),
  derivatives: [
    () => null,
    (c, v) => ops.select(inputOf(c), v, ops.scalarLike(0, v)),
    (c, v) => ops.select(inputOf(c), ops.scalarLike(0, v), v),
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

export const castRule: Rule<"cast"> = {
  shape: infer.cast,
  reference: ([x], { dtype }, out) => {
    for (let i = 0; i < out.data.length; i++) out.data[i] = convert(x!.data[i]!, dtype);
  },
  vjp: ({ inputs: [x] }, cotangent) => [isFloating(x!.dtype) ? ops.cast(cotangent, x!.dtype) : null],
  jvp: ({ params: { dtype } }, [tangent]) => (isFloating(dtype) ? ops.cast(tangent!, dtype) : null),
  batch: ([x], _, { dtype }) => ops.cast(x!, dtype),
  samples: () => [
    ...everyDType.flatMap((from) => everyDType.map((to) => castSample(from === "bool" ? spread("bool", [3, 7], 0, 2) : spread(from, [3, 7], 0, 100), to, `${from} to ${to}`))),
    ...everyDType.flatMap((to) => (["float32", "float64"] as const).map((from): Sample<"cast"> =>
      ({ inputs: [host(from, [10], [0.5, -0.5, -1.7, 300.9, -1, 3e9, -3e9, 0, 1, 16777217])], params: { dtype: to }, name: `rounds and saturates ${from} to ${to}`, differentiable: false }))),
    castSample(host("float32", [3], [NaN, Infinity, -Infinity]), "int32", "not finite"),
    castSample(host("float32", [3], [NaN, Infinity, 0]), "bool", "not finite"),
    castSample(host("int32", [5], [-1, 256, 511, -2147483648, 7]), "uint8", "keeps the low byte"),
    castSample(host("float32", [0], []), "int32", "empty"),
  ],
  errors: [],
};
