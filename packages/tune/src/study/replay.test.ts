// A parallel run is a function of its log: at every ask the sampler, given the log so far, proposes what it proposed then.
import { describe, expect, test } from "vitest";
import { AutoSampler } from "../samplers/auto.ts";
import { TPESampler } from "../samplers/tpe/sampler.ts";
import { space } from "../space/builder.ts";
import { MemoryStorage, MemoryStore } from "../storage/memory.ts";
import type { Storage } from "../storage/storage.ts";
import type { Sampler } from "../contract/contract.ts";
import { StorageCorruptError } from "../errors/errors.ts";
import type { CreateEvent, StudyEvent } from "../state/events.ts";
import { draftTrial, startTrial } from "../trials/proposal.ts";
import { replay, type StudyState } from "../state/state.ts";
import { createStudy } from "./study.ts";

class RecordingStore extends MemoryStore {
  readonly events: StudyEvent[] = [];
  override append(event: StudyEvent): void {
    super.append(event);
    this.events.push(event);
  }
}

const conditional = space.object({
  x: space.float(-5, 5), n: space.int(1, 8), kind: space.choice({ a: { rate: space.float(1e-4, 1, { log: true }) }, b: {} }),
});

describe.each([["tpe", () => new TPESampler()], ["auto", () => new AutoSampler()]] as [string, () => Sampler][])("%s", (_, make) => {
  test("a parallel run replays from its log", async () => {
    const store = new RecordingStore();
    const storage: Storage = Object.assign(new MemoryStorage(), { create: (event: CreateEvent) => { store.append(event); return Promise.resolve(store); } });
    const study = await createStudy({ seed: 4, storage, sampler: make(), space: conditional, pruner: null });
    await study.optimize(async (trial) => {
      const { x, n, kind } = trial.params;
      await new Promise((resolve) => setTimeout(resolve, (trial.number * 7) % 5));
      return x * x + n + (kind.kind === "a" ? Math.abs(Math.log(kind.rate)) : 1);
    }, { trials: 24, workers: 4 });
    const sampler = make();
    let compared = 0;
    for (const [i, event] of store.events.entries()) {
      if (event.type !== "ask") continue;
      const state = replay(store.events.slice(0, i));
      state.space = conditional.search;
      expect(event.watermark).toBe(state.watermark);
      const again: StudyEvent[] = [];
      const remaining = 24 - state.evaluations;
      const options = { sampler, fixed: {}, owner: "x", remaining, answered: 0, probed: true, now: () => 0 };
      startTrial(state, draftTrial(state, options)!, options, (e) => { state.apply(e); again.push(e); });
      const chosen = (events: readonly StudyEvent[]): unknown => events.find((e) => e.type === "parameters" && e.trial === event.trial);
      expect(chosen(again)).toEqual(chosen(store.events));
      compared++;
    }
    expect(compared).toBeGreaterThanOrEqual(24);
  });
});

describe("an event that cannot follow is refused and changes nothing", () => {
  const create: CreateEvent = { type: "create", name: "s", seed: 1, directions: ["minimize"], metricNames: ["value"], noisy: false };
  const ask: StudyEvent = { type: "ask", trial: 0, time: 0, owner: "o", watermark: 0 };
  test.each<[string, StudyEvent[], StudyEvent]>([
    ["an ask before the creation", [], ask],
    ["a second creation", [create], create],
    ["a gap in the numbers", [create], { ...ask, trial: 1 }],
    ["the end of an unknown trial", [create], { type: "finish", trial: 0, time: 0, state: "FAIL", values: null }],
    ["a second end", [create, ask, { type: "finish", trial: 0, time: 0, state: "FAIL", values: null }], { type: "finish", trial: 0, time: 0, state: "COMPLETE", values: [1] }],
    ["too many values", [create, ask], { type: "finish", trial: 0, time: 0, state: "COMPLETE", values: [1, 2] }],
    ["an undeclared parameter", [create, ask], { type: "parameters", trial: 0, values: { x: 1 } }],
    ["a claim of a running trial", [create, ask], { type: "claim", trial: 0, time: 0, owner: "p", fence: 2 }],
    ["an old fence", [create, ask, { type: "requeue", trial: 0, reason: "expired" }], { type: "claim", trial: 0, time: 0, owner: "p", fence: 1 }],
    ["a pause of a waiting trial", [create, { type: "enqueue", trial: 0, time: 0, fixed: {} }], { type: "pause", trial: 0 }],
  ])("%s", (_, before, event) => {
    const state = replay(before);
    const facts = (s: StudyState): unknown => [s.length, s.watermark, s.evaluations, [...s.running], [...s.waiting], s.created && Array.from({ length: s.length }, (__, t) => s.trial(t))];
    const then = JSON.stringify(facts(state));
    expect(() => { state.apply(event); }).toThrow(StorageCorruptError);
    expect(JSON.stringify(facts(state))).toBe(then);
  });
});
