// Tests stand beside their files; what spans rooms is in tests/. Sources are read through the nabla-source condition, so nothing is built.
// tests/browser has a runner of its own: it needs a real browser.
import { configDefaults, defineConfig, type ViteUserConfig } from "vitest/config";

const conditions = ["nabla-source", "node"];

const config: ViteUserConfig = defineConfig({
  resolve: { conditions },
  ssr: { resolve: { conditions, externalConditions: conditions } },
  test: {
    include: ["packages/*/src/**/*.test.ts", "tests/**/*.test.ts"],
    exclude: [...configDefaults.exclude, "tests/browser/**"],
    setupFiles: ["tests/setup.ts"],
    // Far above what any test takes, for machines that do other things too.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    typecheck: { enabled: false, include: ["packages/*/src/**/*.test-d.ts"] },
  },
});

export default config;
