import { spawn } from "node:child_process"

/** Runs one command with the terminal's streams; resolves to its exit code. */
export function run([command, ...args], environment = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: "inherit",
      env: { ...process.env, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1", ...environment },
    })
    child.on("error", (error) => {
      process.stderr.write(`${command}: ${error.message}\n`)
      resolve(127)
    })
    child.on("exit", (code) => resolve(code ?? 1))
  })
}

/** Runs named steps one after the other, all of them whatever fails; resolves to 0, or 1 when one failed. */
export async function runSteps(steps) {
  const failed = []
  for (const { name, command } of steps) {
    const begin = performance.now()
    const code = await run(command)
    const seconds = ((performance.now() - begin) / 1000).toFixed(1)
    process.stdout.write(`${code === 0 ? "ok  " : "FAIL"} ${name} (${seconds} s)\n`)
    if (code !== 0) failed.push(name)
  }
  if (steps.length > 1) process.stdout.write(`${steps.length - failed.length} passed, ${failed.length} failed\n`)
  return failed.length === 0 ? 0 : 1
}
