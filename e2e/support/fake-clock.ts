import { globSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const [library] = globSync("/usr/lib/{,*/}faketime/libfaketimeMT.so.1")

/** Why no process can be given another wall clock here, or undefined. Skips, unless MESHWORK_REQUIRE names faketime. */
export const fakeClockReason: string | undefined = library === undefined ? "libfaketime is not installed" : undefined
if (fakeClockReason !== undefined && process.env["MESHWORK_REQUIRE"]?.split(",").includes("faketime")) throw new Error(fakeClockReason)

/** A wall clock for a process, that can be set; its monotonic clock stays the machine's. */
export interface FakeClock {
  /** Variables to start the process with. */
  readonly env: Record<string, string>
  /** Sets it so many seconds ahead of the machine's, or behind it. */
  jump(seconds: number): void
}

/** A clock that is right until it jumps. */
export function createFakeClock(folder: string): FakeClock {
  const file = join(folder, "clock")
  const jump = (seconds: number): void => writeFileSync(file, `${seconds < 0 ? "" : "+"}${seconds}s\n`)
  jump(0)
  const env = { LD_PRELOAD: library ?? "", FAKETIME_TIMESTAMP_FILE: file, FAKETIME_NO_CACHE: "1", FAKETIME_DONT_FAKE_MONOTONIC: "1" }
  return { env, jump }
}
