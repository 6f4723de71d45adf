import { spawnSync } from "node:child_process"
import { onTestFinished } from "vitest"

const required = (process.env["MESHWORK_REQUIRE"] ?? "").split(",").includes("netns")

/** Whether this machine lets us make network namespaces. False skips with this reason, unless MESHWORK_REQUIRE names netns. */
export const namespacesMissing: string | undefined = (() => {
  const name = `meshwork-try-${process.pid}`
  const made = spawnSync("ip", ["netns", "add", name], { encoding: "utf8" })
  if (made.status === 0) spawnSync("ip", ["netns", "del", name])
  const missing = made.status === 0 ? undefined : `no network namespaces here: ${made.error?.message ?? made.stderr.trim()}`
  if (missing !== undefined && required) throw new Error(missing)
  return missing
})()

/** A host of the test's own: a network namespace behind a link of two addresses. */
export interface RemoteHost {
  /** This side's address, where the host finds us. */
  readonly hereAddress: string
  /** The host's address. */
  readonly address: string
  /** Command that runs a program there. */
  readonly within: readonly string[]
  /** Drops everything that arrives there and leaves it, silently. */
  cut(): void
  mend(): void
  /** Takes the host's own end of the link down, so that it has no way out, or up again. */
  unplug(): void
  plug(): void
}

/** Makes a host that goes with the test. `number`, 0 to 63, tells apart those of one test. */
export function createRemoteHost(number = 0): RemoteHost {
  const name = `meshwork-${process.pid}-${number}`
  const [outer, inner] = [`mwo${process.pid % 100_000}${number}`, `mwi${process.pid % 100_000}${number}`]
  const base = number * 4
  const [here, there] = [`10.203.${process.pid % 250}.${base + 1}`, `10.203.${process.pid % 250}.${base + 2}`]
  const ip = (...args: string[]): void => run("ip", args)
  const inside = (...args: string[]): void => run("ip", ["netns", "exec", name, ...args])
  ip("netns", "add", name)
  onTestFinished(() => {
    spawnSync("ip", ["netns", "del", name])
    spawnSync("ip", ["link", "del", outer])
  })
  ip("link", "add", outer, "type", "veth", "peer", "name", inner, "netns", name)
  ip("addr", "add", `${here}/30`, "dev", outer)
  ip("link", "set", outer, "up")
  inside("ip", "addr", "add", `${there}/30`, "dev", inner)
  inside("ip", "link", "set", inner, "up")
  inside("ip", "link", "set", "lo", "up")
  const rules = (action: "-A" | "-D"): void => {
    for (const chain of ["INPUT", "OUTPUT"]) inside("iptables", action, chain, "-j", "DROP")
  }
  return {
    hereAddress: here,
    address: there,
    within: ["ip", "netns", "exec", name],
    cut: () => rules("-A"),
    mend: () => rules("-D"),
    unplug: () => inside("ip", "link", "set", inner, "down"),
    plug: () => inside("ip", "link", "set", inner, "up"),
  }
}

function run(command: string, args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr.trim()}`)
}
