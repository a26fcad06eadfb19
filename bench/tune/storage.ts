// What a durable trial costs on this disk, and whether a study comes through when its workers are killed all the time.
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, fdatasyncSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import "../../packages/tune/src/node/platform.ts";
import { processExecutor } from "../../packages/tune/src/executors/workers.ts";
import { RandomSampler } from "../../packages/tune/src/samplers/random.ts";
import { createStudy, loadStudy, type Study } from "../../packages/tune/src/study/study.ts";
import { fiveParametersTenReports } from "./durable-trials.ts";
import { median, type Report } from "./report.ts";

const sampler = new RandomSampler();

/** Durable trials and chaos, in a folder of their own beside the working directory, where the disk is a disk. */
export async function storageGates(report: Report, quick: boolean): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "bench-storage-"));
  try {
    await durableTrials(report, folder);
    await chaos(report, folder, quick ? 500 : 10_000);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function durableTrials(report: Report, folder: string): Promise<void> {
  const group = "durable trial: 5 parameters, 10 reports";
  report.add({ group, name: "one fdatasync of a 1 kB append, ms", measured: syncTime(join(folder, "sync")), must: null });
  for (const scheme of ["journal", "sqlite"]) {
    const study = await createStudy({ storage: `${scheme}:${join(folder, `time.${scheme}`)}`, sampler, seed: 1, pruner: null });
    const times: number[] = [];
    for (let n = 1; n <= 100; n++) {
      const start = performance.now();
      await study.optimize(fiveParametersTenReports, { trials: n });
      times.push(performance.now() - start);
    }
    await study.close();
    report.add({ group, name: `${scheme}, ms`, measured: median(times), must: null, peer: scheme === "journal" ? "Optuna 8.8 to 53" : "Optuna 72 to 280" });
    // SQLite moves its log into the database every thousand pages: two more syncs for some forty trials.
    const syncs = syncsPerTrial(scheme, folder);
    if (syncs !== null) report.add({ group, name: `${scheme}, syncs per trial`, measured: syncs, must: scheme === "journal" ? 1 : 1.1, peer: "Optuna ≥ 17" });
  }
}

/** fsync and fdatasync calls per trial, opening and closing not counted, as strace sees them; null where there is no strace. */
function syncsPerTrial(scheme: string, folder: string): number | null {
  const count = (trials: number): number => {
    const log = join(folder, "strace");
    const program = fileURLToPath(new URL("./durable-trials.ts", import.meta.url));
    const run = spawnSync("strace", ["-f", "-o", log, "-e", "trace=fsync,fdatasync", process.execPath, program, `${scheme}:${join(folder, `${trials}.${scheme}`)}`, String(trials)], { stdio: ["ignore", "ignore", "inherit"] });
    return run.status === 0 ? (readFileSync(log, "utf8").match(/ f(?:data)?sync\(/g) ?? []).length : Number.NaN;
  };
  const perTrial = (count(300) - count(100)) / 200;
  if (Number.isNaN(perTrial)) console.log("\nno strace here: syncs are not counted");
  return Number.isNaN(perTrial) ? null : perTrial;
}

function syncTime(path: string): number {
  const file = openSync(path, "w");
  const times = Array.from({ length: 50 }, () => {
    const start = performance.now();
    writeSync(file, Buffer.alloc(1024));
    fdatasyncSync(file);
    return performance.now() - start;
  });
  closeSync(file);
  return median(times);
}

/** 8 worker processes of which one is killed every 200 ms. */
async function chaos(report: Report, folder: string, trials: number): Promise<void> {
  const group = `chaos: 8 workers, kill -9 every 200 ms, ${trials.toLocaleString("en")} trials`;
  const storage = `journal:${join(folder, "chaos.journal")}`;
  const executor = processExecutor(new URL("./chaos-study.ts", import.meta.url), { workers: 8 });
  const study = await createStudy({ storage, sampler, seed: 1, pruner: null });
  let kills = 0;
  const killer = setInterval(() => {
    const pids = workerProcesses();
    const pid = pids[kills % Math.max(1, pids.length)];
    if (pid === undefined) return;
    process.kill(pid, "SIGKILL");
    kills++;
  }, 200);
  const start = performance.now();
  try {
    await study.run(executor, { trials, restarts: 1000 });
  } finally {
    clearInterval(killer);
    await executor.close();
  }
  const seconds = (performance.now() - start) / 1000;
  await study.close();
  const again = await loadStudy({ storage, sampler });
  report.add({ group, name: "trials lost", measured: trials - again.trials("COMPLETE").length, must: 0, peer: "Optuna runs 4 of 60 twice" });
  report.add({ group, name: "budget missed by", measured: Math.abs(again.evaluations - trials), must: 0 });
  report.add({ group, name: "wrong values", measured: wrongValues(again), must: 0 });
  report.add({ group, name: "workers killed", measured: kills, must: null });
  report.add({ group, name: "trials started again", measured: again.trials().filter((trial) => trial.attempt > 1).length, must: null });
  report.add({ group, name: "seconds", measured: seconds, must: null });
  await again.close();
}

function wrongValues(study: Study): number {
  return study.trials("COMPLETE").filter(({ params, values }) => values![0] !== Number(params["x"]) * 2).length;
}

function workerProcesses(): number[] {
  const lines = execFileSync("ps", ["-o", "pid=,args=", "--ppid", String(process.pid)], { encoding: "utf8" }).split("\n");
  return lines.filter((line) => /agent\.[jt]s/.test(line)).map((line) => Number.parseInt(line, 10));
}
