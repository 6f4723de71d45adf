import { readFileSync } from "node:fs"
import { hostname } from "node:os"
import type { Container } from "./engine.ts"

/** Texts in which the id of the container this process runs in may stand: its host name, its mounts, its control groups. */
export function ownTraces(read: (file: string) => string = readText): string[] {
  // The machine itself sees mounts of its containers too, but none of them at /etc.
  const mounts = read("/proc/self/mountinfo").matchAll(/containers\/([0-9a-f]{64})\/(?:hostname|hosts|resolv\.conf) \/etc\//g)
  const groups = read("/proc/self/cgroup").matchAll(/docker[-/]([0-9a-f]{64})\b/g)
  return [hostname(), ...[...mounts, ...groups].map((match) => match[1] ?? "")]
}

/** The container this process runs in, if the engine lists one that fits. */
export function ownContainer(containers: readonly Container[], traces: readonly string[]): Container | undefined {
  const ids = traces.filter((trace) => /^[0-9a-f]{12,64}$/.test(trace))
  return containers.find((container) => ids.some((id) => container.id.startsWith(id)))
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return ""
  }
}
