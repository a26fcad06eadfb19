// Each event as statements on Optuna's tables. What Optuna has no place for goes to system attributes under
// "nabla:" and to the side tables; it reads the rest as its own.
import type { Distribution } from "../../space/distribution.ts";
import { internalWidth } from "../../space/distribution.ts";
import { MANUAL, type Json } from "../../contract/contract.ts";
import type { NoteEvent, ParametersEvent, StudyEvent } from "../../state/events.ts";
import type { StudyState } from "../../state/state.ts";
import { stringifyJson } from "../json.ts";
import type { SqlValue, Statement } from "./connection.ts";
import { componentDistribution, formatTime, toOptunaDistribution } from "./schema.ts";

export interface WriterContext {
  readonly state: StudyState;
  readonly study: number;
  /** The database's clock in seconds since 1970. */
  readonly now: string;
  /** Seconds until a lease ends unless renewed. */
  readonly lease: number;
  /** distribution_json as others wrote it, kept verbatim: Python tells 1 from 1.0. */
  readonly distributionText: Map<string, { readonly distribution: Distribution; readonly text: string }>;
}

const LAST_STEP = 2 ** 31 - 1;

/** The row id of a trial, by number. */
const TRIAL = "(SELECT trial_id FROM trials WHERE study_id = ? AND number = ?)";

/** The statements that write one event, which the state has applied already. */
export function statementsFor(event: StudyEvent, context: WriterContext): Statement[] {
  const { study } = context;
  const of = (trial: number): readonly SqlValue[] => [study, trial];
  const system = (trial: number, key: string, value: Json): Statement => trialAttribute("system", of(trial), key, value);
  switch (event.type) {
    case "create": return [];
    case "declare": return isOptunaKind(event.distribution) ? [] : [studyAttribute("system", study, `nabla:parameter:${event.name}`, { ...event.distribution })];
    case "enqueue": return [
      { sql: "INSERT INTO trials (number, study_id, state) VALUES (?, ?, 'WAITING')", values: [event.trial, study] },
      ...Object.entries({ ...event.attributes, fixed_params: event.fixed }).map(([key, value]) => system(event.trial, key, value)),
      ...origin(event, system),
    ];
    case "ask": return [
      { sql: "INSERT INTO trials (number, study_id, state, datetime_start) VALUES (?, ?, 'RUNNING', ?)", values: [event.trial, study, formatTime(event.time)] },
      lease(of(event.trial), event.owner, 1, context),
      ...origin(event, system),
    ];
    case "claim": return [
      { sql: `UPDATE trials SET state = 'RUNNING', datetime_start = COALESCE(datetime_start, ?) WHERE study_id = ? AND number = ?`, values: [formatTime(event.time), ...of(event.trial)] },
      lease(of(event.trial), event.owner, event.fence, context),
    ];
    case "parameters": return parameterRows(event, context);
    case "report": {
      // Optuna's column for steps has 32 bits; later ones go where other metrics go.
      const first = event.step > LAST_STEP ? "" : context.state.metricNames[0]!;
      const { [first]: value, ...others } = event.metrics;
      return [
        ...(value === undefined ? [] : [{
          sql: `INSERT INTO trial_intermediate_values (trial_id, step, intermediate_value, intermediate_value_type) VALUES (${TRIAL}, ?, ?, ?)
            ON CONFLICT (trial_id, step) DO UPDATE SET intermediate_value = excluded.intermediate_value, intermediate_value_type = excluded.intermediate_value_type`,
          values: [...of(event.trial), event.step, ...typed(value)],
        }]),
        ...(Object.keys(others).length === 0 ? [] : [system(event.trial, `nabla:report:${event.step}`, others)]),
        ...(event.checkpoint === undefined ? [] : [system(event.trial, "nabla:checkpoint", event.checkpoint)]),
      ];
    }
    // By name for Optuna 5, and as a list for what reads the key of Optuna 4, such as optuna-dashboard; Optuna 5 then sees
    // each twice, which changes nothing about what is feasible.
    case "constraint": return [
      system(event.trial, `constraints:${event.name}`, event.value),
      system(event.trial, "constraints", Object.values(context.state.trial(event.trial).constraints)),
    ];
    case "attribute": return [event.trial === null ? studyAttribute(event.scope, study, event.key, event.value) : trialAttribute(event.scope, of(event.trial), event.key, event.value)];
    case "note": return noteRows(event, study);
    case "finish": return [
      { sql: "UPDATE trials SET state = ?, datetime_complete = ? WHERE study_id = ? AND number = ?", values: [event.state, formatTime(event.time), ...of(event.trial)] },
      ...(event.values ?? []).map((value, objective): Statement => ({
        sql: `INSERT INTO trial_values (trial_id, objective, value, value_type) VALUES (${TRIAL}, ?, ?, ?)
          ON CONFLICT (trial_id, objective) DO UPDATE SET value = excluded.value, value_type = excluded.value_type`,
        values: [...of(event.trial), objective, ...typed(value)],
      })),
      ...(event.answeredBy === undefined ? [] : [system(event.trial, "nabla:answered_by", event.answeredBy)]),
      ...(event.error === undefined ? [] : [system(event.trial, "fail_reason", event.error)]),
      endLease(of(event.trial)),
    ];
    // Optuna knows no PAUSED and would start a WAITING trial: it sees a trial that runs.
    case "pause": return [system(event.trial, "nabla:paused", true), endLease(of(event.trial))];
    case "requeue": return [
      { sql: "UPDATE trials SET state = 'WAITING' WHERE study_id = ? AND number = ?", values: of(event.trial) },
      ...(context.state.systemAttribute(event.trial, "nabla:paused") === undefined && event.reason !== "promoted" ? [] : [system(event.trial, "nabla:paused", false)]),
      endLease(of(event.trial)),
    ];
    case "late": {
      const { type: _, ...result } = event;
      return [{ sql: `INSERT INTO hpo_late_result (trial_id, result_json) VALUES (${TRIAL}, ?)`, values: [...of(event.trial), stringifyJson(result)] }];
    }
  }
}

