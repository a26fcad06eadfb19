// Optuna beside us in the same run, when an interpreter that has it is at hand: its samplers on the same problems with as
// many seeds, duplicates not charged, and the time of its TPE.
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import type { Report } from "./report.ts";

/** What `optuna_peer.py` is asked for. */
interface Plan {
  readonly functions?: readonly string[];
  /** Paths of table files by problem name. */
  readonly tables?: Readonly<Record<string, string>>;
  readonly samplers?: readonly string[];
  readonly seeds?: readonly number[];
  readonly checkpoints?: readonly number[];
  /** Numbers of trials after which an ask and tell is timed. */
  readonly speed?: readonly number[];
  readonly repeats?: number;
}

interface Line {
  readonly problem: string;
  readonly sampler: string;
  readonly regrets: readonly number[];
  readonly trials: number;
  readonly ms: number;
}

export class Optuna {
  private readonly python: string;
  readonly version: string;

  private constructor(python: string, version: string) {
    this.python = python;
    this.version = version;
  }

  /** Null, with a line that says so, where the interpreter has no Optuna. */
  static find(python: string): Optuna | null {
    const probe = spawnSync(python, ["-c", "import optuna; print(optuna.__version__)"], { encoding: "utf8" });
    if (probe.status === 0) return new Optuna(python, probe.stdout.trim());
    console.log(`\n${python} has no Optuna: the peer's numbers are recorded ones; name an interpreter with --python or NABLA_TEST_OPTUNA`);
    return null;
  }

  /** Regrets of seeds 0 … seeds − 1, per checkpoint, by problem and sampler. */
  regrets(problems: Pick<Plan, "functions" | "tables">, samplers: readonly string[], seeds: number, checkpoints: readonly number[]): OptunaRegrets {
    const result = new Map<string, number[][]>();
    const known = samplers.filter((sampler) => sampler === "random" || sampler === "tpe");
    if (known.length === 0) return result;
    for (const { problem, sampler, regrets } of this.run({ ...problems, samplers: known, seeds: Array.from({ length: seeds }, (_, seed) => seed), checkpoints })) {
      const columns = result.get(`${problem} ${sampler}`) ?? checkpoints.map(() => []);
      regrets.forEach((regret, k) => columns[k]!.push(regret));
      result.set(`${problem} ${sampler}`, columns);
    }
    return result;
  }

  /** Shows the milliseconds of an ask and tell of its TPE. */
  speed(report: Report, quick: boolean): void {
    for (const { trials, ms } of this.run({ speed: [1000, 10_000], repeats: quick ? 5 : 21 })) {
      report.add({ group: `Optuna ${this.version} in this run`, name: `TPE, ${trials.toLocaleString("en")} trials, 10-D, ms`, measured: ms, must: null });
    }
  }

  private run(plan: Plan): Line[] {
    const run = spawnSync(this.python, [join(import.meta.dirname, "optuna_peer.py")], {
      input: JSON.stringify(plan), encoding: "utf8", maxBuffer: 1 << 26, env: { ...process.env, OMP_NUM_THREADS: "1" },
    });
    if (run.status !== 0) throw new Error(`${this.python} failed to run Optuna: ${run.stderr.slice(-500)}`);
    return run.stdout.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line) as Line);
  }
}

/** Per "problem sampler" one list of regrets per checkpoint. */
export type OptunaRegrets = ReadonlyMap<string, readonly (readonly number[])[]>;
