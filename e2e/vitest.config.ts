import { defineConfig } from "vitest/config"

const limits = { testTimeout: 120_000, hookTimeout: 60_000 }
/** One at a time: each starts a Docker engine, for which a machine has room once, or counts on it that nobody takes the port of a process that was killed. */
const alone = [
  "e2e/*container*.test.ts",
  "e2e/*docker*.test.ts",
  "e2e/half-a-fleet*.test.ts",
  "e2e/the-store-away*.test.ts",
  "e2e/three-servers*.test.ts",
]

export default defineConfig({
  test: {
    ...limits,
    projects: [
      // Two at a time: they measure failures under load, and machines are small.
      {
        test: { ...limits, name: "processes", include: ["e2e/*.test.ts"], exclude: alone, maxWorkers: 2, sequence: { groupOrder: 0 } },
      },
      { test: { ...limits, name: "alone", include: alone, maxWorkers: 1, sequence: { groupOrder: 1 } } },
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
