// Independent uniform draws: the baseline, the start of every model, and the way out when a model has nothing to say.
import { fromUnit, unitWidth, type Internal } from "../space/distribution.ts";
import type { Assignment, ParameterSpec } from "../space/space.ts";
import { SpaceError } from "../errors/errors.ts";
import type { AskContext, Proposal, Sampler } from "../contract/contract.ts";

/** Uniform over the space, uniform in the logarithm where a parameter says `log`. */
export class RandomSampler implements Sampler {
  readonly name = "random";

  ask(context: AskContext): Proposal {
    return { assignment: randomAssignment(context) };
  }

  askIndependent(context: AskContext, parameter: ParameterSpec): Internal {
    return randomValue(context, parameter);
  }
}

/** A uniform value of one parameter; its stream is named after the parameter, so the order of asking does not matter. */
export function randomValue(context: AskContext, parameter: ParameterSpec): Internal {
  const random = context.random(`independent/${parameter.name}`);
  return fromUnit(parameter.distribution, Float64Array.from({ length: unitWidth(parameter.distribution) }, () => random.uniform()));
}

const TRIES = 1000;
const EVALUATED_TRIES = 64;

/**
 * A uniform configuration that satisfies the input constraints and, unless the study is noisy, has not been evaluated
 * (given up on after 64 draws: in a nearly exhausted space the study answers from memory).
 * Throws SpaceError when 1,000 draws found nothing that satisfies the constraints.
 */
export function randomAssignment(context: AskContext, stream = "sample"): Assignment {
  const { space, study } = context;
  const random = context.random(stream);
  const unit = new Float64Array(space.unitDimensions);
  for (let i = 0; i < TRIES; i++) {
    for (let d = 0; d < unit.length; d++) unit[d] = random.uniform();
    const assignment = space.fromUnit(unit);
    if (!space.satisfies(assignment)) continue;
    if (i >= EVALUATED_TRIES || !study.isKnown(assignment)) return assignment;
  }
  throw new SpaceError(`no configuration among ${TRIES} random ones satisfies the constraints of the space; loosen them or enqueue a starting point.`);
}
