// A saved state is the state: whatever happened before it and whatever happens after, a study that was saved and
// restored in between cannot be told from one that was not.
import fc from "fast-check";
import { expect, test } from "vitest";
import { parseJson, stringifyJson } from "../storage/json.ts";
import { TrialState } from "../contract/contract.ts";
import { StorageCorruptError } from "../errors/errors.ts";
import type { StudyEvent } from "../state/events.ts";
import { replay, StudyState, type SavedStudy, type SavedTrial } from "../state/state.ts";

const CREATE: StudyEvent = { type: "create", name: "s", seed: 1, directions: ["minimize", "maximize"], metricNames: ["a", "b"], noisy: false };

/** The state after being written as JSON and read back. */
function restored(state: StudyState): StudyState {
  const [study, ...trials] = Array.from(state.save(), (part) => parseJson(stringifyJson(part)) as object as SavedStudy | SavedTrial);
  const copy = new StudyState();
  copy.restore(study as SavedStudy, trials as SavedTrial[]);
  return copy;
}

function facts(state: StudyState): unknown {
  const numbers = Array.from({ length: state.length }, (_, trial) => trial);
  return {
    study: [state.name, state.seed, state.directions, state.metricNames, state.noisy, state.note, state.evaluations, state.length, state.watermark, state.constrained],
    lists: [state.running, state.paused, state.waiting, Array.from(state.finished.subarray(0, state.watermark)), state.late],
    attributes: [Object.fromEntries(state.userAttributes), Object.fromEntries(state.systemAttributes)],
    trials: numbers.map((trial) => [state.trial(trial), state.lease(trial), state.fence(trial), state.watermarkOf(trial), state.violations[trial], state.values.map((column) => column[trial]), state.find(state.assignment(trial)), state.findTwin(trial)]),
    joint: [state.jointSpace.parameters, state.exhausted],
    parameters: Array.from(state.parameters.values(), (column) => [column.name, column.distribution, column.count]),
  };
}

/** A history from dice: every die makes one event that may follow. */
function history(dice: readonly number[]): StudyEvent[] {
  const state = replay([CREATE]);
  const events: StudyEvent[] = [CREATE];
  const emit = (event: StudyEvent): void => { state.apply(event); events.push(event); };
  for (const die of dice) {
    const kind = die % 14, x = Math.floor(die / 14) % 4;
    const trial = state.running[x % Math.max(1, state.running.length)];
    if (kind === 0) emit({ type: "enqueue", trial: state.length, time: die, fixed: { x } });
    else if (kind < 3) emit({ type: "ask", trial: state.length, time: die, owner: `o${x}`, watermark: state.watermark, ...(x === 0 && state.length > 0 ? { parent: 0, checkpoint: "c" } : {}) });
    else if (kind === 3) {
      const next = state.waiting[0];
      if (next !== undefined) emit({ type: "claim", trial: next, time: die, owner: "again", fence: state.fence(next) + 1 });
      const paused = state.paused[0];
      if (paused !== undefined) emit({ type: "requeue", trial: paused, reason: "promoted" });
    } else if (kind === 4) {
      emit({ type: "attribute", trial: null, scope: "user", key: `k${x}`, value: [die, Number.NaN] });
      emit({ type: "declare", name: "k", distribution: { kind: "categorical", choices: [null, "a", 3, true, Number.NaN].slice(0, Math.max(x + 1, 2)) } });
    } else if (trial === undefined) continue;
    else if (kind === 5) {
      if (!state.parameters.has("x")) emit({ type: "declare", name: "x", distribution: { kind: "int", low: 0, high: 3, log: false, step: 1 } });
      emit({ type: "parameters", trial, values: { x } });
    } else if (kind === 6) {
      if (!state.parameters.has("w")) emit({ type: "declare", name: "w", distribution: { kind: "simplex", size: 2 } });
      emit({ type: "parameters", trial, values: { w: [x / 4, 1 - x / 4] } });
    } else if (kind === 7) emit({ type: "report", trial, step: x, metrics: x === 1 ? { a: Number.NaN } : { a: die, b: -Infinity }, ...(x === 2 ? { checkpoint: `at ${die}` } : {}) });
    else if (kind === 8) emit({ type: "constraint", trial, name: `c${x}`, value: x - 1.5 });
    else if (kind === 9) emit({ type: "attribute", trial, scope: x === 0 ? "system" : "user", key: "__proto__", value: { deep: [Infinity] } });
    else if (kind === 10) emit(x === 0 ? { type: "pause", trial } : x === 1 ? { type: "requeue", trial, reason: "expired" } : { type: "note", trial: x === 2 ? trial : null, text: `note ${die}` });
    else if (kind === 11) emit({ type: "late", trial, fence: 1, time: die, owner: "slow", state: "COMPLETE", values: [Infinity, 1] });
    else {
      const done = state.finished[0];
      const answer = x === 3 && done !== undefined && state.states[done] === TrialState.COMPLETE ? { answeredBy: done } : {};
      emit(x === 0 ? { type: "finish", trial, time: die, state: "FAIL", values: null, error: "why" } : { type: "finish", trial, time: die, state: x === 1 ? "PRUNED" : "COMPLETE", values: [die, -Infinity], ...answer });
    }
  }
  return events;
}

test("a study goes on after a checkpoint as it would have without", () => {
  fc.assert(fc.property(fc.array(fc.nat(10_000), { maxLength: 120 }), fc.nat(200), (dice, cut) => {
    const events = history(dice);
    const before = events.slice(0, 1 + cut);
    const state = restored(replay(before));
    expect(facts(state)).toEqual(facts(replay(before)));
    for (const event of events.slice(before.length)) state.apply(event);
    expect(facts(state)).toEqual(facts(replay(events)));
  }), { numRuns: 150 });
});

test("a checkpoint without all its trials is refused", () => {
  const [study, ...trials] = [...replay(history([1, 1, 1, 12])).save()] as [SavedStudy, ...SavedTrial[]];
  expect(() => { new StudyState().restore(study, trials.slice(1)); }).toThrow(StorageCorruptError);
});
