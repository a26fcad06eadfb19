// Studies in a database with Optuna's tables: makes them, finds them, removes them.
import { StorageError, StorageVersionError, TuneError } from "../../errors/errors.ts";
import { defaultMetricNames, type CreateEvent } from "../../state/events.ts";
import { chooseStudy, studyExists } from "../memory.ts";
import type { Storage, StudyStore } from "../storage.ts";
import type { SqlConnection, Statement } from "./connection.ts";
import { ALEMBIC_REVISION, createOptunaTables, createSideTables } from "./schema.ts";
import { OptunaStore } from "./store.ts";
import { studyAttribute } from "./writer.ts";

/** What may be said of any shared storage. */
export interface SharedOptions {
  /** Seconds until an unrenewed lease ends; 30 by default. */
  readonly lease?: number;
  /** Seconds after which a server that does not answer is taken for gone; 30 by default. */
  readonly silence?: number;
  /** Seconds that a study tries to reach a database that went away, before it fails; 600 by default. */
  readonly patience?: number;
  /** Makes no tables of Optuna's where there are none. */
  readonly readOnly?: boolean;
}

export interface OptunaStorageOptions extends SharedOptions {
  readonly address: string;
  /** The address as messages show it: without a password. */
  readonly shown: string;
  readonly connect: () => Promise<SqlConnection>;
}

export class OptunaStorage implements Storage {
  readonly address: string;
  readonly #options: OptunaStorageOptions;
  #connection: SqlConnection;

  private constructor(options: OptunaStorageOptions, connection: SqlConnection) {
    this.address = options.shown;
    this.#options = options;
    this.#connection = connection;
  }

  /** Opens a database, making the tables when there are none; throws StorageVersionError for another schema. */
  static async open(options: OptunaStorageOptions): Promise<OptunaStorage> {
    const storage = new OptunaStorage(options, await options.connect());
    try {
      await storage.#transaction((connection) => prepareTables(connection, options));
    } catch (error) {
      await storage.close();
      throw error;
    }
    return storage;
  }

  async create(event: CreateEvent): Promise<StudyStore> {
    return this.#openStudy(await this.#transaction(async (connection) => {
      if ((await connection.all("SELECT study_id FROM studies WHERE study_name = ?", [event.name])).length > 0) throw studyExists(event.name, this.address);
      const [row] = await connection.all<{ study_id: number }>("INSERT INTO studies (study_name) VALUES (?) RETURNING study_id", [event.name]);
      const study = row!.study_id;
      for (const [objective, direction] of event.directions.entries()) {
        await connection.all("INSERT INTO study_directions (direction, study_id, objective) VALUES (?, ?, ?)", [direction.toUpperCase(), study, objective]);
      }
      const attributes: Statement[] = [
        // With names, Optuna's tables have a column "values_<name>" instead of "value": only where they say something.
        ...(event.metricNames.join() === defaultMetricNames(event.directions.length).join() ? [] : [studyAttribute("system", study, "study:metric_names", event.metricNames)]),
        studyAttribute("system", study, "nabla:seed", event.seed),
        studyAttribute("system", study, "nabla:noisy", event.noisy),
      ];
      for (const { sql, values } of attributes) await connection.all(sql, values);
      return study;
    }));
  }

  async load(name: string | undefined): Promise<StudyStore> {
    const chosen = chooseStudy(await this.names(), name, this.address);
    const [row] = await this.#connected((connection) => connection.all<{ study_id: number }>("SELECT study_id FROM studies WHERE study_name = ?", [chosen]));
    return this.#openStudy(row!.study_id);
  }

  async names(): Promise<readonly string[]> {
    const rows = await this.#connected((connection) => connection.all<{ study_name: string }>("SELECT study_name FROM studies ORDER BY study_id"));
    return rows.map((row) => row.study_name);
  }

  async remove(name: string): Promise<void> {
    chooseStudy(await this.names(), name, this.address);
    await this.#transaction(async (connection) => {
      const study = "(SELECT study_id FROM studies WHERE study_name = ?)";
      for (const table of ["hpo_lease", "hpo_late_result", "trial_user_attributes", "trial_system_attributes", "trial_params", "trial_values", "trial_intermediate_values", "trial_heartbeats"]) {
        await connection.all(`DELETE FROM ${table} WHERE trial_id IN (SELECT trial_id FROM trials WHERE study_id = ${study})`, [name]);
      }
      for (const table of ["trials", "study_directions", "study_user_attributes", "study_system_attributes", "studies"]) {
        await connection.all(`DELETE FROM ${table} WHERE study_id = ${study}`, [name]);
      }
    });
  }

  /** One transaction on the whole database. */
  #transaction<R>(work: (connection: SqlConnection) => Promise<R>): Promise<R> {
    return this.#connected(async (connection) => {
      await connection.begin(null, true);
      try {
        const result = await work(connection);
        await connection.commit();
        return result;
      } catch (error) {
        await connection.rollback().catch(() => undefined);
        throw error;
      }
    });
  }

  /** Does `work` once more when the connection turns out to be lost. */
  async #connected<R>(work: (connection: SqlConnection) => Promise<R>): Promise<R> {
    try {
      return await work(this.#connection);
    } catch (error) {
      if (error instanceof TuneError) throw error;
      if (!this.#connection.lost(error)) throw new StorageError(`${this.address} failed (${(error as Error).message}); check that it may be written by this user.`, { cause: error });
      await this.#connection.close().catch(() => undefined);
      this.#connection = await this.#options.connect();
      return work(this.#connection);
    }
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  async #openStudy(study: number): Promise<StudyStore> {
    const store = new OptunaStore(await this.#options.connect(), study, this.#options);
    try {
      await store.open();
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  }
}

async function prepareTables(connection: SqlConnection, { shown: address, readOnly = false }: OptunaStorageOptions): Promise<void> {
  const exists = connection.dialect === "sqlite"
    ? "SELECT name FROM sqlite_master WHERE type = 'table' AND name IN ('alembic_version', 'studies')"
    : "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = current_schema() AND table_name IN ('alembic_version', 'studies')";
  const tables = await connection.all(exists);
  if (tables.length === 0 && readOnly) throw new StorageError(`${address} holds no studies and no tables for them; check the address.`);
  if (tables.length === 0) for (const sql of createOptunaTables(connection.dialect)) await connection.all(sql);
  else if (tables.length === 1) throw new StorageVersionError(`${address} has tables of another program, or of Optuna before 0.20; choose another database, or upgrade it with \`optuna storage upgrade\`.`);
  const [version] = await connection.all<{ version_num: string }>("SELECT version_num FROM alembic_version");
  if (version?.version_num !== ALEMBIC_REVISION) {
    throw new StorageVersionError(`${address} has schema ${version?.version_num ?? "without a revision"}, this release knows ${ALEMBIC_REVISION}. Upgrade an older one with \`optuna storage upgrade\`; for a newer one upgrade this package.`);
  }
  for (const sql of createSideTables(connection.dialect)) await connection.all(sql);
}
