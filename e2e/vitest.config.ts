import { defineConfig } from "vitest/config"

const limits = { testTimeout: 120_000, hookTimeout: 60_000 }
/** One at a time: each starts a Docker engine, and one machine has room for one. */
const withAnEngine = ["e2e/*container*.test.ts", "e2e/*docker*.test.ts"]

export default defineConfig({
  test: {
    ...limits,
    projects: [
      // Two at a time: they measure failures under load, and machines are small.
      {
        test: { ...limits, name: "processes", include: ["e2e/*.test.ts"], exclude: withAnEngine, maxWorkers: 2, sequence: { groupOrder: 0 } },
      },
      { test: { ...limits, name: "docker", include: withAnEngine, maxWorkers: 1, sequence: { groupOrder: 1 } } },
      // They share one Docker engine and one mesh of containers, which the first of them starts.
      {
        test: {
          ...limits,
          name: "compose",
          include: ["e2e/compose/*.test.ts"],
          globalSetup: ["e2e/support/shared-engine.ts"],
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
          testTimeout: 300_000,
        },
      },
    ],
  },
})
