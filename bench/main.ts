// The bench: `npm run bench` measures the engine against its peers, `npm run bench -- tune` the tuner.
// `--quick` ends within a minute.
const [area, ...rest] = process.argv.slice(2);

switch (area) {
  case "tune": {
    const { main } = await import("./tune/main.ts");
    await main(rest);
    break;
  }
  case undefined:
  case "engine":
  case "--quick": {
    const { main } = await import("./engine/main.ts");
    await main(area === "--quick" ? [area, ...rest] : rest);
    break;
  }
  default:
    console.error(`Unknown bench "${area}". Use: npm run bench [-- engine | tune] [--quick]`);
    process.exitCode = 2;
}
