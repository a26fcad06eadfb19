// Endings: values whose history a function left behind, by reading them as numbers or through a variable it assigned.
// A derivative that would lead through one is an error, not a zero.
import { GradientError } from "../errors/errors.ts";
import type { GraphNode } from "../ops/graph.ts";
import type { Watch } from "../tensor/trace.ts";
import type { Variable } from "../tensor/variable.ts";
import { reaches } from "./reverse.ts";

/** What a derivative is taken by: the node that stands for it while the function runs, and the one it stands for. */
interface Input {
  readonly name: string;
  readonly node: GraphNode;
  readonly original: GraphNode;
}

export class Endings implements Watch {
  readonly #values: GraphNode[] = [];
  readonly #assigned = new Map<Variable, GraphNode>();

  assign(variable: Variable, value: GraphNode): void {
    this.#assigned.set(variable, value);
  }

  read(variable: Variable): void {
    const value = this.#assigned.get(variable);
    if (value !== undefined) this.#values.push(value);
  }

  numbers(node: GraphNode): void {
    if (node.tracked) this.#values.push(node);
  }

  /** Throws {@link GradientError} where `outputs` depend on one of `inputs`, by which they have no derivative, in a way that the graph does not show. */
  requireIndependent(operation: string, outputs: readonly GraphNode[], inputs: readonly Input[]): void {
    const lost = firstReached(this.#values, inputs, ({ node }) => node);
    if (lost !== undefined) {
      throw new GradientError(
        `${operation}: the result has no derivative by ${lost.name}, but the function read a value that depends on it, as numbers or from a variable it had assigned.`,
        "Compute the result from it by tensor operations; read stopGradient() of what is meant as a constant.",
      );
    }
    const outside = firstReached(outputs, inputs, ({ original }) => original);
    if (outside !== undefined) {
      throw new GradientError(
        `${operation}: the function uses ${outside.name} by a tensor from outside, which is a constant to it.`,
        "Compute it inside the function from the argument, or take stopGradient() of what is meant as a constant.",
      );
    }
  }
}

function firstReached(outputs: readonly GraphNode[], inputs: readonly Input[], nodeOf: (input: Input) => GraphNode): Input | undefined {
  // One walk is enough where none is reached, which is the usual case.
  if (!reaches(outputs, inputs.map(nodeOf))) return undefined;
  return inputs.find((input) => reaches(outputs, [nodeOf(input)]));
}
