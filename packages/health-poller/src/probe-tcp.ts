import { connect } from "node:net"
import { formatHostPort, type Clock } from "@meshwork/contract"
import { connectFailure, type ProbeResult, type ProbeTarget } from "./probe.ts"

/** Connects to the target's port and closes again; a made connection is a success. Never rejects. */
export function probeTcp(target: ProbeTarget, options: { clock: Clock }, signal: AbortSignal): Promise<ProbeResult> {
  const { clock } = options
  const address = formatHostPort(target.host, target.port)
  const begin = clock.monotonic()
  return new Promise((resolve) => {
    if (signal.aborted) return resolve({ outcome: "fault", reason: "the probe was called off" })
    const socket = connect({ host: target.host, port: target.port })
    const finish = (result: ProbeResult) => {
      limit.cancel()
      signal.removeEventListener("abort", abort)
      socket.destroy()
      resolve(result)
    }
    const abort = () => finish({ outcome: "fault", reason: "the probe was called off" })
    const limit = clock.timer(target.check.timeoutSeconds * 1000, () =>
      finish({ outcome: "unreachable", reason: `connect to ${address} got no answer within ${target.check.timeoutSeconds} s`, timedOut: true }),
    )
    signal.addEventListener("abort", abort, { once: true })
    socket.once("connect", () => finish({ outcome: "active", reason: `connect to ${address} took ${Math.round(clock.monotonic() - begin)} ms` }))
    // Stays attached: a late error of a destroyed socket must not become an uncaught one.
    socket.on("error", (error) => finish(connectFailure(target, error, clock.monotonic() - begin)))
  })
}
