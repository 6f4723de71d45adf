// Builds every package in the order of their dependencies.
import { runSteps } from "./steps.mjs"

process.exitCode = await runSteps([{ name: "build", command: ["turbo", "run", "build", "--output-logs=errors-only"] }])
