import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFinished } from "vitest"

const required = (process.env["MESHWORK_REQUIRE"] ?? "").split(",").includes("mount")

/** Why this machine lets us mount nothing; undefined where it does. Skips with this reason, unless MESHWORK_REQUIRE names mount. */
export const smallDisksMissing: string | undefined = (() => {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-mount-"))
  const { status, stderr, error } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], { encoding: "utf8" })
  if (status === 0) spawnSync("umount", [folder])
  rmSync(folder, { recursive: true, force: true })
  const missing = status === 0 ? undefined : `nothing can be mounted here: ${error?.message ?? stderr.trim()}`
  if (missing !== undefined && required) throw new Error(missing)
  return missing
})()

/** A disk of the test's own. */
export interface SmallDisk {
  readonly folder: string
  resize(size: string): void
  readOnly(on: boolean): void
}

/** Mounts a disk in memory of `size`, such as `1m`; it goes with the test. */
export function smallDisk(size: string): SmallDisk {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-disk-"))
  run("mount", ["-t", "tmpfs", "-o", `size=${size}`, "tmpfs", folder])
  onTestFinished(() => {
    spawnSync("umount", ["-l", folder])
    rmSync(folder, { recursive: true, force: true })
  })
  const remount = (options: string) => run("mount", ["-o", `remount,${options}`, folder])
  return { folder, resize: (next) => remount(`size=${next}`), readOnly: (on) => remount(on ? "ro" : "rw") }
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`)
}
