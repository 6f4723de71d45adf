// Everything that can be said about the code without running it, and about the packages as they would be published.
import { runSteps } from "./steps.mjs"

process.exitCode = await runSteps([
  { name: "types", command: ["tsc", "-b", "tsconfig.tests.json"] },
  { name: "lint", command: ["oxlint", "--type-aware", "--deny-warnings"] },
  { name: "format", command: ["biome", "format", "."] },
  { name: "boundaries", command: ["node", "scripts/check-boundaries.mjs"] },
  { name: "links", command: ["node", "scripts/check-links.mjs"] },
  { name: "unused", command: ["knip"] },
  { name: "packages", command: ["turbo", "run", "check:pack", "--output-logs=errors-only"] },
])
