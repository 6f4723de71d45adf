import { BlockList, isIP, isIPv4 } from "node:net"
import { MeshError } from "@meshwork/contract"

/** Networks from which `auto_ip` is accepted where nothing else is set. */
export const defaultAutoIpNetworks = "192.168.0.0/16"

/** Finds the address of a caller that asks for it: the last entry of its `X-Forwarded-For`, else its peer address; undefined outside the networks. */
export type AutoIp = (forwardedFor: string | string[] | undefined, peer: string) => string | undefined

/** Makes an `AutoIp` of networks such as `10.0.0.0/8, fd00::/8`. Throws `invalid_config`. */
export function createAutoIp(networks: string): AutoIp {
  const accepted = new BlockList()
  for (const text of networks.split(",")) addNetwork(accepted, text.trim())
  return (forwardedFor, peer) => {
    const forwarded = String(forwardedFor ?? "").trim()
    const address = plainAddress(forwarded === "" ? peer : (forwarded.split(",").at(-1) ?? "").trim())
    const version = isIP(address)
    return version !== 0 && accepted.check(address, version === 4 ? "ipv4" : "ipv6") ? address : undefined
  }
}

function addNetwork(accepted: BlockList, text: string): void {
  const [, address = "", prefix] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const bits = isIPv4(address) ? 32 : 128
  const length = prefix === undefined ? bits : Number(prefix)
  if (isIP(address) === 0 || length > bits) {
    throw new MeshError("invalid_config", `"${text.slice(0, 80)}" is no network: networks are written like 192.168.0.0/16, separated by commas`)
  }
  accepted.addSubnet(address, length, bits === 32 ? "ipv4" : "ipv6")
}

/** A socket that takes both versions shows IPv4 peers in the clothes of IPv6. */
function plainAddress(address: string): string {
  const mapped = /^::ffff:(.+)$/i.exec(address)?.[1]
  return mapped !== undefined && isIPv4(mapped) ? mapped : address
}
