import { createHash } from "node:crypto"
import type { InstanceKey } from "@meshwork/contract"

/** Where a tree keeps what. Names that end in `s` are prefixes; what follows an instance's is `<type>/<name>`. */
export interface EtcdTree {
  /** Without a trailing slash; empty for the root of all keys. */
  readonly root: string
  /** Plain locations, as Empusa's readers know them. */
  readonly services: string
  /** What more there is to say about an instance, as JSON. */
  readonly records: string
  /** Who removed an instance lately, and why. */
  readonly tombstones: string
  /** Discovery servers that are there. */
  readonly servers: string
  /** Identity of the counting. */
  readonly epoch: string
  /** Lives and dies with the lease that all leased keys of the tree hang on. */
  readonly leaseMark: string
  /** Id of that lease, the same for everyone who uses the tree. */
  readonly lease: string
  /** Key of the plain location. */
  location(key: InstanceKey): string
  /** Key of the record. */
  record(key: InstanceKey): string
}

/** The tree under a prefix; a leading slash is added where it lacks, trailing ones are removed. */
export function etcdTree(prefix: string): EtcdTree {
  const trimmed = prefix.replace(/\/+$/, "")
  const root = trimmed === "" || trimmed.startsWith("/") ? trimmed : `/${trimmed}`
  const services = `${root}/service/`
  const own = `${root}/meshwork/`
  const records = `${own}record/`
  return {
    root,
    services,
    records,
    tombstones: `${own}removed/`,
    servers: `${own}server/`,
    epoch: `${own}epoch`,
    leaseMark: `${own}lease`,
    lease: leaseId(root),
    location: ({ service, id }) => `${services}${service}/${id}`,
    record: ({ service, id }) => `${records}${service}/${id}`,
  }
}

/** The instance that a key under `prefix` belongs to; undefined when it is no `<type>/<name>`. */
export function keyUnder(prefix: string, key: string): InstanceKey | undefined {
  const match = /^([^/]+)\/([^/]+)$/.exec(key.startsWith(prefix) ? key.slice(prefix.length) : "")
  return match?.[1] === undefined || match[2] === undefined ? undefined : { service: match[1], id: match[2] }
}

/** The first key behind all that begin with `prefix`. The prefix must end with a character below U+007F, as `/` is. */
export function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
}

/** 62 bits: etcd takes any positive number that nobody uses. */
function leaseId(root: string): string {
  const digest = createHash("sha256").update(`meshwork ${root}`).digest()
  return ((digest.readBigUInt64BE() >> 2n) | 1n).toString()
}
