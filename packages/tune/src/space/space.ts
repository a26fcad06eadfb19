// A flat search space: named parameters, who is active under which choice, and input constraints. Samplers see
// only this form; the typed builder and define-by-run trials both end in it.
import { SpaceError } from "../errors/errors.ts";
import { cardinality, fromUnit, internalWidth, toUnit, unitWidth, valueAt, type Distribution, type Internal, type ParameterValue } from "./distribution.ts";

/** The parameter is active only when categorical `parameter` is active and takes its choice number `choice`. */
export interface Condition { readonly parameter: string; readonly choice: number }

/** One named parameter. */
export interface ParameterSpec { readonly name: string; readonly distribution: Distribution; readonly condition: Condition | null }

/** Internal values by parameter name; inactive parameters are absent. */
export type Assignment = ReadonlyMap<string, Internal>;

/** What a configuration must satisfy before it is worth evaluating. */
export type InputConstraint =
  /** Σ coefficient · parameter ≤ bound; inactive parameters count as 0. */
  | { readonly kind: "linear"; readonly coefficients: ReadonlyMap<string, number>; readonly bound: number }
  | { readonly kind: "predicate"; readonly test: (assignment: Assignment) => boolean };

/** A flat, possibly conditional search space. Parents stand before their children in `parameters`. */
export class SearchSpace {
  /** Parents before their children. */
  readonly parameters: readonly ParameterSpec[];
  /** What configurations must satisfy. */
  readonly constraints: readonly InputConstraint[];
  /** Dimensions of the unit cube of all parameters, active or not. */
  readonly unitDimensions: number;
  /** Whether some parameter is only sometimes active. */
  readonly conditional: boolean;
  private readonly byName = new Map<string, ParameterSpec>();
  private readonly offsets = new Map<string, number>();

  /** Throws SpaceError on repeated names and on conditions that name no earlier categorical parameter. */
  constructor(parameters: readonly ParameterSpec[], constraints: readonly InputConstraint[] = []) {
    let offset = 0;
    for (const spec of parameters) {
      if (this.byName.has(spec.name)) throw new SpaceError(`the parameter "${spec.name}" is declared twice; rename one.`);
      if (spec.condition !== null) {
        const parent = this.byName.get(spec.condition.parameter)?.distribution;
        if (parent?.kind !== "categorical" || parent.choices[spec.condition.choice] === undefined) {
          throw new SpaceError(`"${spec.name}" depends on choice ${spec.condition.choice} of "${spec.condition.parameter}", which is no earlier categorical parameter with such a choice.`);
        }
      }
      this.byName.set(spec.name, spec);
      this.offsets.set(spec.name, offset);
      offset += unitWidth(spec.distribution);
    }
    for (const constraint of constraints) if (constraint.kind === "linear") this.checkLinear(constraint.coefficients);
    this.parameters = parameters;
    this.constraints = constraints;
    this.unitDimensions = offset;
    this.conditional = parameters.some((spec) => spec.condition !== null);
  }

  /** The parameter of this name, or undefined. */
  get(name: string): ParameterSpec | undefined {
    return this.byName.get(name);
  }

  /** Where the parameter's unit form starts. */
  unitOffset(name: string): number {
    const offset = this.offsets.get(name);
    if (offset === undefined) throw new SpaceError(`the space has no parameter "${name}"; it has ${[...this.byName.keys()].join(", ") || "none"}.`);
    return offset;
  }

  /** Whether the parameter's condition holds; parents must already be assigned. */
  isActive(spec: ParameterSpec, assignment: Assignment): boolean {
    return spec.condition === null || assignment.get(spec.condition.parameter) === spec.condition.choice;
  }

  /** The configuration at a point of the unit cube; inactive parameters are left out. */
  fromUnit(unit: ArrayLike<number>): Map<string, Internal> {
    const assignment = new Map<string, Internal>();
    for (const spec of this.parameters) {
      if (this.isActive(spec, assignment)) assignment.set(spec.name, fromUnit(spec.distribution, unit, this.offsets.get(spec.name)!));
    }
    return assignment;
  }

  /** The point of the unit cube of a configuration; dimensions of inactive parameters become `inactive`. */
  toUnit(assignment: Assignment, inactive = 0.5): Float64Array {
    const unit = new Float64Array(this.unitDimensions).fill(inactive);
    for (const spec of this.parameters) {
      const value = assignment.get(spec.name);
      if (value !== undefined) toUnit(spec.distribution, value, unit, this.offsets.get(spec.name)!);
    }
    return unit;
  }

  /** Whether every input constraint holds. */
  satisfies(assignment: Assignment): boolean {
    return this.constraints.every((constraint) => {
      if (constraint.kind === "predicate") return constraint.test(assignment);
      let sum = 0;
      for (const [name, coefficient] of constraint.coefficients) sum += coefficient * Number(assignment.get(name) ?? 0);
      return sum <= constraint.bound;
    });
  }

  /** Every configuration of a finite space that satisfies the constraints, in lexicographic order. */
  *configurations(): Generator<Map<string, Internal>> {
    yield* this.complete(0, new Map());
  }

  private *complete(from: number, partial: Map<string, Internal>): Generator<Map<string, Internal>> {
    let at = from;
    while (at < this.parameters.length && !this.isActive(this.parameters[at]!, partial)) at++;
    const spec = this.parameters[at];
    if (spec === undefined) {
      const assignment = new Map(partial);
      if (this.satisfies(assignment)) yield assignment;
      return;
    }
    for (let i = 0, n = cardinality(spec.distribution); i < n; i++) {
      partial.set(spec.name, valueAt(spec.distribution, i));
      yield* this.complete(at + 1, partial);
    }
    partial.delete(spec.name);
  }

  /** Number of configurations, constraints not counted; Infinity when some parameter is continuous. */
  cardinality(): number {
    return this.countUnder(null, 0);
  }

  private countUnder(parent: string | null, choice: number): number {
    let product = 1;
    for (const { name, distribution, condition } of this.parameters) {
      if ((condition?.parameter ?? null) !== parent || (condition !== null && condition.choice !== choice)) continue;
      if (distribution.kind !== "categorical") product *= cardinality(distribution);
      else product *= distribution.choices.reduce<number>((sum, _, i) => sum + this.countUnder(name, i), 0);
    }
    return product;
  }

  private checkLinear(coefficients: ReadonlyMap<string, number>): void {
    for (const name of coefficients.keys()) {
      const kind = this.byName.get(name)?.distribution.kind;
      if (kind !== "float" && kind !== "int") throw new SpaceError(`a linear constraint names "${name}", which is no float or int of this space.`);
    }
  }
}

/** A text equal for equal configurations; the key of the memory of points. */
export function pointKey(assignment: Assignment): string {
  const parts: string[] = [];
  for (const name of [...assignment.keys()].sort()) parts.push(name, String(assignment.get(name)!));
  return parts.join("\u0001");
}

/** Whether two internal values are the same. */
export function sameInternal(a: Internal | undefined, b: Internal | undefined): boolean {
  if (typeof a === "number" || typeof b === "number" || a === undefined || b === undefined) return a === b;
  return a.length === b.length && a.every((x, i) => x === b[i]);
}

/** Whether the value has the width its distribution asks for. */
export function hasWidth(distribution: Distribution, value: Internal): boolean {
  return (typeof value === "number" ? 1 : value.length) === internalWidth(distribution);
}

/** Parameters as a person gives them: external values by flat name. */
export type ParameterValues = Readonly<Record<string, ParameterValue>>;
