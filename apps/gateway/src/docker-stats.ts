import type { Services } from "./services.ts"

/** What statistics say of the contact to Docker; nothing where there is none to be. */
export function dockerStats({ docker }: Services): Readonly<Record<string, unknown>> {
  if (docker === undefined) return {}
  const { address, connected, ageMs, containers, problem } = docker.status()
  return {
    docker: { address, connected, age_ms: ageMs === null ? null : Math.round(ageMs), containers, ...(problem === undefined ? {} : { problem }) },
  }
}
