import type { MeshConfig } from "@meshwork/config"
import type { Clock } from "@meshwork/contract"
import { loadSource } from "./docker.ts"

export interface MatchBackendsOptions {
  /** Variables that say where Docker is. */
  env: Readonly<Record<string, string | undefined>>
  clock: Clock
}

/** What a Docker engine has for the backends of a configuration. */
export interface BackendMatches {
  /** How the engine was reached. */
  engine: string
  /** Names of the containers that have all labels of a backend, by the backend's name. */
  containers: Readonly<Record<string, readonly string[]>>
}

/** Asks Docker once which containers that run have the labels of each backend. Rejects with `connection_failed` or `invalid_config`, within 5 s. */
export async function matchBackends(config: Pick<MeshConfig, "gateway" | "backends">, options: MatchBackendsOptions): Promise<BackendMatches> {
  const { docker } = config.gateway
  const { createDockerodeEngine, engineAddress } = await loadSource()
  const engine = createDockerodeEngine({
    address: engineAddress({ env: options.env, ...(docker === false ? {} : docker) }),
    clock: options.clock,
  })
  const running = await engine.list(new AbortController().signal)
  const having = (labels: Readonly<Record<string, string>>) =>
    running.filter((container) => Object.entries(labels).every(([label, value]) => container.labels[label] === value)).map(({ name }) => name)
  return {
    engine: engine.address,
    containers: Object.fromEntries(Object.entries(config.backends).map(([name, { matchLabels }]) => [name, having(matchLabels)])),
  }
}
