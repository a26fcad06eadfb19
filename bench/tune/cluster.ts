// How a study on PostgreSQL grows with its masters: trials a second of 1, 2 and 4 processes with two workers each, whose
// objective waits 100 ms. Needs a server: NABLA_TEST_POSTGRES=postgres://user@host/database.
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import "../../packages/tune/src/node/platform.ts";
import { openStorage } from "../../packages/tune/src/storage/open.ts";
import { createStudy, loadStudy } from "../../packages/tune/src/study/study.ts";
import type { Report } from "./report.ts";

const SECONDS = 8;
/** Until every process has loaded its modules. */
const START = 4000;

/** Complete trials a second of so many masters. */
export async function throughput(storage: string, masters: number, sampler: string): Promise<number> {
  const name = `bench cluster ${process.pid} ${masters} ${sampler}`;
  await (await createStudy({ storage, name, seed: 1 })).close();
  const program = fileURLToPath(new URL("./cluster-master.ts", import.meta.url));
  const start = String(Date.now() + START);
  const ended = Array.from({ length: masters }, () => new Promise<number | null>((resolve) => {
    spawn(process.execPath, [...process.execArgv, program, storage, name, start, String(1000 * SECONDS), sampler], { stdio: ["ignore", "inherit", "inherit"] }).on("exit", resolve);
  }));
  for (const code of await Promise.all(ended)) if (code !== 0) throw new Error(`a master ended with exit code ${code}.`);
  const study = await loadStudy({ storage, name });
  const complete = study.trials("COMPLETE").length;
  await study.close();
  const opened = await openStorage(storage);
  await opened.remove(name);
  await opened.close();
  return complete / SECONDS;
}

export async function clusterGates(report: Report): Promise<void> {
  const storage = process.env["NABLA_TEST_POSTGRES"];
  if (storage === undefined) {
    console.log("\nno PostgreSQL here (NABLA_TEST_POSTGRES): masters are not counted");
    return;
  }
  for (const sampler of ["random", "auto"]) {
    const one = await throughput(storage, 1, sampler);
    const group = `PostgreSQL, masters of 2 workers, an objective that waits 100 ms, ${sampler} sampler`;
    report.add({ group, name: "1 master, trials/s", measured: one, must: null });
    for (const [masters, atLeast] of [[2, 1.6], [4, 2.2]] as const) {
      report.add({ group, name: `${masters} masters, × one`, measured: (await throughput(storage, masters, sampler)) / one, must: Infinity, atLeast });
    }
  }
}
