import { spawn } from "node:child_process"
import type { Readable } from "node:stream"
import { isLoopback, noWayTo, silentFrom } from "../connect-failure.ts"
import { calledOff, type ProbeKind, type ProbeOptions, type ProbeResult, type ProbeTarget } from "../probe.ts"

/** Bytes of output that are looked at. */
const mostOutput = 4096

/** One ICMP echo through the system's `ping`, which may do what an ordinary process may not. */
export const icmpProbe: ProbeKind = {
  name: "icmp",
  suits: ({ check }) => check.method === "ping" && check.icmp === true,
  probe: probeIcmp,
}

function probeIcmp(target: ProbeTarget, { clock }: ProbeOptions, signal: AbortSignal): Promise<ProbeResult> {
  const { host, check } = target
  const begin = clock.monotonic()
  return new Promise((resolve) => {
    const patience = String(Math.max(1, Math.ceil(check.timeoutSeconds)))
    // Kept in English, since the reasons are read below; -n spares a look-up of the name behind the address.
    const environment = { PATH: process.env["PATH"], LC_ALL: "C" }
    const child = spawn("ping", ["-n", "-c", "1", "-W", patience, host], { env: environment, stdio: ["ignore", "pipe", "pipe"] })
    child.on("error", (error) => finish(notRun(error.message)))
    const printed = { out: "", err: "" }
    const keep = (name: "out" | "err", stream: Readable | undefined) =>
      stream?.on("data", (chunk: Buffer) => (printed[name] = (printed[name] + String(chunk)).slice(0, mostOutput)))
    // There are no streams where no more files can be opened.
    keep("out", child.stdout)
    keep("err", child.stderr)
    let open = true
    const finish = (result: ProbeResult) => {
      if (!open) return
      open = false
      limit.cancel()
      signal.removeEventListener("abort", abort)
      child.kill("SIGKILL")
      resolve(result)
    }
    const abort = () => finish(calledOff)
    const limit = clock.timer(check.timeoutSeconds * 1000, () => finish(unanswered(target)))
    signal.addEventListener("abort", abort, { once: true })
    child.on("close", (code) => finish(read(target, code, printed, Math.round(clock.monotonic() - begin))))
  })
}

function read(target: ProbeTarget, code: number | null, { out, err }: { out: string; err: string }, ms: number): ProbeResult {
  const { host } = target
  if (code === 0) {
    const from = / from ([0-9a-fA-F.:]+?):? /.exec(out)?.[1] ?? host
    return { outcome: "active", reason: `ping ${host} was answered in ${ms} ms`, ...(isLoopback(from) ? {} : { network: "heard" as const }) }
  }
  const refusal = /^From \S+ (?:icmp_seq=\d+ )?(.+)$/m.exec(out)?.[1]
  if (code === 1 && refusal === undefined) return unanswered(target)
  if (code === 1) return { outcome: "inactive", reason: `ping ${host} came back in ${ms} ms: ${refusal}`, said: `${refusal}`, ...silentFrom(host) }
  const problem = lastLine(err) || lastLine(out) || `ended with ${code}`
  if (/not permitted|permission denied|cap_net_raw|lacking privilege/i.test(problem)) return notRun(problem)
  const why = problem.replace(/^ping: /, "")
  if (/name or service|resolution|unknown host|no address/i.test(why))
    return {
      outcome: "unreachable",
      reason: `host ${host} could not be resolved (${why})`,
      said: "host could not be resolved",
      ...silenceOf(why, host),
    }
  if (/unreachable/i.test(why))
    return { outcome: "unreachable", reason: `ping ${host} failed: ${why}`, said: `ping failed (${why})`, ...noWayTo(host) }
  return notRun(problem)
}

/** Only a resolver that cannot be asked tells of the network. */
function silenceOf(why: string, host: string): Pick<ProbeResult, "network"> {
  return /temporary/i.test(why) ? silentFrom(host) : {}
}

function unanswered({ host, check }: ProbeTarget): ProbeResult {
  const said = `ping got no reply within ${check.timeoutSeconds} s`
  return { outcome: "inactive", reason: `ping ${host} got no reply within ${check.timeoutSeconds} s`, said, timedOut: true, ...silentFrom(host) }
}

function notRun(why: string): ProbeResult {
  const said = `ping could not be run: ${why}`
  return { outcome: "fault", reason: `the system's ping could not be run (${why}): install iputils-ping, or give the address a port`, said }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.slice(0, 200) ?? ""
}
