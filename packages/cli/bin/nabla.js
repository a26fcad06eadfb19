#!/usr/bin/env node
// Says what is missing before anything newer than this Node is parsed.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`nabla needs Node 22.18 or newer; this is ${process.version}. Get one from nodejs.org.`);
  process.exit(1);
}
const { main } = await import("../dist/main.js");
process.exitCode = await main(process.argv.slice(2));
