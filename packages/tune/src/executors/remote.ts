// A pool of workers elsewhere, threads or processes, each evaluating one trial at a time. A worker that dies or falls
// silent loses its lease and is replaced; if it was only slow, what it says later is filed as late, never dropped.
import type { Master, Outcome } from "../trials/master.ts";
import { LeaseError } from "../errors/errors.ts";
import { asError, TrialTimeout, type Executor } from "../trials/loop.ts";
import type { TrialInit } from "../trials/trial.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";

/** One worker, as seen from the master. */
export interface WorkerHandle {
  post(message: ToWorker): void;
  /** Ends it by force. */
  kill(): void;
}

/** Starts worker `index`, from 0; calls `received` for its messages and `ended` once, when it is gone. */
export type Spawn = (index: number, received: (message: FromWorker) => void, ended: (reason: string) => void) => WorkerHandle;

/** Milliseconds a worker may take to start on a busy machine. */
const START = 60_000;

interface Member {
  /** Its place among the workers: a new one takes that of the one it replaces. */
  readonly index: number;
  handle: WorkerHandle;
  alive: boolean;
  /** The evaluation it has, and how to end it for the loop. */
  task: { readonly init: TrialInit; readonly master: Master; readonly settle: (outcome: Outcome) => void } | null;
  /** When it was last heard, by performance.now(); before its first word, when it was started. */
  heard: number;
  /** Whether it has said anything: starting may take longer than a heartbeat may. */
  started: boolean;
  /** Lost its lease by silence: gets no more work, may still deliver. */
  silent: boolean;
}

export class RemoteExecutor implements Executor {
  readonly slots: number;
  private readonly spawn: Spawn;
  private readonly members = new Set<Member>();
  private readonly silence: number;
  private readonly watch: ReturnType<typeof setInterval> | null;
  private closed = false;

  /** `silence`: milliseconds without a word after which a worker's lease ends; Infinity where death is always seen. */
  constructor(spawn: Spawn, slots: number, silence: number) {
    this.spawn = spawn;
    this.slots = slots;
    this.silence = silence;
    this.watch = silence === Infinity ? null : setInterval(() => { this.dropSilent(); }, silence / 4);
  }

  run(init: TrialInit, master: Master, signal: AbortSignal): Promise<Outcome> {
    return new Promise((resolve) => {
      const member = this.idle() ?? this.add();
      const abort = (): void => {
        if (signal.reason instanceof TrialTimeout) {
          member.task = null;
          this.discard(member);
        } else member.handle.post({ type: "abort" });
      };
      const settle = (outcome: Outcome): void => {
        signal.removeEventListener("abort", abort);
        resolve(outcome);
      };
      member.task = { init, master, settle };
      if (member.started) member.heard = performance.now();
      signal.addEventListener("abort", abort);
      member.handle.post({ type: "trial", init });
    });
  }

  close(): Promise<void> {
    this.closed = true;
    if (this.watch !== null) clearInterval(this.watch);
    for (const member of this.members) this.discard(member);
    return Promise.resolve();
  }

  private idle(): Member | undefined {
    return [...this.members].find((member) => member.alive && !member.silent && member.task === null);
  }

  private add(): Member {
    const used = new Set(Array.from(this.members, ({ index }) => index));
    let index = 0;
    while (used.has(index)) index++;
    const member: Member = { index, handle: { post: () => undefined, kill: () => undefined }, alive: true, task: null, heard: performance.now(), started: false, silent: false };
    this.members.add(member);
    member.handle = this.spawn(
      index,
      (message) => { void this.receive(member, message); },
      (reason) => {
        member.alive = false;
        this.members.delete(member);
        this.end(member, { kind: "lost", error: reason });
      },
    );
    return member;
  }

  private discard(member: Member): void {
    member.alive = false;
    this.members.delete(member);
    member.handle.kill();
  }

  private end(member: Member, outcome: Outcome): void {
    const { task } = member;
    member.task = null;
    task?.settle(outcome);
  }

  private dropSilent(): void {
    for (const member of this.members) {
      const patience = member.started ? this.silence : Math.max(this.silence, START);
      if (member.task === null || member.silent || performance.now() - member.heard < patience) continue;
      member.silent = true;
      const { settle } = member.task;
      // The task stays with the member, so that its late words still find their study.
      member.task = { ...member.task, settle: () => undefined };
      settle({ kind: "lost", error: `no word for ${patience} ms` });
    }
  }

  private async receive(member: Member, message: FromWorker): Promise<void> {
    member.heard = performance.now();
    member.started = true;
    const { task } = member;
    if (message.type === "heartbeat" || task === null || this.closed) return;
    if (message.type === "unfit") {
      this.end(member, { kind: "failed", error: message.error, cause: new Error(message.error) });
      this.discard(member);
      return;
    }
    const { master, init } = task;
    const { trial, fence } = message;
    if (trial !== init.number || fence !== init.fence) { this.refuse(member, init, message); return; }
    switch (message.type) {
      case "suggest": return this.suggest(member, master, message);
      case "report":
        try {
          const stop = await master.report(trial, fence, message.step, message.metrics, message.checkpoint);
          member.handle.post({ type: "reported", id: message.id, stop });
        } catch (error) {
          member.handle.post({ type: "reported", id: message.id, stop: true, error: asError(error).message });
        }
        return;
      case "constraint": master.annotate(trial, fence, { type: "constraint", trial, name: message.name, value: message.value }); return;
      case "attribute": master.annotate(trial, fence, { type: "attribute", trial, scope: "user", key: message.key, value: message.value }); return;
      case "note": master.annotate(trial, fence, { type: "note", trial, text: message.text }); return;
      case "done":
        if (!member.silent) { this.end(member, message.outcome); return; }
        await master.finish(trial, fence, message.outcome, "late worker").catch(() => undefined);
        this.discard(member);
    }
  }

  /** Words about a trial that the worker does not hold: its last one's, or a lie. They change nothing; a result ends it. */
  private refuse(member: Member, held: TrialInit, message: Exclude<FromWorker, { type: "heartbeat" | "unfit" }>): void {
    const { trial, fence } = message;
    const error = new LeaseError(`a worker with lease ${held.fence} of trial ${held.number} speaks for lease ${fence} of trial ${trial}, which it does not hold; check that worker.`).message;
    if (message.type === "suggest") member.handle.post({ type: "refused", answeredBy: null, error });
    else if (message.type === "report") member.handle.post({ type: "reported", id: message.id, stop: true });
    else if (message.type === "done") {
      this.end(member, { kind: "lost", error });
      this.discard(member);
    }
  }

  private suggest(member: Member, master: Master, { trial, fence, name, distribution }: Extract<FromWorker, { type: "suggest" }>): void {
    try {
      const value = master.suggest(trial, fence, name, distribution);
      const twin = master.twin(trial);
      member.handle.post(twin < 0 ? { type: "suggested", value } : { type: "refused", answeredBy: twin, error: "" });
    } catch (error) {
      member.handle.post({ type: "refused", answeredBy: null, error: asError(error).message });
    }
  }
}
