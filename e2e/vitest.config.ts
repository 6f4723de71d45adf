import { defineConfig } from "vitest/config"

const limits = { fileParallelism: false, testTimeout: 120_000, hookTimeout: 60_000 }

export default defineConfig({
  test: {
    // One scenario at a time: they measure failures under load, and machines are small.
    ...limits,
    projects: [
      { test: { ...limits, name: "processes", include: ["e2e/*.test.ts"], sequence: { groupOrder: 0 } } },
      // They share one Docker engine and one mesh of containers, which the first of them starts.
      {
        test: {
          ...limits,
          name: "compose",
          include: ["e2e/compose/*.test.ts"],
          globalSetup: ["e2e/support/shared-engine.ts"],
          sequence: { groupOrder: 1 },
          testTimeout: 300_000,
        },
      },
    ],
  },
})
