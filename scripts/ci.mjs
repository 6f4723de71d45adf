// Runs what a contributor runs, one job after the other, and adds the results up. Runs on the Node a new machine has.
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const scratch = mkdtempSync(join(tmpdir(), "meshwork-ci-"))
// The same on every Node: what they try runs in processes of its own, or is text.
const others = [
  "packages/storage/{etcd,dynamodb}/**",
  "**/real-{docker,prometheus}.test.ts",
  "apps/*/src/docker*.test.ts",
  "apps/cli/src/commands/empusa*.test.ts",
  "scripts/**",
]
const jobs = [
  { name: "unit and integration tests", script: "test", counts: fromVitest },
  ...[22, 26].map((version) => ({
    name: `unit tests on Node ${version}`,
    script: "test:on",
    args: [String(version), ...others.flatMap((files) => ["--exclude", files])],
    counts: fromVitest,
  })),
  { name: "checks", script: "check", counts: fromSteps },
  { name: "end-to-end tests", script: "e2e", counts: fromVitest },
  { name: "soak", script: "soak", args: ["60"], counts: fromExit },
]

/** A job that hangs has failed: none takes half as long. */
const longestMs = 25 * 60_000

let passed = 0
let failed = 0
let skipped = 0
for (const job of jobs) {
  process.stdout.write(`\n=== ${job.name}\n`)
  const begin = performance.now()
  const result = job.counts(job)
  process.stdout.write(`=== ${job.name}: ${result.passed} passed, ${result.failed} failed in ${((performance.now() - begin) / 1000).toFixed(0)} s\n`)
  passed += result.passed
  failed += result.failed
  skipped += result.skipped
}
rmSync(scratch, { recursive: true, force: true })
process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}\n`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1

function npm(script, args, stdio) {
  return spawnSync("npm", ["run", "-s", script, "--", ...args], {
    stdio,
    timeout: longestMs,
    killSignal: "SIGKILL",
    encoding: "utf8",
    maxBuffer: 2 ** 28,
    env: { ...process.env, CI: "true", NO_COLOR: "1" },
  })
}

function fromExit({ script, args }) {
  return npm(script, args, "inherit").status === 0 ? { passed: 1, failed: 0, skipped: 0 } : { passed: 0, failed: 1, skipped: 0 }
}

function fromVitest({ name, script, args = [] }) {
  const report = join(scratch, `${name}.json`)
  const { status } = npm(script, [...args, "--reporter=dot", "--reporter=json", `--outputFile.json=${report}`], "inherit")
  let counts = { passed: 0, failed: 0, skipped: 0 }
  try {
    const json = JSON.parse(readFileSync(report, "utf8"))
    counts = { passed: json.numPassedTests, failed: json.numFailedTests, skipped: json.numPendingTests + json.numTodoTests }
  } catch (error) {
    process.stdout.write(`no report of ${name}: ${error.message}\n`)
  }
  // A file that does not load, or an unhandled rejection, fails the run without failing a test.
  if (status !== 0 && counts.failed === 0) counts.failed = 1
  return counts
}

function fromSteps({ script }) {
  const { status, stdout, stderr } = npm(script, [], ["ignore", "pipe", "pipe"])
  process.stdout.write(`${stdout}${stderr}`)
  const count = (word) => [...stdout.matchAll(new RegExp(`^${word} .* \\([\\d.]+ s\\)$`, "gm"))].length
  const result = { passed: count("ok  "), failed: count("FAIL"), skipped: 0 }
  if (status !== 0 && result.failed === 0) result.failed = 1
  return result
}
