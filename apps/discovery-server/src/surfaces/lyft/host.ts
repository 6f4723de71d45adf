import { isIP } from "node:net"
import { type Instance, type InstanceRecord, MeshError, type Registration, type Tags, tagsSchema } from "@meshwork/contract"
import type { SentHost } from "./registration-request.ts"

type Tag = Tags[string]

/** Whether an instance is a host to lyft's clients: it has an IP address and is meant to be up. */
export function isHost(instance: Instance): boolean {
  return instance.state === "up" && isIP(instance.host) !== 0
}

/**
 * The registration a host's POST makes of what is known of it: repo and revision are replaced, tags are merged, and what a POST cannot say stays.
 * Throws `invalid_request` when the tags become too large.
 */
export function mergedRegistration(current: InstanceRecord | undefined, sent: SentHost, ttlSeconds: number): Registration {
  const { az, region, load_balancing_weight: weight = current?.weight, canary = current?.canary, ...others } = sent.tags
  const { az: _az, region: _region, load_balancing_weight: _weight, canary: _canary, ...before } = current?.tags ?? {}
  // What is no label stays a tag, so that it comes back as it was sent.
  const tags = { ...before, ...others, ...(isLabel(az) ? {} : { az: az ?? null }), ...(isLabel(region) ? {} : { region: region ?? null }) }
  if (!tagsSchema.safeParse(tags).success) throw new MeshError("invalid_request", "the tags are larger than 16 KiB after the merge")
  return {
    host: sent.ip,
    port: sent.port,
    scheme: current?.scheme ?? "http",
    priority: current?.priority ?? "med",
    revision: sent.revision,
    tags,
    ttlSeconds,
    ...(sent.repo === undefined ? {} : { repo: sent.repo }),
    ...(isLabel(az) ? { zone: az } : {}),
    ...(isLabel(region) ? { region } : {}),
    ...(typeof weight === "number" ? { weight } : {}),
    ...(typeof canary === "boolean" ? { canary } : {}),
    ...(current?.check === undefined ? {} : { check: current.check }),
  }
}

/** Tags as lyft's clients expect them: with the three they rely on, and with weight and canary where the instance has them. */
export function hostTags(instance: Instance): Tags {
  const { tags, zone, region, weight, canary } = instance
  return {
    ...tags,
    az: zone ?? tags["az"] ?? (Object.hasOwn(tags, "az") ? null : ""),
    region: region ?? tags["region"] ?? (Object.hasOwn(tags, "region") ? null : ""),
    instance_id: tags["instance_id"] ?? (Object.hasOwn(tags, "instance_id") ? null : ""),
    ...(weight === undefined ? {} : { load_balancing_weight: weight }),
    ...(canary === undefined ? {} : { canary }),
  }
}

/** Unix ms as lyft's clients read instants: `2016-05-27 23:42:30.000000+00:00`. */
export function checkInText(at: number): string {
  const iso = new Date(at).toISOString()
  return `${iso.slice(0, 10)} ${iso.slice(11, 23)}000+00:00`
}

function isLabel(value: Tag | undefined): value is string {
  return typeof value === "string" && value !== "" && value.length <= 256
}
