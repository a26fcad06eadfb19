// What the master and a training thread say to each other, by structured clone: over a message port to a thread,
// over the process channel to an agent that passes it on. Every message about a trial names its fence.
import type { Distribution, Internal } from "../space/distribution.ts";
import type { Checkpoint, Json } from "../contract/contract.ts";
import type { Outcome } from "../trials/master.ts";
import type { Metrics, TrialInit } from "../trials/trial.ts";

export type ToWorker =
  | { readonly type: "trial"; readonly init: TrialInit }
  /** The answer to "suggest"; the training thread waits for it. */
  | { readonly type: "suggested"; readonly value: Internal }
  | { readonly type: "refused"; readonly answeredBy: number | null; readonly error: string }
  | { readonly type: "reported"; readonly id: number; readonly stop: boolean; readonly error?: string }
  | { readonly type: "abort" };

interface About { readonly trial: number; readonly fence: number }
export type FromWorker =
  | { readonly type: "heartbeat" }
  /** The module could not be loaded. */
  | { readonly type: "unfit"; readonly error: string }
  | { readonly type: "suggest"; readonly name: string; readonly distribution: Distribution } & About
  | { readonly type: "report"; readonly id: number; readonly step: number; readonly metrics: Metrics; readonly checkpoint: Checkpoint | undefined } & About
  | { readonly type: "constraint"; readonly name: string; readonly value: number } & About
  | { readonly type: "attribute"; readonly key: string; readonly value: Json } & About
  | { readonly type: "note"; readonly text: string } & About
  | { readonly type: "done"; readonly outcome: Outcome } & About;
