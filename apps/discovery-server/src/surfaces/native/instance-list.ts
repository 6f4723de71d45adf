import { createHash } from "node:crypto"
import type { Instance, InstanceFilter } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"

/** Bytes of serialised lists to keep for the next reader. */
const maxKeptBytes = 64 * 1024 * 1024

interface KeptList {
  revision: number
  instances: readonly Instance[]
  body: Buffer
}

/** Reads lists of instances as they go over the wire; an unfiltered one is serialised once per change. */
export class InstanceLists {
  readonly #registry: Registry
  /** Least recently made first. */
  readonly #kept = new Map<string, KeptList>()
  #keptBytes = 0

  constructor(registry: Registry) {
    this.#registry = registry
  }

  /** The entity tag of a list and, made only when asked for, its body. */
  read(service: string, filter: InstanceFilter): { etag: string; body: () => Buffer } {
    const { epoch } = this.#registry.position
    const { revision, instances } = this.#registry.list(service)
    const filtered = Object.keys(filter).length > 0
    const etag = `"${epoch}.${revision}.${filtered ? filterHash(filter) : "all"}"`
    const serialise = (list: readonly Instance[]) => Buffer.from(JSON.stringify({ service, epoch, revision, instances: list }))
    if (filtered) return { etag, body: () => serialise(instances.filter((instance) => matches(instance, filter))) }
    return { etag, body: () => this.#unfiltered(service, revision, instances, serialise) }
  }

  #unfiltered(service: string, revision: number, instances: readonly Instance[], serialise: (list: readonly Instance[]) => Buffer): Buffer {
    const known = this.#kept.get(service)
    if (known !== undefined && known.revision === revision && sameInstances(known.instances, instances)) return known.body
    const body = serialise(instances)
    this.#drop(service)
    this.#kept.set(service, { revision, instances, body })
    this.#keptBytes += body.length
    for (const oldest of this.#kept.keys()) {
      if (this.#keptBytes <= maxKeptBytes) break
      this.#drop(oldest)
    }
    return body
  }

  #drop(service: string): void {
    this.#keptBytes -= this.#kept.get(service)?.body.length ?? 0
    this.#kept.delete(service)
  }
}

/** Whether two lists hold the same objects: a lease that ran out leaves the list before its removal makes a revision. */
function sameInstances(a: readonly Instance[], b: readonly Instance[]): boolean {
  return a === b || (a.length === b.length && a.every((instance, index) => instance === b[index]))
}

/** Whether an `If-None-Match` header names an entity tag; weak comparison. */
export function etagMatches(header: string | undefined, etag: string): boolean {
  if (header === undefined) return false
  return header.split(",").some((entry) => {
    const text = entry.trim()
    return text === "*" || text === etag || text === `W/${etag}`
  })
}

/** Whether an instance passes every filter that is set. */
export function matches(instance: Instance, filter: InstanceFilter): boolean {
  if (filter.standing !== undefined && instance.standing !== filter.standing) return false
  if (filter.zone !== undefined && instance.zone !== filter.zone) return false
  if (filter.repo !== undefined && instance.repo !== filter.repo) return false
  if (filter.canary !== undefined && String(instance.canary ?? false) !== filter.canary) return false
  return (filter.tag ?? []).every((wanted) => {
    const colon = wanted.indexOf(":")
    const key = wanted.slice(0, colon)
    if (!Object.hasOwn(instance.tags, key)) return false
    const value = instance.tags[key]
    return (typeof value === "string" ? value : JSON.stringify(value)) === wanted.slice(colon + 1)
  })
}

function filterHash(filter: InstanceFilter): string {
  const entries = Object.entries(filter).sort(([a], [b]) => (a < b ? -1 : 1))
  return createHash("sha256").update(JSON.stringify(entries)).digest("hex").slice(0, 12)
}
