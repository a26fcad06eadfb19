// Optuna beside us in the same run, when an interpreter that has it is at hand: milliseconds per trial of its samplers.
import { spawnSync } from "node:child_process";
import type { Report } from "./report.ts";

const PROGRAM = `
import json, sys, time, statistics, warnings
warnings.filterwarnings("ignore")
import optuna
optuna.logging.set_verbosity(optuna.logging.ERROR)
D = 10
dists = {f"x{i}": optuna.distributions.FloatDistribution(-5, 10) for i in range(D)}
def f(x): return sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(D - 1))
def ask_tell(n, repeats):
    import random
    r = random.Random(0)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=0))
    for _ in range(n):
        x = [15 * r.random() - 5 for _ in range(D)]
        study.add_trial(optuna.trial.create_trial(params={f"x{i}": v for i, v in enumerate(x)}, distributions=dists, value=f(x)))
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        trial = study.ask(dists)
        study.tell(trial, f([trial.params[f"x{i}"] for i in range(D)]))
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)
def regret(problem_dims, low, high, g):
    best = []
    for seed in range(int(sys.argv[2])):
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        study.optimize(lambda t: g([t.suggest_float(f"x{i}", low, high) for i in range(problem_dims)]), n_trials=100)
        best.append(study.best_value)
    return statistics.median(best)
rosen = lambda x: sum(100 * (x[i + 1] - x[i] ** 2) ** 2 + (1 - x[i]) ** 2 for i in range(len(x) - 1))
print(json.dumps({"version": optuna.__version__, "ask1000": ask_tell(1000, int(sys.argv[1])), "ask10000": ask_tell(10000, int(sys.argv[1])), "rosenbrock5": regret(5, -5, 10, rosen)}))
`;

/** Measures Optuna's TPE where it is installed; says so where it is not. */
export function measureOptuna(report: Report, python: string, quick: boolean): void {
  const probe = spawnSync(python, ["-c", "import optuna"], { encoding: "utf8" });
  if (probe.status !== 0) {
    console.log(`\n${python} has no Optuna: the peer's numbers above are published or recorded ones`);
    return;
  }
  const run = spawnSync(python, ["-c", PROGRAM, quick ? "5" : "21", quick ? "3" : "20"], { encoding: "utf8", maxBuffer: 1 << 24 });
  if (run.status !== 0) throw new Error(`${python} failed to run Optuna: ${run.stderr.slice(-500)}`);
  const result = JSON.parse(run.stdout) as { version: string; ask1000: number; ask10000: number; rosenbrock5: number };
  const group = `Optuna ${result.version} in this run`;
  report.add({ group, name: "TPE, 1,000 trials, 10-D, ms", measured: result.ask1000, must: null });
  report.add({ group, name: "TPE, 10,000 trials, 10-D, ms", measured: result.ask10000, must: null });
  report.add({ group, name: "Rosenbrock5, tpe, median regret at 100", measured: result.rosenbrock5, must: null });
}
