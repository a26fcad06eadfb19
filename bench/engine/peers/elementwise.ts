// nabla's elementwise functions by the names of ../elementwise.ts. A call leaves its result on the device.
import { compile, random, type Tensor } from "nabla";

const SIZE = 1_000_000;

const draw = (seed: number, least: number, most: number): Tensor => random.uniform(random.key(seed), [SIZE]).mul(most - least).add(least);
const x = draw(0, 0.1, 4.1);
const y = draw(1, 0, 4);
const whole = draw(2, 1, 1000).int();
const divisor = draw(3, 1, 1000).int();
const bytes = draw(4, 0, 255).cast("uint8");
const others = draw(5, 0, 255).cast("uint8");

const works: Readonly<Record<string, readonly [f: (a: Tensor, b: Tensor) => Tensor, a: Tensor, b?: Tensor]>> = {
  "x³": [(a) => a.pow(3), x],
  "x^2.5": [(a) => a.pow(2.5), x],
  "x^y": [(a, b) => a.pow(b), x, y],
  sin: [(a) => a.sin(), x],
  cos: [(a) => a.cos(), x],
  "sin of large angles": [(a) => a.sin(), x.mul(3000)],
  exp: [(a) => a.exp(), x],
  log: [(a) => a.log(), x],
  tanh: [(a) => a.tanh(), x],
  sigmoid: [(a) => a.sigmoid(), x],
  silu: [(a) => a.mul(a.sigmoid()), x],
  softplus: [(a) => a.softplus(), x],
  "x^y float64": [(a, b) => a.pow(b), x.double(), y.double()],
  "sin float64": [(a) => a.sin(), x.double()],
  "exp float64": [(a) => a.exp(), x.double()],
  "log float64": [(a) => a.log(), x.double()],
  "tanh float64": [(a) => a.tanh(), x.double()],
  "div float64": [(a, b) => a.div(b), y.double(), x.double()],
  "mod int32": [(a, b) => a.mod(b), whole, divisor],
  and: [(a, b) => a.logicalAnd(b), x.greater(2), y.greater(2)],
  not: [(a) => a.logicalNot(), x.greater(2)],
  "add uint8": [(a, b) => a.add(b), bytes, others],
  "max uint8": [(a, b) => a.maximum(b), bytes, others],
  "equal uint8": [(a, b) => a.equal(b), bytes, others],
  "float64 to float32": [(a) => a.float(), x.double()],
  "float32 to int32": [(a) => a.int(), x],
  "int32 to uint8": [(a) => a.cast("uint8"), whole],
  "float32 to bool": [(a) => a.bool(), x],
  "uint8 to float32": [(a) => a.float(), bytes],
};

/** Calls of the function `name`. */
export function functionCalls(name: string): (() => void) | undefined {
  const work = works[name];
  if (work === undefined) return undefined;
  const [f, a, b = a] = work;
  const compiled = compile(f);
  return () => compiled(a, b).dispose();
}
