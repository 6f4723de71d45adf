import { type InstancePatch, type InstanceRecord, MeshError, type Override, tagsSchema } from "@meshwork/contract"

type Json = InstanceRecord["tags"][string]

/** Merges a patch into a value as RFC 7396 says. */
export function mergePatch(target: Json | undefined, patch: Json): Json {
  if (patch === null || typeof patch !== "object" || Array.isArray(patch)) return patch
  const base = target !== null && typeof target === "object" && !Array.isArray(target) ? target : {}
  // A map, because `__proto__` is a name like any other here.
  const merged = new Map<string, Json>(Object.entries(base))
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) merged.delete(name)
    else merged.set(name, mergePatch(merged.get(name), value))
  }
  return Object.fromEntries(merged)
}

/** The record after a patch: the instance's own wish when `own`, else an operator's override; null takes either back. */
export function patched(current: InstanceRecord, patch: InstancePatch, from: { by: string; own: boolean; now: number }): InstanceRecord {
  let record = patch.tags === undefined ? current : { ...current, tags: mergedTags(current, patch.tags) }
  if (from.own) return ownWish(record, patch)
  if (patch.weight === undefined && patch.state === undefined) return record
  const { weight, state, by: before, at: _at, ...rest } = record.override ?? { by: "", at: 0 }
  const nextWeight = patch.weight === undefined ? weight : (patch.weight ?? undefined)
  const nextState = patch.state === undefined ? state : (patch.state ?? undefined)
  if (nextWeight === weight && nextState === state) return record
  const override: Override = { ...rest, by: authors(before, from.by, { weight, state }, { weight: nextWeight, state: nextState }), at: from.now }
  if (nextWeight !== undefined) override.weight = nextWeight
  if (nextState !== undefined) override.state = nextState
  const { override: _old, ...without } = record
  record = nextWeight === undefined && nextState === undefined ? without : { ...without, override }
  return record
}

type Wishes = { weight: number | undefined; state: InstanceRecord["state"] }

/** Whose an override is: where a part of it stays as somebody else set it, both are named. */
function authors(before: string, now: string, old: Wishes, next: Wishes): string {
  const stays = (old.weight !== undefined && next.weight === old.weight) || (old.state !== undefined && next.state === old.state)
  return !stays || before.split(", ").includes(now) ? (stays ? before : now) : `${before}, ${now}`.slice(-256)
}

function ownWish(record: InstanceRecord, patch: InstancePatch): InstanceRecord {
  const { state, weight, ...rest } = record
  const nextState = patch.state === undefined ? state : (patch.state ?? undefined)
  const nextWeight = patch.weight === undefined ? weight : (patch.weight ?? undefined)
  if (nextState === state && nextWeight === weight) return record
  return { ...rest, ...(nextState === undefined ? {} : { state: nextState }), ...(nextWeight === undefined ? {} : { weight: nextWeight }) }
}

function mergedTags(current: InstanceRecord, patch: InstancePatch["tags"]): InstanceRecord["tags"] {
  if (patch === null || patch === undefined) return {}
  const parsed = tagsSchema.safeParse(mergePatch(current.tags, patch))
  if (!parsed.success) throw new MeshError("invalid_request", "tags: must be at most 16 KiB as JSON after the merge")
  return parsed.data
}

/** A sentence for the journal. */
export function describePatch(patch: InstancePatch, own: boolean): string {
  const parts = Object.entries(patch).map(([name, value]) =>
    name === "tags" ? "tags changed" : value === null ? `${name} taken back` : `${name} set to ${typeof value === "object" ? "" : value}`,
  )
  return `${parts.join(", ") || "nothing changed"}${own ? " by the instance itself" : ""}`
}
