import { BlockList, isIP, type Socket } from "node:net"
import { formatHostPort } from "@meshwork/contract"
import type { ProbeResult, ProbeTarget } from "./probe.ts"

const ownFaults = new Set(["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EADDRNOTAVAIL"])
const unresolved = new Set(["ENOTFOUND", "EAI_AGAIN", "EAI_FAIL", "EAI_NODATA", "EAI_NONAME"])
/** Nobody said so: this machine waited in vain. */
const nobodySaid = new Set(["EHOSTUNREACH", "EHOSTDOWN", "ETIMEDOUT", "EAI_AGAIN"])
/** This machine has no network that leads there. */
const noWay = new Set(["ENETUNREACH", "ENETDOWN"])

const loopback = new BlockList()
loopback.addSubnet("127.0.0.0", 8, "ipv4")
loopback.addAddress("::1", "ipv6")

/** Whether a host is this machine by its very name. */
export function isLoopback(host: string): boolean {
  const version = isIP(host)
  if (version === 0) return host === "localhost" || host.endsWith(".localhost")
  return loopback.check(host, version === 4 ? "ipv4" : "ipv6")
}

/** What an open connection says about the network: something only when it leads to another machine. */
export function heardOver(socket: Pick<Socket, "remoteAddress" | "localAddress">): Pick<ProbeResult, "network"> {
  const { remoteAddress } = socket
  return remoteAddress === undefined || isLoopback(remoteAddress) || remoteAddress === socket.localAddress ? {} : { network: "heard" }
}

/** What it says about the network when nothing at all came back from a host. */
export function silentFrom(host: string): Pick<ProbeResult, "network"> {
  return isLoopback(host) ? {} : { network: "silent" }
}

/** What it says about the network that this machine has no way to a host. */
export function noWayTo(host: string): Pick<ProbeResult, "network"> {
  return isLoopback(host) ? {} : { network: "no-way" }
}

/** What a failed connection says about the target. */
export function connectFailure(target: Pick<ProbeTarget, "host" | "port">, error: unknown, ms: number): ProbeResult {
  const { host, port } = target
  const address = formatHostPort(host, port)
  const code = errorCode(error)
  const after = `after ${Math.round(ms)} ms`
  if (code !== undefined && ownFaults.has(code))
    return { outcome: "fault", reason: `this server could not open a connection: ${code}`, said: `could not open a connection (${code})` }
  const network = code === undefined ? {} : noWay.has(code) ? noWayTo(host) : nobodySaid.has(code) ? silentFrom(host) : {}
  if (code === "ECONNREFUSED") {
    const said = "connection refused"
    return { outcome: "unreachable", reason: `connect to ${address} refused ${after}`, said, refused: true, ...refusedBy(error, host) }
  }
  if (code !== undefined && unresolved.has(code)) {
    const said = `host could not be resolved (${code})`
    return { outcome: "unreachable", reason: `host ${host} could not be resolved (${code})`, said, ...network }
  }
  if (code === "ECONNRESET" || code === "EPIPE")
    return { outcome: "unreachable", reason: `connection to ${address} was reset ${after}`, said: "connection reset" }
  const what = code ?? (error instanceof Error ? error.message : String(error))
  return { outcome: "unreachable", reason: `connect to ${address} failed ${after}: ${what}`, said: `connect failed (${what})`, ...network }
}

/** A refusal comes from the host itself. */
function refusedBy(error: unknown, host: string): Pick<ProbeResult, "network"> {
  const from = (error as { address?: unknown }).address
  return isLoopback(typeof from === "string" ? from : host) ? {} : { network: "heard" }
}

/** The `code` of a system or undici error, where there is one. */
export function errorCode(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code
  return typeof code === "string" ? code : undefined
}
