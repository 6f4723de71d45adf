import { spawnSync } from "node:child_process"
import { chmodSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { expect } from "vitest"
import { eventually } from "./eventually.ts"
import { freePorts, launch, type Program, root, scratchFolder } from "./programs.ts"

/**
 * What a page of the documentation asks for, in its order. `<!-- write: NAME -->` before a block is a file of the reader's project,
 * `<!-- run -->` a block of commands behind `$ `, with what they print (`…` stands for anything within a line, alone for any lines), and
 * `<!-- stop: COMMAND -->` is Ctrl-C for the first of those that run behind an `&` with this command.
 */
export type GuideStep =
  | { kind: "write"; name: string; text: string }
  | { kind: "run"; command: string; output: string }
  | { kind: "stop"; command: string }

/** The steps of a page. */
export function guideSteps(page: string): GuideStep[] {
  const marks = /<!-- (write|run|stop)(?:: (.+?))? -->(?:\n+```[^\n]*\n([\s\S]*?)```)?/g
  return [...page.matchAll(marks)].flatMap(([, kind, name = "", block = ""]): GuideStep[] => {
    if (kind === "write") return [{ kind, name, text: block }]
    if (kind === "stop") return [{ kind, command: name }]
    return block
      .split(/^\$ /m)
      .slice(1)
      .map((part) => {
        const [, command = "", output = ""] = /^((?:.*\\\n)*.*)\n?([\s\S]*)$/.exec(part) ?? []
        return { kind: "run", command: command.replace(/\s+# .*$/, ""), output: output.trimEnd() }
      })
  })
}

/**
 * Does what a page says in a project of its own, with the ports 8008, 8009 and 8080 replaced by free ones, and others as `ports` says. A command
 * that prints something else is tried again for a while, then it is a failure.
 */
export async function followGuide(path: string, ports: Readonly<Record<string, string>> = {}): Promise<void> {
  const steps = guideSteps(readFileSync(join(root, path), "utf8"))
  expect(steps.length, `steps of ${path}`).toBeGreaterThan(0)
  const folder = project()
  const [discovery, admin, gateway] = await freePorts(3)
  const there: Readonly<Record<string, string>> = { 8008: String(discovery), 8009: String(admin), 8080: String(gateway), ...ports }
  const moved = (text: string) => text.replace(/\b\d{4,5}\b/g, (port) => there[port] ?? port)
  const variables: Record<string, string> = {
    PATH: `${join(folder, "bin")}:${dirname(process.execPath)}:${process.env["PATH"] ?? ""}`,
    MESHWORK_SERVER: `http://127.0.0.1:${discovery}`,
    MESHWORK_ADMIN_URL: `http://127.0.0.1:${admin}`,
    MESHWORK_DISCOVERY_PORT: String(discovery),
    MESHWORK_GATEWAY_PORT: String(gateway),
    MESHWORK_ADMIN_PORT: String(admin),
    ETCDCTL_API: "3",
    ETCDCTL_ENDPOINTS: `127.0.0.1:${there["2379"] ?? "2379"}`,
  }
  const running: { command: string; program: Program }[] = []
  for (const step of steps) {
    if (step.kind === "write") {
      mkdirSync(dirname(join(folder, step.name)), { recursive: true })
      writeFileSync(join(folder, step.name), moved(step.text))
    } else if (step.kind === "stop") {
      const index = running.findIndex(({ command }) => command === step.command)
      const [stopped] = index === -1 ? [] : running.splice(index, 1)
      if (stopped === undefined) throw new Error(`nothing runs as ${step.command}`)
      stopped.program.kill("SIGINT")
      await stopped.program.ended
    } else if (step.command.startsWith("export ")) {
      for (const [, name = "", value = ""] of moved(step.command).matchAll(/(\w+)=(\S*)/g)) variables[name] = value
      // Otherwise the two would contradict each other.
      if (variables["EMPUSA_ETCD_ENDPOINT"] !== undefined) delete variables["MESHWORK_SERVER"]
    } else if (step.command.endsWith(" &")) {
      const command = step.command.slice(0, -2)
      running.push({ command, program: launch(command, "bash", ["--norc", "-c", `exec ${moved(command)}`], { cwd: folder, env: variables }) })
    } else {
      await eventually(`${path}: ${step.command}`, 15_000, () => {
        const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", moved(step.command)], {
          cwd: folder,
          env: variables,
          encoding: "utf8",
          timeout: 20_000,
        })
        expect(`${stdout}${stderr}`.trimEnd()).toMatch(pattern(moved(step.output)))
      })
    }
  }
}

/** A folder in which `meshwork` is the built command, and the packages can be imported. */
function project(): string {
  const folder = scratchFolder()
  mkdirSync(join(folder, "bin"))
  mkdirSync(join(folder, "node_modules/@meshwork"), { recursive: true })
  for (const name of ["client-sdk", "contract"]) symlinkSync(join(root, "packages", name), join(folder, "node_modules/@meshwork", name))
  const file = join(folder, "bin/meshwork")
  writeFileSync(file, `#!/bin/sh\nexec "${process.execPath}" "${join(root, "apps/cli/bin/meshwork.js")}" "$@"\n`)
  chmodSync(file, 0o755)
  return folder
}

/** What is printed in a guide, as a pattern. Blanks between columns may differ in number. */
function pattern(output: string): RegExp {
  const lines = output.split("\n").map((line) =>
    line === "…"
      ? "[\\s\\S]*"
      : line
          .split("…")
          .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replace(/ +/g, " +"))
          .join("[^\\n]*"),
  )
  return new RegExp(`^${lines.join("\\n")}$`)
}
