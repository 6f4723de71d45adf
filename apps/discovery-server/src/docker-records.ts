import { hostname } from "node:os"
import { type Instance, type InstanceKey, keyText, type Registration } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"

const by = "docker"
const engineTag = "docker.engine"
const serverTag = "docker.server"

/** Whose containers a record stands for. */
export interface DockerOwner {
  /** Identity of the engine. */
  engine: string
  /** This server and the address of the engine, in case the engine is another one now. */
  server: string
}

/** Names this machine and an engine's address. */
export function serverText(address: string): string {
  return `${hostname()} ${address}`
}

/** What was last written about each container. */
export type Written = Map<string, { registration: string; boot: string; state: Instance["state"] }>

/**
 * Makes the registry's records of one engine equal to its containers: registers them for ever, hands on what Docker says about state and health, and
 * removes those that are gone. What registered itself under the same id is left alone. Rejects as the registry does; call it again then.
 */
export async function applyContainers(registry: Registry, instances: readonly Instance[], owner: DockerOwner, written: Written): Promise<void> {
  const wanted = new Set(instances.map(keyText))
  for (const key of written.keys()) if (!wanted.has(key)) written.delete(key)
  const gone = recordsOf(registry, ({ tags }) => tags[engineTag] === owner.engine || tags[serverTag] === owner.server)
  for (const record of gone) if (!wanted.has(keyText(record))) await remove(registry, record, "its container is gone")
  for (const instance of instances) {
    const known = registry.get(instance)
    if (known === undefined || known.origin === "docker") await applyContainer(registry, instance, known, owner, written)
  }
}

/** Removes what this machine registered for containers when it still looked for them. Rejects as the registry does. */
export async function dropContainers(registry: Registry): Promise<void> {
  const own = ({ tags: { [serverTag]: server } }: Instance) => typeof server === "string" && server.startsWith(serverText(""))
  for (const record of recordsOf(registry, own)) await remove(registry, record, "containers are no longer looked for")
}

function recordsOf(registry: Registry, own: (instance: Instance) => boolean): Instance[] {
  const all = registry.services().flatMap(({ name }) => registry.list(name).instances)
  return all.filter((instance) => instance.origin === "docker" && own(instance))
}

async function applyContainer(
  registry: Registry,
  instance: Instance,
  known: Instance | undefined,
  { server }: DockerOwner,
  written: Written,
): Promise<void> {
  const key: InstanceKey = { service: instance.service, id: instance.id }
  const { boot = instance.id } = instance
  const registration = registrationOf(instance, boot, server)
  const text = JSON.stringify(registration)
  const before = known === undefined ? undefined : written.get(keyText(key))
  if (before?.registration !== text) await registry.register(key, registration, { origin: "docker", by })
  // Another process begins as one that wants to be used, whatever its predecessor wanted.
  const state = before?.boot === boot ? before.state : before === undefined && known?.boot === boot ? known.state : "up"
  if (state !== instance.state) {
    await registry.patch(key, { state: instance.state }, { by, boot })
  }
  const verdict = verdictOf(instance)
  if (verdict !== undefined && registry.get(key)?.health.status !== verdict.status) await registry.reportHealth(key, { ...verdict, by, boot })
  written.set(keyText(key), { registration: text, boot, state: instance.state })
}

function registrationOf(instance: Instance, boot: string, server: string): Registration {
  const { host, port, scheme, weight, priority, tags, check } = instance
  // Whom its HEALTHCHECK fails nobody else needs to probe.
  const probed = check !== undefined && instance.health.status !== "failing"
  return {
    host,
    port,
    scheme,
    priority,
    tags: { ...tags, [serverTag]: server },
    ttlSeconds: 0,
    boot,
    ...(weight === undefined ? {} : { weight }),
    ...(probed ? { check } : {}),
  }
}

/** What Docker says about its health; undefined where the server's own probes decide. */
function verdictOf({ health, check, standing }: Instance): { status: "passing" | "failing" | "unknown"; reason: string } | undefined {
  const { status, reason } = health
  if (status === "failing") return { status, reason }
  if (check !== undefined) return undefined
  // A registry has no last choice besides suspects of its own: one whose HEALTHCHECK has not passed yet has to wait.
  return standing === "suspect" ? { status: "failing", reason } : { status, reason }
}

async function remove(registry: Registry, { service, id }: Instance, why: string): Promise<void> {
  await registry.deregister({ service, id }, { by, why })
}
