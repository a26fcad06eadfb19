// Runs a sampler against a plain function, one trial after another, with no worker, storage or clock: how tests and
// benchmarks see what a sampler does.
import { createRandom } from "../random/random.ts";
import { contains, type Internal } from "../space/distribution.ts";
import type { Assignment, SearchSpace } from "../space/space.ts";
import type { AskContext, Direction, Sampler } from "../contract/contract.ts";
import { SpaceError, StudyError } from "../errors/errors.ts";
import { toJsonInternal } from "../state/events.ts";
import { StudyState } from "../state/state.ts";

export interface SimulationOptions {
  readonly space: SearchSpace;
  readonly seed: number;
  readonly trials: number;
  readonly directions?: readonly Direction[];
  readonly noisy?: boolean;
  /** Trials asked for before the first of them is told, as with so many workers; default 1. */
  readonly parallel?: number;
  /** Called after each trial that was evaluated (not after duplicates). */
  readonly evaluated?: (study: StudyState, trial: number) => void;
}

/** A new study over `space`, without any trial. */
export function simulatedStudy({ space, seed, directions = ["minimize"], noisy = false }: Pick<SimulationOptions, "space" | "seed" | "directions" | "noisy">): StudyState {
  const study = new StudyState();
  const metricNames = directions.map((_, i) => (directions.length === 1 ? "value" : `value ${i}`));
  study.apply({ type: "create", name: "simulation", seed, directions, metricNames, noisy });
  study.space = space;
  for (const { name, distribution } of space.parameters) study.apply({ type: "declare", name, distribution });
  return study;
}

/** The context of the next ask. */
export function askContext(study: StudyState, space: SearchSpace, sampler: Sampler, remaining: number, attempt = 0): AskContext {
  const trial = study.length;
  return {
    study, trial, space, fixed: new Map(), attempt, remaining,
    random: (stream) => createRandom(study.seed, trial, `${sampler.name}/${stream}/${attempt}`),
  };
}

/** Asks the sampler and starts the trial; null when the sampler has nothing left. */
export function startTrial(study: StudyState, space: SearchSpace, sampler: Sampler, remaining: number): Assignment | null {
  for (let attempt = 0; ; attempt++) {
    const context = askContext(study, space, sampler, remaining, attempt);
    const proposal = sampler.ask(context);
    if (proposal === null) return null;
    const assignment = complete(context, sampler, proposal.assignment);
    const taken = !study.noisy && study.running.some((other) => [...assignment].every(([name, value]) => String(study.internal(other, name)) === String(value)));
    if ((taken || !space.satisfies(assignment)) && attempt < 20) continue;
    const trial = study.length;
    study.apply({ type: "ask", trial, time: 0, owner: "simulation", watermark: study.watermark });
    study.apply({ type: "parameters", trial, values: Object.fromEntries([...assignment].map(([name, value]) => [name, toJsonInternal(value)])) });
    for (const [key, value] of Object.entries(proposal.attributes ?? {})) study.apply({ type: "attribute", trial, scope: "system", key, value });
    return assignment;
  }
}

/** Asks, evaluates and tells until `trials` points have been evaluated or the sampler stops. */
export function simulate(sampler: Sampler, objective: (assignment: Assignment) => number | readonly number[], options: SimulationOptions): StudyState {
  const { space, trials, parallel = 1, evaluated } = options;
  const study = simulatedStudy(options);
  let count = 0, repeats = 0;
  while (count < trials) {
    const batch: { trial: number; assignment: Assignment }[] = [];
    for (let k = 0; k < Math.min(parallel, trials - count); k++) {
      const assignment = startTrial(study, space, sampler, trials - count - k);
      if (assignment === null) break;
      batch.push({ trial: study.length - 1, assignment });
    }
    if (batch.length === 0) return study;
    for (const { trial, assignment } of batch) {
      const known = study.noisy ? -1 : study.find(assignment);
      if (known >= 0) {
        if (repeats++ > 20 * trials) throw new StudyError(`${sampler.name} proposes nothing new.`);
        study.apply({ type: "finish", trial, time: 0, state: "COMPLETE", values: study.values.map((column) => column[known]!), answeredBy: known });
      } else {
        const result = objective(assignment);
        study.apply({ type: "finish", trial, time: 0, state: "COMPLETE", values: typeof result === "number" ? [result] : result });
        count++;
        evaluated?.(study, trial);
      }
      sampler.afterTrial?.(study, trial);
    }
  }
  return study;
}

/** Fills in what the sampler left out and checks what it gave. */
function complete(context: AskContext, sampler: Sampler, assignment: Assignment): Assignment {
  const full = new Map<string, Internal>();
  for (const spec of context.space.parameters) {
    if (!context.space.isActive(spec, full)) continue;
    const value = assignment.get(spec.name) ?? sampler.askIndependent(context, spec);
    if (!contains(spec.distribution, value)) throw new SpaceError(`${sampler.name} proposed ${String(value)} for "${spec.name}".`);
    full.set(spec.name, value);
  }
  return full;
}
