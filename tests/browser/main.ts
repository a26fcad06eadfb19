// The browser test: the library, bundled and minified, in a real headless Chromium, with and without cross-origin isolation.
// Prints one line a check and the closing line "N passed, N failed". Run: npm run test:browser
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { type Browser, chromium } from "playwright-core";
import { trainOnMadeUpDigits } from "./training.ts";
import { tuneParabola } from "./tuning.ts";

const executablePath = process.env["CHROMIUM"] ?? "/usr/bin/chromium";
const chromiumArguments = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];
const isolation = { "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Embedder-Policy": "require-corp" };

let passed = 0;
let failed = 0;
function check(name: string, condition: boolean, details: unknown = ""): void {
  if (condition) passed++;
  else failed++;
  console.log(`${condition ? "ok  " : "FAIL"} ${name}${condition && details === "" ? "" : ` (${JSON.stringify(details)})`}`);
}

async function bundle(): Promise<string> {
  const result = await build({
    entryPoints: [new URL("page.ts", import.meta.url).pathname],
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    target: "es2022",
    conditions: ["nabla-source"],
    write: false,
    logLevel: "error",
  });
  return result.outputFiles[0]!.text;
}

/** Serves the page at / with isolation headers, and at /plain without. */
async function serve(script: string): Promise<{ server: Server; origin: string }> {
  const server = createServer((request, response) => {
    if (!/^127\.0\.0\.1:\d+$/.test(request.headers.host ?? "")) {
      response.writeHead(403).end();
      return;
    }
    const isolated = !(request.headers.referer ?? request.url ?? "").endsWith("/plain");
    const headers = isolated ? isolation : {};
    if (request.url === "/script.js") {
      response.writeHead(200, { "Content-Type": "text/javascript", ...headers }).end(script);
    } else if (request.url === "/" || request.url === "/plain") {
      response.writeHead(200, { "Content-Type": "text/html", ...headers }).end('<!doctype html><title>nabla</title><script type="module" src="/script.js"></script>');
    } else {
      // The browser asks for a favicon by itself.
      response.writeHead(request.url === "/favicon.ico" ? 204 : 404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { server, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const steps = 80;

async function checkPage(browser: Browser, url: string, isolated: boolean, nodeLosses: readonly number[]): Promise<void> {
  const where = isolated ? "isolated" : "plain";
  const page = await browser.newPage();
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(String(error)));
  page.on("console", (message) => message.type() === "error" && problems.push(message.text()));
  await page.goto(url);
  await page.waitForFunction(() => globalThis.checks !== undefined);
  check(`${where}: crossOriginIsolated is ${isolated}`, (await page.evaluate(() => crossOriginIsolated)) === isolated);

  const device = await page.evaluate(() => globalThis.checks.checkDevice());
  check(`${where}: programs run in the engine's worker`, device.correct && !device.report.synchronous);
  check(`${where}: threads`, device.report.threadsReady === (isolated ? 2 : 1), device.report.threadsReady);
  check(`${where}: timers and frames fire meanwhile`, device.timers >= device.milliseconds / 40 && device.frames >= 2, {
    milliseconds: round(device.milliseconds), timers: device.timers, frames: device.frames, longestGap: round(device.longestGap),
  });
  check(`${where}: a failing program rejects, and the engine goes on`, device.failure.includes("memory access out of bounds") && device.correctAfterFailure, device.failure);
  check(`${where}: nothing stays allocated`, device.live.buffers === 0 && device.live.bytes === 0);

  const training = await page.evaluate((count) => globalThis.checks.checkTraining(count), steps);
  const difference = Math.max(...training.losses.map((loss, index) => Math.abs(loss - nodeLosses[index]!)));
  check(`${where}: training runs in the engine's worker`, !training.synchronous && training.losses.length === steps, {
    threads: training.threadsReady, millisecondsPerStep: round(training.milliseconds / steps),
  });
  check(`${where}: the losses are Node's`, difference < 1e-4, { difference, first: training.losses[0], last: training.losses.at(-1) });
  check(`${where}: timers and frames fire during training`, training.timers >= training.milliseconds / 40 && training.frames >= 2, {
    milliseconds: round(training.milliseconds), timers: training.timers, frames: training.frames, longestGap: round(training.longestGap),
  });

  // Browsers' and Node's Math.exp and Math.log may differ in the last bit, and searches carry that on.
  const trials = await page.evaluate((count) => globalThis.checks.tuneParabola(count), proposals.length);
  const rounded = (list: readonly (readonly number[])[]): string => JSON.stringify(list.map((numbers) => numbers.map((x) => x.toFixed(4))));
  check(`${where}: a study goes as it does in Node`, trials.length === 30 && rounded(trials) === rounded(proposals));

  check(`${where}: no errors on the page`, problems.length === 0, problems);
  await page.close();
}

const round = (value: number): number => Math.round(10 * value) / 10;

const { losses } = await trainOnMadeUpDigits(steps);
check("Node: the loss falls", losses.at(-1)! < losses[0]! / 2, { first: losses[0], last: losses.at(-1) });
const proposals = await tuneParabola(30);
const script = await bundle();
console.log(`bundle: ${script.length} bytes, ${gzipSync(script).length} gzipped`);
const { server, origin } = await serve(script);
const browser = await chromium.launch({ executablePath, args: chromiumArguments });
try {
  console.log(`Chromium ${browser.version()}`);
  await checkPage(browser, `${origin}/`, true, losses);
  await checkPage(browser, `${origin}/plain`, false, losses);
} finally {
  await browser.close();
  server.close();
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed > 0 ? 1 : 0;
