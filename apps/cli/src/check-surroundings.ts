import type { LoadedConfig } from "@meshwork/config"
import { MeshError } from "@meshwork/contract"
import type { CliContext } from "./context.ts"
import { createProbe, probeAll } from "./probe-instances.ts"

/** Something that this machine sees otherwise than the configuration expects. */
export interface Sighting {
  kind: "no-answer" | "no-container" | "not-asked"
  /** Place in the configuration; empty where it is about all of it. */
  path: string
  /** The service or backend; absent where all are meant. */
  name?: string
  message: string
}

/** What does not answer to this machine, and which labels no container has. Never rejects: whoever cannot be asked is a sighting too. */
export async function lookAround(context: CliContext, config: LoadedConfig): Promise<Sighting[]> {
  const [labels, silent] = await Promise.all([unmatchedLabels(context, config), unanswered(context, config)])
  return [...labels, ...silent]
}

async function unmatchedLabels({ env, clock }: CliContext, config: LoadedConfig): Promise<Sighting[]> {
  const backends = Object.entries(config.backends)
  if (backends.length === 0) return []
  try {
    const { matchBackends } = await import("@meshwork/gateway-server")
    const { engine, containers } = await matchBackends(config, { env, clock })
    return backends.flatMap(([name, { matchLabels }]): Sighting[] => {
      if ((containers[name] ?? []).length > 0) return []
      const labels = Object.entries(matchLabels).map(([label, value]) => `${label}=${value}`)
      return [{ kind: "no-container", path: `backends.${name}`, name, message: `no container at ${engine} has the labels ${labels.join(", ")}` }]
    })
  } catch (error) {
    if (!MeshError.is(error)) throw error
    return [{ kind: "not-asked", path: "backends", message: `whether any container has these labels is not known: ${error.message}` }]
  }
}

async function unanswered({ clock }: CliContext, config: LoadedConfig): Promise<Sighting[]> {
  const targets = Object.entries(config.services).flatMap(([service, { instances }]) =>
    instances.map((instance, index) => ({ service, instance, path: `services.${service}.instances[${index}]` })),
  )
  const { asked, problems } = await probeAll(
    targets.map(({ instance }) => instance),
    createProbe(clock),
    clock,
  )
  const silent = targets.flatMap(({ service, instance, path }, index): Sighting[] => {
    const problem = problems[index]
    return problem === undefined ? [] : [{ kind: "no-answer", path, name: service, message: `${service}/${instance.id}: ${problem}` }]
  })
  const left = targets.length - asked
  if (left === 0) return silent
  return [...silent, { kind: "not-asked", path: "services", message: `the last ${left} instances were not asked: the others took too long` }]
}
