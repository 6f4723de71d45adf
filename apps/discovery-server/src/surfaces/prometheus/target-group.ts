import { formatHostPort, type Instance } from "@meshwork/contract"

/** What Prometheus' HTTP service discovery reads: addresses, and the labels that all of them have. */
export interface TargetGroup {
  targets: readonly string[]
  labels: Readonly<Record<string, string>>
}

const prefix = "__meta_meshwork_"

/**
 * An instance as a group of its own, since its labels are its own.
 * A tag becomes a label by its name, every character that labels may not have as `_`; of tags that become the same the first by name counts.
 */
export function targetGroup(instance: Instance): TargetGroup {
  const { service, id, zone = "", region = "", revision = "", canary = false, state, standing } = instance
  const labels: Record<string, string> = {}
  for (const [name, value] of Object.entries({ service, id, zone, region, revision, canary: String(canary), state, standing })) {
    labels[`${prefix}${name}`] = text(value)
  }
  for (const name of Object.keys(instance.tags).sort()) {
    const label = `${prefix}tag_${name.replace(/[^a-zA-Z0-9_]/gu, "_")}`
    labels[label] ??= text(instance.tags[name])
  }
  return { targets: [formatHostPort(instance.host, instance.port)], labels }
}

/** Label values are well-formed text: what is no text goes as JSON, and halves of characters are replaced. */
function text(value: unknown): string {
  return (typeof value === "string" ? value : JSON.stringify(value)).toWellFormed()
}
