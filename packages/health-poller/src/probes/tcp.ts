import { connect } from "node:net"
import { formatHostPort } from "@meshwork/contract"
import { connectFailure, heardOver, silentFrom } from "../connect-failure.ts"
import { calledOff, type ProbeKind, type ProbeOptions, type ProbeResult, type ProbeTarget } from "../probe.ts"

/** Connects to the target's port and closes again; a made connection is a success. */
export const tcpProbe: ProbeKind = {
  name: "tcp",
  suits: ({ check, scheme }) => check.method === "ping" || scheme === "tcp",
  probe: probeTcp,
}

function probeTcp(target: ProbeTarget, { clock, lookup }: ProbeOptions, signal: AbortSignal): Promise<ProbeResult> {
  const { host, port, check } = target
  const address = formatHostPort(host, port)
  const begin = clock.monotonic()
  return new Promise((resolve) => {
    let takeBack = () => {}
    const socket = connect({ host, port, lookup: (...question) => (takeBack = lookup(...question)) })
    const finish = (result: ProbeResult) => {
      takeBack()
      limit.cancel()
      signal.removeEventListener("abort", abort)
      socket.destroy()
      resolve(result)
    }
    const abort = () => finish(calledOff)
    const limit = clock.timer(check.timeoutSeconds * 1000, () => {
      const said = `no answer within ${check.timeoutSeconds} s`
      finish({ outcome: "unreachable", reason: `connect to ${address} got ${said}`, said, timedOut: true, ...silentFrom(host) })
    })
    signal.addEventListener("abort", abort, { once: true })
    socket.once("connect", () => {
      const reason = `connect to ${address} took ${Math.round(clock.monotonic() - begin)} ms`
      finish({ outcome: "active", reason, ...heardOver(socket) })
    })
    // Stays attached: a late error of a destroyed socket must not become an uncaught one.
    socket.on("error", (error) => finish(connectFailure(target, error, clock.monotonic() - begin)))
  })
}