/**
 * Notes are where optuna-dashboard has them: attributes of the study that name the trial's row, text in chunks and a
 * version that grows. One chunk holds any text here; those of a longer one are emptied.
 */
function noteRows({ trial, text }: NoteEvent, study: number): Statement[] {
  const prefix = trial === null ? "'dashboard:'" : `'dashboard:' || ${TRIAL} || ':'`;
  const of = trial === null ? [] : [study, trial];
  const set = (key: string, value: Json): Statement => ({
    sql: `INSERT INTO study_system_attributes (study_id, "key", value_json) VALUES (?, ${prefix} || '${key}', ?) ON CONFLICT (study_id, "key") DO UPDATE SET value_json = excluded.value_json`,
    values: [study, ...of, stringifyJson(value)],
  });
  return [
    { sql: `UPDATE study_system_attributes SET value_json = '""' WHERE study_id = ? AND "key" LIKE ${prefix} || 'note_str:%'`, values: [study, ...of] },
    set("note_str:0", text), set("note_ver", Date.now()),
  ];
}

/** An attribute of the study. */
export function studyAttribute(scope: "user" | "system", study: number, key: string, value: Json): Statement {
  return {
    sql: `INSERT INTO study_${scope}_attributes (study_id, "key", value_json) VALUES (?, ?, ?) ON CONFLICT (study_id, "key") DO UPDATE SET value_json = excluded.value_json`,
    values: [study, key, stringifyJson(value)],
  };
}

function trialAttribute(scope: "user" | "system", trial: readonly SqlValue[], key: string, value: Json): Statement {
  return {
    sql: `INSERT INTO trial_${scope}_attributes (trial_id, "key", value_json) VALUES (${TRIAL}, ?, ?) ON CONFLICT (trial_id, "key") DO UPDATE SET value_json = excluded.value_json`,
    values: [...trial, key, stringifyJson(value)],
  };
}

function origin({ trial, parent, checkpoint }: { trial: number; parent?: number; checkpoint?: string }, system: (trial: number, key: string, value: Json) => Statement): Statement[] {
  return [
    ...(parent === undefined ? [] : [system(trial, "nabla:parent", parent)]),
    ...(checkpoint === undefined ? [] : [system(trial, "nabla:checkpoint", checkpoint)]),
  ];
}

/** A lease runs on the database's clock; trials asked for by hand have no end. */
function lease(trial: readonly SqlValue[], owner: string, fence: number, { now, lease: seconds }: WriterContext): Statement {
  return {
    sql: `INSERT INTO hpo_lease (trial_id, owner, fence, expires) VALUES (${TRIAL}, ?, ?, ${owner === MANUAL ? "NULL" : `${now} + ${seconds}`})
      ON CONFLICT (trial_id) DO UPDATE SET owner = excluded.owner, fence = excluded.fence, expires = excluded.expires`,
    values: [...trial, owner, fence],
  };
}

function endLease(trial: readonly SqlValue[]): Statement {
  return { sql: `UPDATE hpo_lease SET expires = NULL WHERE trial_id = ${TRIAL}`, values: trial };
}

function parameterRows(event: ParametersEvent, { state, study, distributionText }: WriterContext): Statement[] {
  return Object.entries(event.values).flatMap(([name, value]) => {
    const { distribution } = state.parameters.get(name)!;
    const known = distributionText.get(name);
    const text = known !== undefined && known.distribution === distribution ? known.text : stringifyJson(toOptunaDistribution(componentDistribution(distribution)));
    distributionText.set(name, { distribution, text });
    const numbers = typeof value === "number" ? [value] : value;
    return numbers.map((x, i): Statement => ({
      sql: `INSERT INTO trial_params (trial_id, param_name, param_value, distribution_json) VALUES (${TRIAL}, ?, ?, ?)
        ON CONFLICT (trial_id, param_name) DO UPDATE SET param_value = excluded.param_value, distribution_json = excluded.distribution_json`,
      values: [study, event.trial, internalWidth(distribution) === 1 ? name : `${name}[${i}]`, x, text],
    }));
  });
}

function isOptunaKind({ kind }: Distribution): boolean {
  return kind === "float" || kind === "int" || kind === "categorical";
}

function typed(value: number): readonly SqlValue[] {
  if (Number.isFinite(value)) return [value, "FINITE"];
  return [null, Number.isNaN(value) ? "NAN" : value > 0 ? "INF_POS" : "INF_NEG"];
}
