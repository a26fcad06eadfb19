// How far a database has been read: which rows may be new or different, and the events that bring a state up to them.
// One reading is a fixed list of statements, so that a server is asked once.
import type { Direction } from "../../contract/contract.ts";
import { StudyError } from "../../errors/errors.ts";
import type { Distribution } from "../../space/distribution.ts";
import { defaultMetricNames, type StudyEvent } from "../../state/events.ts";
import type { StudyState } from "../../state/state.ts";
import { parseJson } from "../json.ts";
import type { Rows, Statement } from "./connection.ts";
import {
  readLateResult, readNotes, readStudyAttributes, readTrials,
  type AttributeRow, type IntermediateRow, type LeaseRow, type ParameterRow, type StudyAttributeRow, type TrialRow, type ValueRow,
} from "./reader.ts";

export class Cursor {
  /** distribution_json as others wrote it. */
  readonly distributionText: Map<string, { readonly distribution: Distribution; readonly text: string }> = new Map();
  readonly #study: number;
  /** Trials with an id above this have not been read. */
  #newest = 0;
  #lateSeen = 0;
  /** Row ids by trial number. */
  readonly #idOf: number[] = [];
  /** Whether the writer's times are UTC. */
  #utc = true;
  #first = true;

  constructor(study: number) {
    this.#study = study;
  }

  /** What says which study this is: read once, before anything else. */
  header(): Statement[] {
    const values = [this.#study];
    return [
      { sql: "SELECT study_name FROM studies WHERE study_id = ?", values },
      { sql: "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", values },
      { sql: `SELECT "key", value_json FROM study_system_attributes WHERE study_id = ? AND "key" IN ('study:metric_names', 'nabla:seed', 'nabla:noisy')`, values },
      { sql: "SELECT library_version FROM version_info", values: [] },
    ];
  }

  /** Creates the study in a new state. */
  create(rows: Rows, state: StudyState, shown: string): void {
    const [[study], directions, attributeRows, [version]] = rows as [{ study_name: string }[], { direction: string }[], StudyAttributeRow[], { library_version: string }[]];
    if (study === undefined) throw new StudyError(`${shown}: the study was removed meanwhile; create it anew.`);
    const attributes = new Map(attributeRows.map(({ key, value_json }) => [key, parseJson(value_json)]));
    const names = attributes.get("study:metric_names");
    const seed = attributes.get("nabla:seed");
    // Before its fifth version Optuna wrote local times.
    this.#utc = Number.parseInt(version?.library_version ?? "5", 10) >= 5;
    state.apply({
      type: "create", name: study.study_name,
      directions: directions.map(({ direction }): Direction => (direction === "MAXIMIZE" ? "maximize" : "minimize")),
      metricNames: Array.isArray(names) && names.length === directions.length ? names.map(String) : defaultMetricNames(directions.length),
      seed: typeof seed === "number" ? seed : this.#study,
      noisy: attributes.get("nabla:noisy") === true,
    });
  }

  /** Everything that may have changed: what `take` takes. */
  reads(state: StudyState, skipLocked: string): Statement[] {
    const study = this.#study;
    const open = [...state.running, ...state.waiting, ...state.paused].map((trial) => this.#idOf[trial]).filter((id) => id !== undefined && id <= this.#newest);
    const changing = `study_id = ? AND (trial_id > ?${open.length === 0 ? "" : ` OR trial_id IN (${open.join(",")})`})`;
    const values = [study, this.#newest];
    const of = (table: string, columns: string): Statement => ({
      sql: `SELECT trial_id, ${columns} FROM ${table} WHERE trial_id IN (SELECT trial_id FROM trials WHERE ${changing}) ORDER BY 1, 2`, values,
    });
    return [
      { sql: `SELECT "key", value_json FROM study_user_attributes WHERE study_id = ?`, values: [study] },
      // Of trials' notes there may be as many as trials: they are read once, when the study is opened.
      { sql: `SELECT "key", value_json FROM study_system_attributes WHERE study_id = ?${this.#first ? "" : ` AND "key" NOT LIKE 'dashboard:%:note%'`}`, values: [study] },
      { sql: `SELECT trial_id, number, state, datetime_start, datetime_complete FROM trials WHERE ${changing} ORDER BY trial_id`, values },
      { sql: `SELECT trial_id FROM trials WHERE ${changing} AND state = 'WAITING'${skipLocked}`, values },
      of("trial_params", "param_id, param_name, param_value, distribution_json"),
      of("trial_values", "objective, value, value_type"),
      of("trial_intermediate_values", "step, intermediate_value, intermediate_value_type"),
      of("trial_user_attributes", '"key", value_json'),
      of("trial_system_attributes", '"key", value_json'),
      of("hpo_lease", "owner, fence"),
      { sql: "SELECT late_result_id, result_json FROM hpo_late_result WHERE late_result_id > ? AND trial_id IN (SELECT trial_id FROM trials WHERE study_id = ?) ORDER BY late_result_id", values: [this.#lateSeen, study] },
    ];
  }

  /** Brings the state up to the rows. */
  take(rows: Rows, state: StudyState): void {
    const [studyUser, studySystem, trials, free, parameters, values, intermediates, user, system, leases, late] = rows as [
      StudyAttributeRow[], StudyAttributeRow[], TrialRow[], { trial_id: number }[], ParameterRow[], ValueRow[], IntermediateRow[],
      AttributeRow[], AttributeRow[], LeaseRow[], { late_result_id: number; result_json: string }[],
    ];
    const emit = (event: StudyEvent): void => { state.apply(event); };
    readStudyAttributes("user", studyUser, { state, emit });
    readStudyAttributes("system", studySystem, { state, emit });
    for (const row of trials) this.#idOf[row.number] = row.trial_id;
    const freeIds = new Set(free.map((row) => row.trial_id));
    const taken = new Set(trials.filter((row) => row.state === "WAITING" && !freeIds.has(row.trial_id)).map((row) => row.number));
    readTrials({ trials, parameters, values, intermediates, user, system, leases }, { state, emit, utc: this.#utc, distributionText: this.distributionText, taken });
    const news = trials.filter((row) => row.trial_id > this.#newest);
    readNotes(studySystem, new Map(news.map((row) => [row.trial_id, row.number])), { state, emit });
    this.#newest = news.at(-1)?.trial_id ?? this.#newest;
    for (const row of late) {
      const result = readLateResult(row.result_json);
      this.#lateSeen = row.late_result_id;
      if (!state.late.some((known) => known.trial === result.trial && known.fence === result.fence)) emit({ type: "late", ...result });
    }
    this.#first = false;
  }

  /** Whether nothing has been read yet. */
  get first(): boolean {
    return this.#first;
  }
}
