// What a study's history is kept in: columns that double when they are full, and a record per trial for the rest.
import { hashString } from "../random/random.ts";
import { internalWidth, type Distribution, type Internal } from "../space/distribution.ts";
import type { Checkpoint, Json, ParameterColumn, Reports } from "../contract/contract.ts";

/** Who may tell a trial. When a lease ends is for the executor or the shared storage to judge, by their clocks. */
export interface Lease { readonly owner: string; readonly fence: number }

export class ReportLog implements Reports {
  readonly steps: number[];
  readonly metrics: Map<string, number[]>;

  constructor(steps: number[] = [], metrics: Map<string, number[]> = new Map()) {
    this.steps = steps;
    this.metrics = metrics;
  }

  get length(): number {
    return this.steps.length;
  }

  /** Keeps steps sorted; a step reported again replaces its metrics. */
  set(step: number, metrics: Readonly<Record<string, number>>): void {
    let at = this.steps.length;
    while (at > 0 && this.steps[at - 1]! >= step) at--;
    if (this.steps[at] !== step) {
      this.steps.splice(at, 0, step);
      for (const column of this.metrics.values()) column.splice(at, 0, Number.NaN);
    }
    for (const [name, value] of Object.entries(metrics)) {
      let column = this.metrics.get(name);
      if (column === undefined) this.metrics.set(name, (column = this.steps.map(() => Number.NaN)));
      column[at] = value;
    }
  }
}

/** What a trial has beside its columns; absent fields are the common case. */
export interface TrialRecord {
  started: number | null;
  finished: number | null;
  lease: Lease | null;
  /** Counts claims; also the number of the attempt. */
  fence: number;
  watermark: number;
  answeredBy: number;
  parent: number;
  checkpoint: Checkpoint | null;
  reports: ReportLog | null;
  constraints: Map<string, number> | null;
  userAttributes: Map<string, Json> | null;
  systemAttributes: Map<string, Json> | null;
  note: string;
}

const BLANK: Readonly<TrialRecord> = {
  started: null, finished: null, lease: null, fence: 0, watermark: -1, answeredBy: -1, parent: -1,
  checkpoint: null, reports: null, constraints: null, userAttributes: null, systemAttributes: null, note: "",
};

export function newRecord(): TrialRecord {
  return { ...BLANK };
}

type Table<V> = Readonly<Record<string, V>>;
type Scalars = Omit<TrialRecord, "reports" | "constraints" | "userAttributes" | "systemAttributes">;

/** A record as JSON, without what is as in a new one. */
export interface SavedRecord extends Partial<Readonly<Scalars>> {
  readonly reports?: { readonly steps: number[]; readonly metrics: Table<number[]> };
  readonly constraints?: Table<number>;
  readonly userAttributes?: Table<Json>;
  readonly systemAttributes?: Table<Json>;
}

export function saveRecord({ reports, constraints, userAttributes, systemAttributes, ...scalars }: TrialRecord): SavedRecord {
  return {
    ...Object.fromEntries(Object.entries(scalars).filter(([key, value]) => value !== BLANK[key as keyof Scalars])),
    ...(reports === null ? {} : { reports: { steps: reports.steps, metrics: Object.fromEntries(reports.metrics) } }),
    ...(constraints === null ? {} : { constraints: Object.fromEntries(constraints) }),
    ...(userAttributes === null ? {} : { userAttributes: Object.fromEntries(userAttributes) }),
    ...(systemAttributes === null ? {} : { systemAttributes: Object.fromEntries(systemAttributes) }),
  };
}

export function restoreRecord({ reports, constraints, userAttributes, systemAttributes, ...scalars }: SavedRecord): TrialRecord {
  const map = <V>(table: Table<V> | undefined): Map<string, V> | null => (table === undefined ? null : new Map(Object.entries(table)));
  return {
    ...BLANK, ...scalars,
    reports: reports === undefined ? null : new ReportLog(reports.steps, new Map(Object.entries(reports.metrics))),
    constraints: map(constraints), userAttributes: map(userAttributes), systemAttributes: map(systemAttributes),
  };
}

export class GrowingColumn implements ParameterColumn {
  readonly name: string;
  readonly width: number;
  readonly nameHash: number;
  distribution: Distribution;
  data: Float64Array;
  count = 0;

  constructor(name: string, distribution: Distribution, capacity: number) {
    this.name = name;
    this.nameHash = hashString(name);
    this.distribution = distribution;
    this.width = internalWidth(distribution);
    this.data = nanArray(this.width * capacity);
  }

  /** The trial's value; undefined when it has none. */
  at(trial: number): Internal | undefined {
    const start = trial * this.width;
    if (Number.isNaN(this.data[start])) return undefined;
    return this.width === 1 ? this.data[start]! : this.data.slice(start, start + this.width);
  }
}

export function nanArray(length: number): Float64Array {
  return new Float64Array(length).fill(Number.NaN);
}
