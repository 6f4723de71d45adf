import { formatHostPort, normalizeHost } from "@meshwork/contract"
import type { Container, ContainerPort } from "./engine.ts"
import type { Warning } from "./warning.ts"

/** From where containers are called. */
export interface Vantage {
  /** What a port published on every address of the machine is called at; absent = it cannot be called. */
  readonly publicHost?: string
  /** Whether ports published on the machine's loopback can be called. */
  readonly loopback: boolean
  /** Whether a port that is published on `::` alone is called at `::1`; default no. */
  readonly overSix?: (port: number) => boolean
  /** The container this process runs in. */
  readonly own?: Container | undefined
}

/** Where a container is called, with the port inside of it where that is another one, or why it cannot be. */
export type Choice = { address: { host: string; port: number }; inner?: number; warnings: Warning[] } | { reason: Warning; warnings: Warning[] }

/**
 * Chooses the address of a container: its own one in a network shared with this process, else a port published on the machine. Of several
 * ports the label `meshwork.port` decides, else the lowest one, with a warning.
 */
export function chooseAddress(container: Container, wanted: number | undefined, vantage: Vantage): Choice {
  const near = addressInSharedNetwork(container, vantage.own)
  if (near !== undefined) return inside(container, wanted, near)
  if (container.hostNetwork) return onHostNetwork(wanted, vantage)
  return published(container, wanted, vantage)
}

function addressInSharedNetwork(container: Container, own: Container | undefined): string | undefined {
  if (own === undefined || own.hostNetwork) return undefined
  const networks = new Set(own.networks.map((network) => network.id))
  return container.networks.find((network) => network.id !== "" && network.address !== undefined && networks.has(network.id))?.address
}

function inside(container: Container, wanted: number | undefined, host: string): Choice {
  // Within a network every port can be called, so a label is believed whatever the image exposes.
  if (wanted !== undefined) return at(host, wanted, [])
  const exposed = [...new Set(tcp(container).map((port) => port.privatePort))].sort((a, b) => a - b)
  const [lowest] = exposed
  if (lowest === undefined) return none("no-port", "exposes no TCP port; the label meshwork.port can name one")
  return at(host, lowest, exposed.length > 1 ? [several("exposes", exposed)] : [])
}

function onHostNetwork(wanted: number | undefined, vantage: Vantage): Choice {
  if (wanted === undefined) return none("no-port", "uses the network of the machine, so only the label meshwork.port could say where it listens")
  const { publicHost } = vantage
  return publicHost === undefined
    ? none("unreachable-address", "uses the network of the machine, which has no name to be called by")
    : at(publicHost, wanted, [])
}

function published(container: Container, wanted: number | undefined, vantage: Vantage): Choice {
  const all = tcp(container).filter((port) => port.publicPort !== undefined)
  if (all.length === 0) return none("no-port", "publishes no TCP port (docker run -p, or ports: in a compose file)")
  // The numbers of one port may differ between IPv4 and IPv6, and the other family's may be another container's.
  const family = vantage.publicHost?.includes(":") ? "::" : "0.0.0.0"
  const rank = ({ ip }: ContainerPort): number => (isWildcard(ip) ? (wildcardOf(ip) === family ? 0 : 1) : 2)
  const reachable = all.flatMap((port) => {
    const host = hostOf(port, vantage)
    return host === undefined ? [] : [{ inner: port.privatePort, host, port: port.publicPort ?? 0, rank: rank(port) }]
  })
  if (reachable.length === 0) {
    const places = [...new Set(all.map((port) => formatHostPort(port.ip ?? "", port.publicPort ?? 0)))].join(", ")
    return none("unreachable-address", `is published on ${places} only, where it cannot be called from here`)
  }
  // Docker lists the addresses of one port in no fixed order.
  const ports = reachable.sort((a, b) => a.inner - b.inner || a.rank - b.rank || a.port - b.port || (a.host < b.host ? -1 : 1))
  const inner = [...new Set(ports.map((port) => port.inner))]
  const chosen = wanted === undefined ? undefined : ports.find((port) => port.inner === wanted)
  const [lowest] = ports
  if (chosen !== undefined) return atPublished(chosen, [])
  if (lowest === undefined) return none("no-port", "publishes no TCP port")
  const missing = `the label meshwork.port says ${wanted}, which is not among the published ports ${inner.join(", ")}`
  if (inner.length > 1 && wanted !== undefined) return none("port-not-published", missing)
  if (inner.length > 1) return atPublished(lowest, [several("publishes", inner)])
  return atPublished(lowest, wanted === undefined ? [] : [{ kind: "port-not-published", message: `${missing}; ${inner[0]} is used` }])
}

function hostOf(port: ContainerPort, vantage: Vantage): string | undefined {
  // Where the port is published for IPv4 too, that one ranks first.
  if (port.ip === "::" && vantage.publicHost === "127.0.0.1" && vantage.overSix?.(port.publicPort ?? 0)) return "::1"
  if (isWildcard(port.ip)) return vantage.publicHost
  const host = normalizeHost(port.ip ?? "")
  return host !== undefined && isLoopback(host) && !vantage.loopback ? undefined : host
}

/** Whether an address is one of the machine itself: 127.0.0.0/8, ::1 or localhost. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host)
}

function isWildcard(ip: string | undefined): boolean {
  return ip === undefined || ip === "0.0.0.0" || ip === "::" || ip === ""
}

const wildcardOf = (ip: string | undefined): string => ip || "0.0.0.0"

function tcp(container: Container): ContainerPort[] {
  return container.ports.filter((port) => port.type === "tcp" && port.privatePort <= 65_535)
}

function at(host: string, port: number, warnings: Warning[]): Choice {
  return { address: { host, port }, warnings }
}

function atPublished({ inner, host, port }: { inner: number; host: string; port: number }, warnings: Warning[]): Choice {
  return { address: { host, port }, inner, warnings }
}

function none(kind: Warning["kind"], message: string): Choice {
  return { reason: { kind, message }, warnings: [] }
}

function several(verb: string, ports: readonly number[]): Warning {
  return { kind: "several-ports", message: `${verb} the ports ${ports.join(", ")}, of which ${ports[0]} is used; the label meshwork.port can choose` }
}
