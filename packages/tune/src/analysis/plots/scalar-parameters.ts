// Figures need one number or one category per axis: subsets become a yes or no per member, permutations a position per
// item, simplexes a weight per component.
import { floatDistribution, intDistribution, categoricalDistribution, type Distribution, type ParameterValue } from "../../space/distribution.ts";
import { ValueError } from "../../errors/errors.ts";
import type { FrozenTrial } from "../../contract/contract.ts";
import { importance } from "../importance.ts";
import { parameterNames, type StudyResults } from "../results.ts";
import { valueText } from "./scale.ts";

/** The study with every parameter of several values taken apart, e.g. `mix` into `mix[0]`, `mix[1]`. */
export function withScalarParameters(results: StudyResults): StudyResults {
  return { ...results, trials: results.trials.map(takeApart) };
}

/** The given parameters, or all; an error names those there are. */
export function chosenParameters(results: StudyResults, chosen: readonly string[] | undefined): string[] {
  const known = parameterNames(results.trials);
  if (known.length === 0) throw new ValueError(`Study "${results.name}" has no trial with parameters yet.`);
  const missing = chosen?.find((parameter) => !known.includes(parameter));
  if (missing !== undefined) throw new ValueError(`Study "${results.name}" has no parameter "${missing}"; it has ${known.join(", ")}.`);
  return chosen === undefined ? known : [...chosen];
}

/** The parameters named for the two axes of a figure; those that are not, by their importance. */
export function chosenPair(results: StudyResults, { x, y, objective = 0 }: { readonly x?: string; readonly y?: string; readonly objective?: number }): [string, string] {
  if (x !== undefined && y !== undefined) return chosenParameters(results, [x, y]) as [string, string];
  const named = chosenParameters(results, [x, y].filter((name) => name !== undefined));
  const rest = chosenParameters(results, undefined).filter((name) => !named.includes(name));
  const needed = 2 - named.length;
  const others = rest.length > needed ? Object.keys(importance(results, { objective })).filter((name) => rest.includes(name)) : rest;
  const [first, second] = x === undefined ? [others[0], y ?? others[1]] : [x, others[0]];
  if (first === undefined || second === undefined) throw new ValueError(`Study "${results.name}" has one parameter, and the figure has two axes; use plotSlice.`);
  return [first, second];
}

function takeApart(trial: FrozenTrial): FrozenTrial {
  if (!Object.values(trial.params).some(Array.isArray)) return trial;
  const params: Record<string, ParameterValue> = {};
  const distributions: Record<string, Distribution> = {};
  for (const [name, value] of Object.entries(trial.params))
    for (const part of partsOf(name, trial.distributions[name], value)) {
      params[part.name] = part.value;
      if (part.distribution !== undefined) distributions[part.name] = part.distribution;
    }
  return { ...trial, params, distributions };
}

interface Part {
  readonly name: string;
  readonly value: ParameterValue;
  readonly distribution: Distribution | undefined;
}

function partsOf(name: string, distribution: Distribution | undefined, value: ParameterValue): Part[] {
  if (!Array.isArray(value)) return [{ name, value, distribution }];
  switch (distribution?.kind) {
    case "subset": {
      const yesNo = categoricalDistribution(["no", "yes"]);
      return distribution.choices.map((choice) => ({ name: `${name}: ${valueText(choice)}`, value: value.includes(choice) ? "yes" : "no", distribution: yesNo }));
    }
    case "permutation": {
      const position = intDistribution(1, distribution.choices.length);
      return distribution.choices.map((choice) => ({ name: `${name}: ${valueText(choice)}`, value: value.indexOf(choice) + 1, distribution: position }));
    }
    default: {
      const weight = floatDistribution(0, 1);
      return value.map((component: ParameterValue, i: number) => ({ name: `${name}[${i}]`, value: component, distribution: distribution?.kind === "simplex" ? weight : undefined }));
    }
  }
}
