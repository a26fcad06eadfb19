#!/usr/bin/env node
// Says what is missing before anything newer than this Node is parsed, or anything that is not installed is imported.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 18)) {
  console.error(`nabla needs Node 22.18 or newer; this is ${process.version}. Get one from nodejs.org; in nabla's own repository, "npm install" brings it.`);
  process.exit(1);
}
try {
  // Parsing the sources is half of a start: Node keeps what it made of them.
  const { enableCompileCache } = await import("node:module");
  enableCompileCache();
  // The sources in the repository (--conditions=nabla-source), what was built of them elsewhere.
  const { main } = await import("#main");
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  if (error?.code !== "ERR_MODULE_NOT_FOUND") throw error;
  console.error(`nabla is not installed completely (${error.message.split("\n")[0]}). Run: npm install${error.message.includes("dist") ? " && npm run build" : ""}`);
  process.exitCode = 1;
}
