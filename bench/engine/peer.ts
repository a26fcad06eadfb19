// Peers as child processes: started once a thread count, asked one work at a time.
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface, type Interface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Answer, Conditions, Request } from "./peers/protocol.ts";

/** A peer that this machine can run. */
export interface PeerKind {
  readonly name: string;
  readonly command: string;
  readonly arguments: readonly string[];
  /** Whether it can use more than one thread. */
  readonly threads: boolean;
  /** "lines" speaks words instead of JSON (limits.c). */
  readonly dialect?: "lines";
}

const here = (file: string): string => fileURLToPath(new URL(file, import.meta.url));

/** Installs the npm peers of bench/package.json where they are missing. */
export async function installPeers(): Promise<void> {
  const folder = here("..");
  if (existsSync(join(folder, "node_modules"))) return;
  console.error("Installing the peers of bench/package.json …");
  const { status } = spawnSync("npm", ["install", "--no-audit", "--no-fund"], { cwd: folder, stdio: ["ignore", "ignore", "inherit"] });
  if (status !== 0) console.error("They could not be installed: nabla is measured without tfjs and jax-js.");
}

/** nabla, and every peer found here. */
export async function peersAvailable(): Promise<PeerKind[]> {
  const node = (name: string, file: string, ...rest: string[]): PeerKind => ({
    name, command: process.execPath, arguments: ["--conditions=nabla-source", here(`peers/${file}`), ...rest], threads: name === "nabla",
  });
  const kinds = [node("nabla", "nabla.ts")];
  if (existsSync(here("../node_modules"))) {
    kinds.push(node("tfjs-wasm", "tfjs.ts", "wasm"), node("tfjs-cpu", "tfjs.ts", "cpu"), node("jax-js", "jax.ts"));
  }
  const python = ["python3", "/usr/bin/python3"].find((each) => spawnSync(each, ["-c", "import torch"]).status === 0);
  if (python !== undefined) kinds.push({ name: "pytorch", command: python, arguments: [here("peers/torch_peer.py")], threads: true });
  const limits = compileLimits();
  if (limits !== undefined) kinds.push({ name: "limit", command: limits, arguments: [], threads: false, dialect: "lines" });
  return kinds;
}

/** The C program that measures the machine's own limits, where a compiler is at hand. */
function compileLimits(): string | undefined {
  const target = join(mkdtempSync(join(tmpdir(), "nabla-bench-")), "limits");
  try {
    execFileSync("g++", ["-x", "c", "-O3", "-mavx2", "-mfma", "-o", target, here("peers/limits.c")], { stdio: "ignore" });
    return target;
  } catch {
    return undefined;
  }
}

/** A running peer. */
export class Peer {
  readonly name: string;
  readonly #kind: PeerKind;
  readonly #process: ChildProcess;
  readonly #lines: Interface;
  #waiting: ((line: string | undefined) => void) | undefined;

  constructor(kind: PeerKind, threads: number) {
    this.name = kind.name;
    this.#kind = kind;
    // OpenMP threads that spin too briefly sleep at every barrier; BLAS libraries read their own variables.
    const env = {
      ...process.env, NABLA_NUM_THREADS: `${threads}`, OPENBLAS_NUM_THREADS: `${threads}`, OMP_NUM_THREADS: `${threads}`,
      MKL_NUM_THREADS: `${threads}`, GOMP_SPINCOUNT: "20000",
    };
    this.#process = spawn(kind.command, [...kind.arguments], { env, stdio: ["pipe", "pipe", process.env["NABLA_BENCH_VERBOSE"] === undefined ? "ignore" : "inherit"] });
    this.#lines = createInterface({ input: this.#process.stdout! });
    this.#lines.on("line", (line) => this.#waiting?.(line));
    this.#lines.on("close", () => this.#waiting?.(undefined));
  }

  async ask(request: Request & Conditions): Promise<Answer> {
    const text = this.#kind.dialect === "lines" ? wordsOf(request) : JSON.stringify(request);
    if (text === undefined) return { times: null };
    const line = await new Promise<string | undefined>((resolve) => {
      this.#waiting = resolve;
      if (this.#process.exitCode !== null) resolve(undefined);
      else this.#process.stdin!.write(`${text}\n`);
    });
    if (line === undefined) return { times: null, error: "the peer stopped" };
    return this.#kind.dialect === "lines" ? { times: line.trim().split(" ").map(Number) } : (JSON.parse(line) as Answer);
  }

  stop(): void {
    this.#process.stdin!.end();
    this.#process.kill();
  }
}

function wordsOf(request: Request & Conditions): string | undefined {
  if (request.work === "fma") return `fma ${request.rounds} ${request.seconds}`;
  // As many multiply-adds as the product has, in tiles of 6 × 16 over k = 256.
  if (request.work === "matmul") return `tiles ${Math.max(1, Math.round((request.m * request.n * request.k) / (6 * 16 * 256)))} ${request.seconds}`;
  return request.work === "elementwise" || request.work === "adam" ? `${request.work} ${request.size} ${request.seconds}` : undefined;
}
