import type { MeshConfig } from "@meshwork/config"
import { type Clock, type InstanceSource, MeshError, type Random, type ServiceSnapshot } from "@meshwork/contract"
import type { DockerRoute, DockerSource } from "@meshwork/source-docker"
import { createProbedSource, type ProbedSourceOptions } from "./probed-source.ts"

export interface DockerOptions {
  config: MeshConfig
  env: Readonly<Record<string, string | undefined>>
  /** What was known before a restart. */
  initial: () => Promise<readonly ServiceSnapshot[]>
  clock: Clock
  random: Random
  log: (level: "info" | "warn", message: string) => void
  /** How the certificates of https instances are judged. */
  tls?: ProbedSourceOptions["tls"]
}

/** The containers of a Docker engine, for a gateway: probed where they declare a check. */
export interface Docker {
  readonly source: InstanceSource
  /** Whether containers may name services and routes themselves. */
  readonly native: boolean
  routes(signal: AbortSignal): AsyncIterable<readonly DockerRoute[]>
  setBackends: DockerSource["setBackends"]
  readonly asked: Promise<void>
  status: DockerSource["status"]
  containers: DockerSource["containers"]
  snapshots: DockerSource["snapshots"]
  /** Idempotent. */
  close(): Promise<void>
}

/** Opens the contact to Docker where the configuration needs it; undefined where it does not. Rejects with `invalid_config`. */
export async function openDocker(options: DockerOptions): Promise<Docker | undefined> {
  const { config, env, clock, random, log, tls } = options
  const { docker } = config.gateway
  const backends = Object.keys(config.backends).length
  if (docker === false && backends === 0) return undefined
  const { createDockerodeEngine, createDockerSource, engineAddress, isLoopback, ownTraces } = await loadSource()
  const address = engineAddress({ env, ...(docker === false ? {} : docker) })
  const near = address.kind === "unix" || isLoopback(address.host)
  const native = docker !== false
  const source = createDockerSource({
    engine: createDockerodeEngine({ address, clock }),
    backends: config.backends,
    native,
    vantage: { publicHost: near ? "127.0.0.1" : address.host, loopback: near },
    ownTraces: ownTraces(),
    initial: await options.initial(),
    clock,
    random,
    log,
  })
  const probed = createProbedSource({ source, clock, random, log, tls })
  return {
    source: probed,
    native,
    routes: (signal) => source.routes(signal),
    setBackends: (backends) => source.setBackends(backends),
    asked: source.asked,
    status: () => source.status(),
    containers: () => source.containers(),
    snapshots: () => source.snapshots(),
    async close() {
      await source.close()
      await probed.close()
    },
  }
}

/** The room that knows Docker, loaded when it is used. Rejects with `invalid_config` naming the package that is missing. */
export async function loadSource(): Promise<typeof import("@meshwork/source-docker")> {
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
