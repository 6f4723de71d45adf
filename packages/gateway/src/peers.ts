import { BlockList, isIP, type Socket } from "node:net"

/** What is known of who sent a request. */
export interface Peer {
  readonly address: string
  /** The `for=` of a `Forwarded` header. */
  readonly forwardedFor: string
  /** Whether its `X-Forwarded-*` are believed. */
  readonly trustedProxy: boolean
  /** Whether its mesh headers are believed. */
  readonly inMesh: boolean
  readonly secure: boolean
}

const nearby = new BlockList()
for (const [network, prefix, family] of [
  ["127.0.0.0", 8, "ipv4"],
  ["10.0.0.0", 8, "ipv4"],
  ["172.16.0.0", 12, "ipv4"],
  ["192.168.0.0", 16, "ipv4"],
  ["169.254.0.0", 16, "ipv4"],
  ["::1", 128, "ipv6"],
  ["fc00::", 7, "ipv6"],
  ["fe80::", 10, "ipv6"],
] as const)
  nearby.addSubnet(network, prefix, family)

/** The usual spelling of a socket's address: IPv4 inside IPv6 as IPv4. */
export function plainAddress(address: string | undefined): string {
  return address === undefined ? "" : address.startsWith("::ffff:") ? address.slice(7) : address
}

/** Whether an address is of this machine or of a private network: who is believed in what it says of the mesh. */
export function isNearby(address: string): boolean {
  const family = isIP(address)
  return family !== 0 && nearby.check(address, family === 4 ? "ipv4" : "ipv6")
}

/** Whether an address is in a list of addresses and CIDR blocks. Throws a RangeError that names what is neither. */
export function peerList(entries: readonly string[]): (address: string) => boolean {
  if (entries.length === 0) return () => false
  const list = new BlockList()
  for (const entry of entries) {
    const [network = "", prefix] = entry.split("/")
    const family = isIP(network)
    if (family === 0) throw new RangeError(`${entry} is neither an address nor a CIDR block`)
    list.addSubnet(network, prefix === undefined ? (family === 4 ? 32 : 128) : Number(prefix), family === 4 ? "ipv4" : "ipv6")
  }
  return (address) => {
    const family = isIP(address)
    return family !== 0 && list.check(address, family === 4 ? "ipv4" : "ipv6")
  }
}

/** Whom a gateway believes. */
interface Believed {
  trustedProxy: (address: string) => boolean
  inMesh: (address: string) => boolean
}

const peerOfSocket = Symbol("peer")
type Known = Socket & { [peerOfSocket]?: { believed: Believed; peer: Peer } }

/** Finds out once for a connection who is at its other end; anew where others are believed since. */
export function createPeers(believed: Believed): (socket: Socket) => Peer {
  return (socket: Known) => {
    const known = socket[peerOfSocket]
    if (known?.believed === believed) return known.peer
    const peer = look(socket, believed)
    socket[peerOfSocket] = { believed, peer }
    return peer
  }
}

function look(socket: Socket, { trustedProxy, inMesh }: Believed): Peer {
  const address = plainAddress(socket.remoteAddress)
  const forwardedFor = `for=${isIP(address) === 6 ? `"[${address}]"` : address || "unknown"}`
  return { address, forwardedFor, trustedProxy: trustedProxy(address), inMesh: inMesh(address), secure: "encrypted" in socket }
}
