// Variable: a tensor whose value changes, so that a model can be trained in place.
// It owns its memory: a step that updates it never touches a tensor somebody else holds.
import * as ops from "../ops/build.ts";
import { requireOptions } from "../errors/arguments.ts";
import { DTypeError, ShapeError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import { isFloating } from "../ops/dtype.ts";
import { formatShape, sameShape } from "../ops/shape.ts";
import { evaluate, isTraced } from "./evaluate.ts";
import { alias } from "./movement.ts";
import { Tensor } from "./tensor.ts";
import { noteAssignment, noteRead } from "./trace.ts";
import { nodeOf } from "./value.ts";

/** Options of a {@link Variable}. */
export interface VariableOptions {
  /** Whether training changes it; only floating dtypes can. Default: floating. */
  readonly trainable?: boolean;
  /** What errors call it. */
  readonly name?: string;
}

/**
 * A mutable handle on a tensor: parameters, running statistics, random keys.
 *
 * Functions that `compile`, `grad`, `vmap` or `train.step` run may use variables from anywhere, arguments or closures: they see the
 * value of each call.
 *
 * @example
 * const counter = new Variable(tensor(0));
 * counter.assign(counter.add(1));
 * counter.item(); // 1
 */
export class Variable extends Tensor {
  /** Whether training changes it; set it to false to freeze a parameter. Steps made before keep what they saw. */
  trainable: boolean;
  readonly name: string | undefined;

  constructor(initial: Tensor, options: VariableOptions = {}) {
    requireOptions("Variable", options, { trainable: true, name: true }, "{ trainable: false }");
    const node = alias(nodeOf("Variable", initial));
    super(node);
    // Data is copied at once, since its owner may dispose of it; what is still to be computed is when it is first used.
    if (initial.node.storage !== undefined) evaluate([node]);
    else node.kept = true;
    this.trainable = options.trainable ?? isFloating(initial.dtype);
    this.name = options.name;
    if (this.trainable && !isFloating(initial.dtype)) {
      throw new DTypeError(`Variable: a trainable variable cannot be ${initial.dtype}.`, "Cast it with float(), or pass { trainable: false }.");
    }
  }

  /** The node, which a transform that runs a function may have replaced. @internal */
  override get node(): GraphNode {
    noteRead(this);
    return this.held;
  }

  /** Whether it stands for a value of a function that is being traced. @internal */
  get isTraced(): boolean {
    return isTraced(this.held);
  }

  /**
   * Gives the variable the value of `value`, which must have the same shape and dtype.
   *
   * No derivative flows through an assignment. Outside a traced function the value is computed at once, so a loop of
   * assignments does not grow a graph. Inside `compile` and `train.step` it happens at every call; inside `vmap` a value that
   * depends on the example throws {@link ValueError}. Where the function of a transform throws, none of its assignments has
   * happened.
   */
  assign(value: Tensor): void {
    const name = this.name === undefined ? "" : ` of "${this.name}"`;
    if (!sameShape(value.shape, this.shape)) {
      throw new ShapeError(`assign${name}: the variable has shape ${formatShape(this.shape)}, the value ${formatShape(value.shape)}.`, "Assign a value of the same shape.");
    }
    if (value.dtype !== this.dtype) {
      throw new DTypeError(`assign${name}: the variable is ${this.dtype}, the value ${value.dtype}.`, `Cast it with cast("${this.dtype}").`);
    }
    const node = isFloating(value.dtype) ? ops.stopGradient(value.node) : alias(value.node);
    // Nothing differentiates through the past of a variable: evaluation may let it go.
    node.tracked = false;
    if (!isTraced(node)) evaluate([node]);
    noteAssignment(this, value.node);
    this.bind(node);
  }

  /** Lets the variable stand for `node`: a placeholder while a step is traced, then the storage the step updates. @internal */
  bind(node: GraphNode): void {
    this.rebind(node);
  }
}
