import { z } from "zod"
import { instanceSchema } from "./service-model.ts"

const stamp = { epoch: z.string(), revision: z.int(), at: z.number() }

/** The events of `GET /v1/watch` by name; each `data:` is JSON of its schema. */
export const watchEventSchemas = {
  snapshot: z.looseObject({ ...stamp, service: z.string(), instances: z.array(instanceSchema) }),
  change: z.looseObject({
    ...stamp,
    service: z.string(),
    from: z.int(),
    upserted: z.array(instanceSchema),
    removed: z.array(z.looseObject({ id: z.string(), why: z.string() })),
  }),
  synced: z.looseObject({ ...stamp, services: z.exactOptional(z.array(z.string())) }),
  stale: z.looseObject({ ...stamp, since: z.number() }),
  fresh: z.looseObject(stamp),
  reset: z.looseObject({ ...stamp, why: z.string() }),
}

export type WatchEventName = keyof typeof watchEventSchemas
export type WatchEventData<N extends WatchEventName> = z.output<(typeof watchEventSchemas)[N]>
/** One event of a watch stream. */
export type WatchEvent = { [N in WatchEventName]: { event: N; data: WatchEventData<N> } }[WatchEventName]

/** How often a watch stream sends an `id:` line when nothing else is sent, ms. */
export const watchKeepAliveMs = 15_000
/** Silence after which a watch stream counts as dead, ms. */
export const watchSilenceMs = 45_000

/** Point in a watch: everything of `epoch` up to `revision` has been seen. */
export interface WatchToken {
  epoch: string
  revision: number
}

/** The text of a token, as it stands in `id:` and `Last-Event-ID`. */
export function formatWatchToken(token: WatchToken): string {
  return `${token.epoch}.${token.revision}`
}

/** Reads a token; undefined when the text is none. */
export function parseWatchToken(text: string | undefined): WatchToken | undefined {
  const match = /^([\x21-\x7e]{1,128})\.(\d{1,16})$/.exec(text ?? "")
  const revision = Number(match?.[2])
  return match?.[1] !== undefined && Number.isSafeInteger(revision) ? { epoch: match[1], revision } : undefined
}
