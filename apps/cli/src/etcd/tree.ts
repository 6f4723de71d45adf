import type { InstanceKey } from "@meshwork/contract"

/** Where a tree keeps what. `services` and `records` are prefixes; what follows is `<type>/<name>`. */
export interface EtcdTree {
  /** Without a trailing slash; empty for the root of all keys. */
  readonly root: string
  readonly services: string
  readonly records: string
  /** Key of the plain location. */
  location(key: InstanceKey): string
  /** Key of the record with what more there is to say. */
  record(key: InstanceKey): string
}

/** The tree under a prefix; a leading slash is added where it lacks, trailing ones are removed. */
export function etcdTree(prefix: string): EtcdTree {
  const trimmed = prefix.replace(/\/+$/, "")
  const root = trimmed === "" || trimmed.startsWith("/") ? trimmed : `/${trimmed}`
  const services = `${root}/service/`
  const records = `${root}/meshwork/record/`
  return {
    root,
    services,
    records,
    location: ({ service, id }) => `${services}${service}/${id}`,
    record: ({ service, id }) => `${records}${service}/${id}`,
  }
}

/** The instance a key under `prefix` belongs to; undefined when it is no `<type>/<name>`. */
export function keyUnder(prefix: string, key: string): InstanceKey | undefined {
  const match = /^([^/]+)\/([^/]+)$/.exec(key.startsWith(prefix) ? key.slice(prefix.length) : "")
  return match?.[1] === undefined || match[2] === undefined ? undefined : { service: match[1], id: match[2] }
}

/** The first key behind all that begin with `prefix`. The prefix must end with a character below U+007F, as `/` is. */
export function prefixEnd(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1)
}
