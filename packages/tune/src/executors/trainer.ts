// The training thread: loads the study's module and evaluates one trial at a time. It never owes anyone a heartbeat;
// a suggestion blocks it (the objective's calls are synchronous) while the thread above fetches the answer.
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from "node:worker_threads";
import type { Fields, ObjectSpace } from "../space/builder.ts";
import { LeaseError, TuneError } from "../errors/errors.ts";
import { Trial, TrialAnswered, type TrialChannel, type TrialInit } from "../trials/trial.ts";
import { evaluate, type Objective } from "./inline.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";

/** What a worker needs of the study that its module exports. */
interface Evaluated { readonly objective: Objective<unknown>; readonly space?: ObjectSpace<Fields> }

/** What the thread is started with. */
export interface TrainerData { readonly module: string; readonly answers: MessagePort; readonly signal: Int32Array }

const { module, answers, signal } = workerData as TrainerData;
const port = parentPort!;
const waiting = new Map<number, { resolve(stop: boolean): void; reject(error: Error): void }>();
let reports = 0;
let control = new AbortController();

const say = (message: FromWorker): void => { port.postMessage(message); };

function awaitAnswer(): ToWorker {
  for (;;) {
    const received = receiveMessageOnPort(answers) as { message: ToWorker } | undefined;
    if (received !== undefined) return received.message;
    Atomics.wait(signal, 0, 0, 1000);
    Atomics.store(signal, 0, 0);
  }
}

function channel({ number: trial, fence }: TrialInit): TrialChannel {
  return {
    suggest(name, distribution) {
      say({ type: "suggest", trial, fence, name, distribution });
      const answer = awaitAnswer();
      if (answer.type === "suggested") return answer.value;
      if (answer.type !== "refused") throw new LeaseError(`trial ${trial}: the master answered a suggestion with "${answer.type}".`);
      throw answer.answeredBy === null ? new TuneError(answer.error) : new TrialAnswered(answer.answeredBy);
    },
    report(step, metrics, checkpoint) {
      const id = reports++;
      say({ type: "report", id, trial, fence, step, metrics, checkpoint });
      return new Promise((resolve, reject) => { waiting.set(id, { resolve, reject }); });
    },
    constraint(name, value) { say({ type: "constraint", trial, fence, name, value }); },
    attribute(key, value) { say({ type: "attribute", trial, fence, key, value }); },
    note(text) { say({ type: "note", trial, fence, text }); },
  };
}

async function run(definition: Evaluated, init: TrialInit): Promise<void> {
  control = new AbortController();
  const trial = new Trial<unknown>(init, channel(init), definition.space ?? null, control.signal);
  const outcome = await evaluate(definition.objective, trial);
  say({ type: "done", trial: init.number, fence: init.fence, outcome });
}

try {
  const loaded = (await import(module)) as { default?: Partial<Evaluated> };
  const definition = loaded.default;
  const objective = definition?.objective;
  if (typeof objective !== "function") throw new TuneError(`${module} does not export a study; write \`export default defineStudy({ objective: … })\`.`);
  port.on("message", (message: ToWorker) => {
    if (message.type === "trial") void run({ ...definition, objective }, message.init);
    else if (message.type === "abort") control.abort();
    else if (message.type === "reported") {
      const waiter = waiting.get(message.id);
      waiting.delete(message.id);
      if (message.error === undefined) waiter?.resolve(message.stop);
      else waiter?.reject(new TuneError(message.error));
    }
  });
} catch (error) {
  say({ type: "unfit", error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
}
