// The structure of an unevaluated graph as numbers: two graphs have the same exactly when one program serves both.
// Where a constant's value changes nothing but what is computed with it, it is left out and stands beside the structure.
import { dependencies, type GraphNode, loopKey, type LoopValue } from "../ops/graph.ts";

/** The structure of what some outputs need. */
export interface Structure {
  /** In a buffer that the next structure overwrites: {@link keep} it. */
  readonly words: Int32Array;
  readonly hash: number;
  /** What was asked for, then the values of variables that are computed on the way. */
  readonly outputs: readonly GraphNode[];
  /** What the graph starts from: stored values, in the order that the structure names them. */
  readonly leaves: readonly GraphNode[];
  /** The constants whose values are left out. */
  readonly constants: readonly GraphNode<"constant">[];
}

/** A structure to compare others with. */
export function keep({ words }: Structure): Int32Array {
  return words.slice();
}

export function equalWords(a: Int32Array, b: Int32Array): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** Says that the words of a number in double precision follow; other numbers are one word. */
const double = -(2 ** 31);
const doubles = new Float64Array(1);
const halves = new Int32Array(doubles.buffer);

/** A number for each name of a primitive or a dtype. */
const numbers = new Map<string, number>();

function numberOf(name: string): number {
  let number = numbers.get(name);
  if (number === undefined) numbers.set(name, (number = numbers.size + 1));
  return number;
}

type Parameter = number | boolean | string | readonly number[] | LoopValue;

/** Values that simplification asks for. */
function isSpecial(value: number): boolean {
  return value === 0 || value === 1 || value === -1 || !Number.isFinite(value);
}

/** What a place of the walk says of constants: no constant stands there alone, or one that was folded with others. */
const notConstant = -1;
const folded = -2;

let buffer = new Int32Array(256);
let walks = 0;

/** The structure between `wanted` and stored values. Takes a walk of its own, without recursion. */
export function structureOf(wanted: readonly GraphNode[]): Structure {
  return new Walk().structureOf(wanted);
}

class Walk {
  readonly #entered = (walks += 2);
  readonly #left = this.#entered + 1;
  readonly #leaves: GraphNode[] = [];
  readonly #constants: GraphNode<"constant">[] = [];
  /** Of each constant, whether the program depends on its value. */
  readonly #fixed: boolean[] = [];
  /** Of each place: the constant that fills the value there, `folded`, or `notConstant`. */
  readonly #fills: number[] = [];
  readonly #kept: GraphNode[] = [];
  /** Nodes that wait for others, which may come later in the walk. */
  readonly #waiting: GraphNode[] = [];
  #length = 0;

  structureOf(wanted: readonly GraphNode[]): Structure {
    for (const output of wanted) this.#visit(output);
    const outputs = this.#kept.length === 0 ? wanted : [...wanted, ...this.#kept.filter((node) => !wanted.includes(node))];
    for (const node of this.#waiting) for (const other of node.inputs) this.#word(other.walk === this.#left ? other.place : -1);
    for (const output of outputs) this.#word(output.place);
    const open: GraphNode<"constant">[] = [];
    this.#constants.forEach((constant, index) => {
      const { value } = constant.params;
      if (this.#fixed[index] === true || isSpecial(value)) this.#number(value);
      else {
        this.#word(double);
        open.push(constant);
      }
    });
    let hash = this.#length;
    for (let index = 0; index < this.#length; index++) hash = (Math.imul(hash, 31) + buffer[index]!) | 0;
    return { words: buffer.subarray(0, this.#length), hash, outputs, leaves: this.#leaves, constants: open };
  }

  /** Writes `from` and what it needs, inputs before users. */
  #visit(from: GraphNode): void {
    const stack = [from];
    while (stack.length > 0) {
      const node = stack.at(-1)!;
      if (node.walk === this.#left) {
        stack.pop();
      } else if (node.storage !== undefined || node.op === "source") {
        stack.pop();
        this.#leaf(node);
      } else if (node.walk === this.#entered) {
        stack.pop();
        this.#node(node);
      } else {
        node.walk = this.#entered;
        const inputs = dependencies(node);
        for (let index = inputs.length - 1; index >= 0; index--) if (inputs[index]!.walk !== this.#left) stack.push(inputs[index]!);
      }
    }
  }

  #place(node: GraphNode, fill: number): void {
    node.walk = this.#left;
    node.place = this.#fills.push(fill) - 1;
  }

  #leaf(node: GraphNode): void {
    this.#place(node, notConstant);
    this.#leaves.push(node);
    this.#word(0);
    this.#word(numberOf(node.dtype));
    this.#parameter(node.shape);
  }

  #node(node: GraphNode): void {
    if (node.kept) this.#kept.push(node);
    this.#word(numberOf(node.op));
    if (node.op === "constant") {
      const constant = node as GraphNode<"constant">;
      this.#word(numberOf(node.dtype));
      this.#place(node, this.#constants.push(constant) - 1);
      return;
    }
    const { inputs } = node;
    if (node.op === "after") {
      this.#waiting.push(node);
      this.#word(inputs.length);
    } else for (const input of inputs) this.#word(input.place);
    const parameters = node.params as Readonly<Record<string, Parameter>>;
    for (const name in parameters) this.#parameter(parameters[name]!);
    this.#place(node, this.#fillOf(node));
  }

  /** Constants that only meet each other are folded, and an exponent says how a power is computed: the program depends on them. */
  #fillOf({ op, inputs }: GraphNode): number {
    const [first, second] = inputs;
    if (first === undefined) return notConstant;
    const fill = this.#fills[first.place]!;
    if (op === "reshape" || op === "broadcast" || op === "cast") return fill;
    if (op === "pow") this.#fix(this.#fills[second!.place]!);
    for (const input of inputs) if (op !== "after" && this.#fills[input.place] === notConstant) return notConstant;
    if (op === "after") return fill;
    for (const input of inputs) this.#fix(this.#fills[input.place]!);
    return folded;
  }

  #fix(constant: number): void {
    if (constant >= 0) this.#fixed[constant] = true;
  }

  #parameter(value: Parameter): void {
    if (typeof value === "number") this.#number(value);
    else if (typeof value === "object" && "body" in value) {
      const key = loopKey(value);
      this.#word(key.length);
      for (let index = 0; index < key.length; index++) this.#word(key.charCodeAt(index));
    } else if (typeof value === "object") {
      this.#word(value.length);
      for (const each of value) this.#number(each);
    } else this.#word(typeof value === "string" ? numberOf(value) : Number(value));
  }

  #number(value: number): void {
    const word = value | 0;
    if (word === value && word !== double && (word !== 0 || Object.is(value, 0))) {
      this.#word(word);
      return;
    }
    doubles[0] = value;
    this.#word(double);
    this.#word(halves[0]!);
    this.#word(halves[1]!);
  }

  #word(word: number): void {
    if (this.#length === buffer.length) {
      const longer = new Int32Array(2 * buffer.length);
      longer.set(buffer);
      buffer = longer;
    }
    buffer[this.#length++] = word;
  }
}
