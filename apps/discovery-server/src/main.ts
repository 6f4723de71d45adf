import { dirname } from "node:path"
import { systemClock, systemRandom } from "@meshwork/contract"
import { destination, pino, stdTimeFunctions, type Logger } from "pino"
import type { AccessToken } from "./access.ts"
import { createDiscoveryServer } from "./discovery-server.ts"
import type { DockerSettings } from "./docker-services.ts"
import type { StaticInstance } from "./static-services.ts"
import type { LyftSettings } from "./surfaces/lyft/settings.ts"
import { openStorage } from "./storages.ts"

export interface DiscoverySettings {
  /** Address to bind. Default 127.0.0.1. */
  host?: string
  /** Default 8008; 0 takes a free one. */
  port?: number
  /** As `--storage` spells it. Default `sqlite:.meshwork/registry.sqlite`. */
  storage?: string
  /** What `GET /health` calls it; default nothing. */
  name?: string
  /** Where `/dump` writes. Default the folder of the storage, else `.meshwork`. */
  dataDirectory?: string
  tokens?: readonly AccessToken[]
  /** Allows to be reachable for others without a token. */
  insecure?: boolean
  /** Instances from the configuration. */
  instances?: readonly StaticInstance[]
  /** Keeps containers that name a service in the registry. */
  docker?: DockerSettings | false
  /** What other machines call this one, for ports that containers publish. */
  advertiseHost?: string
  /** Variables that say where Docker is; default those of this process. */
  env?: Readonly<Record<string, string | undefined>>
  /** How the lyft surface behaves. */
  lyft?: LyftSettings
  /** Default: JSON lines on stderr, readable ones when that is a terminal. */
  log?: Logger
}

/** A running discovery process. */
export interface RunningDiscovery {
  readonly url: string
  /** Makes the records of the configuration equal to `instances`. */
  applyInstances(instances: readonly StaticInstance[]): Promise<void>
  /** Idempotent. */
  close(): Promise<void>
}

/** Starts a discovery server on this machine's clock and chance, and says so in the log. Rejects with errors one can act on. */
export async function runDiscovery(settings: DiscoverySettings): Promise<RunningDiscovery> {
  const { storage: spec = "sqlite:.meshwork/registry.sqlite", log = await createLog(), ...rest } = settings
  const storage = await openStorage(spec, (message) => log.warn(message))
  const dataDirectory = rest.dataDirectory ?? folderOf(spec)
  const server = await createDiscoveryServer({ ...rest, dataDirectory, storage, log, clock: systemClock, random: systemRandom })
  log.info({ url: server.url, storage: storage.name }, "discovery server listens")
  return {
    url: server.url,
    applyInstances: (instances) => server.applyInstances(instances),
    close: async () => {
      await server.close()
      log.info({ url: server.url }, "discovery server closed")
    },
  }
}

function folderOf(storage: string): string {
  const path = /^(?:sqlite|file):(.+)$/.exec(storage)?.[1]
  return path === undefined ? ".meshwork" : dirname(path)
}

async function createLog(): Promise<Logger> {
  const stderr = 2
  const options = { base: { name: "discovery" }, timestamp: stdTimeFunctions.isoTime }
  if (!process.stderr.isTTY) return pino(options, destination({ fd: stderr, sync: true }))
  const { PinoPretty: pretty } = await import("pino-pretty")
  return pino(options, pretty({ destination: stderr, sync: true }))
}
