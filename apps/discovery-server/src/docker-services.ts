import { type Clock, MeshError, normalizeHost, type Random, sleep } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"
import type { DockerSource, DockerStatus } from "@meshwork/source-docker"
import type { Logger } from "pino"
import { applyContainers, serverText, type Written } from "./docker-records.ts"

/** How soon what the registry could not take is offered again, ms. */
const retryMs = 1000

/** How a discovery server finds containers. */
export interface DockerSettings {
  /** Address of the engine; default the variable DOCKER_HOST, else the usual socket. */
  host?: string
  /** Files of a client certificate. */
  tls?: { ca: string; cert: string; key: string }
}

export interface DockerServicesOptions {
  registry: Registry
  settings: DockerSettings
  /** Address the server is bound to. */
  bound: string
  /** What other machines call this one; default the address it is bound to. */
  advertiseHost?: string | undefined
  env: Readonly<Record<string, string | undefined>>
  clock: Clock
  random: Random
  log: Logger
}

/** The containers of an engine, kept in a registry. */
export interface DockerServices {
  status(): DockerStatus
  /** Idempotent. */
  close(): Promise<void>
}

/** Begins to keep containers with `meshwork.service` in the registry. Rejects with `invalid_config`, never because Docker is away. */
export async function startDockerServices(options: DockerServicesOptions): Promise<DockerServices> {
  const { registry, settings, bound, env, clock, random, log } = options
  const { createDockerodeEngine, createDockerSource, engineAddress, formatEngineAddress, isLoopback, ownTraces } = await loadSource()
  const address = engineAddress({ env, ...settings })
  const remote = address.kind === "tcp" && !isLoopback(address.host) ? address.host : undefined
  const wide = bound === "0.0.0.0" || bound === "::"
  const publicHost = advertised(options.advertiseHost) ?? remote ?? (wide ? undefined : bound)
  if (publicHost === undefined)
    log.warn("containers are registered only in networks this server shares with them: --advertise-host says what others call this machine")
  const source = createDockerSource({
    engine: createDockerodeEngine({ address, clock }),
    vantage: { loopback: isLoopback(bound) && remote === undefined, ...(publicHost === undefined ? {} : { publicHost }) },
    // Whoever says how this machine is called means the ports it publishes.
    ownTraces: options.advertiseHost === undefined ? ownTraces() : [],
    clock,
    random,
    log: (level, message) => log[level](message),
  })
  const stop = new AbortController()
  const keeping = keepRegistered(source, { registry, server: serverText(formatEngineAddress(address)), clock, log, signal: stop.signal })
  return {
    status: () => source.status(),
    async close() {
      stop.abort()
      await source.close()
      await keeping
    },
  }
}

function advertised(host: string | undefined): string | undefined {
  if (host === undefined || normalizeHost(host) !== undefined) return host && normalizeHost(host)
  throw new MeshError("invalid_config", `--advertise-host takes a host name or an IP address, not ${JSON.stringify(host.slice(0, 80))}`)
}

interface Keeping {
  registry: Registry
  server: string
  clock: Clock
  log: Logger
  signal: AbortSignal
}

/** Applies every change of the source, one after the other. */
async function keepRegistered(source: DockerSource, { registry, server, clock, log, signal }: Keeping): Promise<void> {
  const written: Written = new Map()
  let failing = false
  for await (const _ of source.changes(signal)) {
    const { engine } = source
    while (engine !== undefined && !signal.aborted) {
      try {
        const instances = source.snapshots().flatMap((snapshot) => snapshot.instances)
        await applyContainers(registry, instances, { engine, server }, written)
        failing = false
        break
      } catch (error) {
        if (signal.aborted) return
        if (!failing) log.warn({ err: error }, "containers could not be registered; it is tried again")
        failing = true
        // What was written is not certain any more.
        written.clear()
        await sleep(clock, retryMs, signal)
      }
    }
  }
}

async function loadSource(): Promise<typeof import("@meshwork/source-docker")> {
  try {
    return await import("@meshwork/source-docker")
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== "ERR_MODULE_NOT_FOUND" && code !== "MODULE_NOT_FOUND") throw error
    const missing = /'([^']+)'/.exec(message)?.[1] ?? "@meshwork/source-docker"
    throw new MeshError("invalid_config", `containers are looked for with the package ${missing}, which is not installed: npm install ${missing}`, {
      cause: error,
    })
  }
}
