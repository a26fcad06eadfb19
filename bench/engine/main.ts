// Engine bench: every work is given to nabla and its peers in turn, several rounds in one run,
// so that a noisy neighbour meets all of them. Medians and ratios; JSON under bench/results.
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { fileURLToPath } from "node:url";
import { bundleSize, firstStep } from "./once.ts";
import { installPeers, Peer, peersAvailable } from "./peer.ts";
import { kernelRows } from "./kernels.ts";
import { elementwiseRows } from "./elementwise.ts";
import type { Conditions } from "./peers/protocol.ts";
import type { Row } from "./row.ts";

interface Result {
  readonly name: string;
  readonly unit: string;
  readonly threads: number;
  readonly peers: Record<string, { readonly median: number; readonly best: number; readonly figure: number; readonly calls: number }>;
}

const gemm = (m: number, n: number, k: number, transpose: { transposeA?: boolean; transposeB?: boolean } = {}, note = ""): Row => ({
  name: `matmul ${m}×${n}×${k}${note}`, request: { work: "matmul", m, n, k, ...transpose }, threads: 1,
  figure: (seconds) => (2 * m * n * k) / seconds / 1e9, unit: "GF/s",
});
const milliseconds = (seconds: number): number => seconds * 1e3;
const stream = (work: "elementwise" | "adam", size: number, note: string): Row => ({
  name: `${work} ${note}`, request: work === "adam" ? { work, size } : { work, size }, threads: 1,
  figure: (seconds) => ((work === "adam" ? 28 : 8) * size) / seconds / 1e9, unit: "GB/s",
});

const rows: readonly Row[] = [
  { name: "multiply-add peak", request: { work: "fma", rounds: 200_000 }, threads: 1, figure: (seconds) => (200_000 * 12 * 16) / seconds / 1e9, unit: "GF/s" },
  ...[256, 512, 1024, 2048, 997].map((n) => gemm(n, n, n)),
  gemm(128, 512, 784),
  gemm(784, 512, 128, { transposeA: true }, " Aᵀ"),
  gemm(128, 784, 512, { transposeB: true }, " Bᵀ"),
  gemm(128, 10, 512),
  { name: "MLP 784-512-256-10 Adam step, batch 128", request: { work: "mlp", batch: 128 }, threads: 1, figure: milliseconds, unit: "ms" },
  { name: "MLP 784-512-256-10 Adam step, batch 128", request: { work: "mlp", batch: 128 }, threads: 2, figure: milliseconds, unit: "ms" },
  stream("elementwise", 32_768, "32 k (L2)"),
  stream("elementwise", 16_777_216, "16 M (DRAM)"),
  stream("adam", 16_384, "16 k (L2)"),
  stream("adam", 8_388_608, "8 M (DRAM)"),
  { name: "XOR net 2-8-1 Adam step", request: { work: "tiny" }, threads: 1, figure: (seconds) => seconds * 1e6, unit: "µs" },
  ...kernelRows,
  ...elementwiseRows,
];

export async function main(args: readonly string[]): Promise<void> {
  const quick = args.includes("--quick");
  const only = args.find((arg) => arg.startsWith("--only="))?.slice("--only=".length);
  const rounds = quick ? 1 : 5;
  const seconds = quick ? 0.12 : 0.4;
  await installPeers();
  const kinds = await peersAvailable();
  console.error(`Peers: ${kinds.map((kind) => kind.name).join(", ")}. ${rounds} rounds.`);
  const chosen = rows.filter((row) => (only === undefined || row.name.includes(only)) && row.threads <= availableParallelism());
  const results: Result[] = [];
  for (const threads of [1, 2]) {
    const here = chosen.filter((row) => row.threads === threads);
    if (here.length === 0) continue;
    const peers = kinds.filter((kind) => threads === 1 || kind.threads).map((kind) => new Peer(kind, threads));
    // What a second thread gains is seen in the same rounds.
    if (threads > 1) peers.push(...kinds.filter(({ name }) => name === "nabla").map((kind) => new Peer({ ...kind, name: "nabla on 1 thread" }, 1)));
    for (const row of here) {
      const result = await measure(row, peers, { threads, seconds }, rounds);
      results.push(result);
      print(result);
    }
    for (const peer of peers) peer.stop();
  }
  const once = only === undefined ? { firstStepMilliseconds: await firstStep(quick ? 3 : 9), bundleGzipBytes: await bundleSize() } : {};
  for (const [name, value] of Object.entries(once)) console.log(`${name}: ${String(value)}`);
  const folder = fileURLToPath(new URL("../results/", import.meta.url));
  if (!existsSync(folder)) mkdirSync(folder, { recursive: true });
  writeFileSync(`${folder}engine.json`, JSON.stringify({ date: new Date().toISOString(), node: process.version, quick, results, ...once }, null, 1));
}

async function measure(row: Row, peers: readonly Peer[], conditions: Conditions, rounds: number): Promise<Result> {
  const times = new Map<string, number[]>(peers.map((peer) => [peer.name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) {
      const answer = await peer.ask({ ...row.request, ...conditions });
      if (answer.times !== null) times.get(peer.name)!.push(...answer.times);
      else if (round === 0 && answer.error !== undefined) console.error(`${peer.name}: ${row.name}: ${answer.error}`);
    }
  }
  const entries = [...times].filter(([, list]) => list.length > 0).map(([name, list]) => {
    list.sort((a, b) => a - b);
    const median = list[list.length >> 1]!;
    return [name, { median, best: list[0]!, figure: row.figure(median), calls: list.length }] as const;
  });
  return { name: row.name, unit: row.unit, threads: row.threads, peers: Object.fromEntries(entries) };
}

function print(result: Result): void {
  const nabla = result.peers["nabla"];
  const cells = Object.entries(result.peers).map(([name, { median, figure }]) => {
    const ratio = nabla === undefined || name === "nabla" ? "" : ` (×${(median / nabla.median).toFixed(2)})`;
    return `${name} ${figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3)}${ratio}`;
  });
  console.log(`${`${result.name}${result.threads > 1 ? `, ${result.threads} threads` : ""}`.padEnd(52)} ${result.unit.padEnd(5)} ${cells.join("  ")}`);
}
