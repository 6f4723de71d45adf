import type { Instance, ServiceSnapshot, WatchEventData } from "@meshwork/contract"

const longestDoubtMs = 300_000

/** What a client holds of one service, with those that a new registry did not know kept for a while. */
export interface ServiceView {
  readonly service: string
  readonly epoch: string
  readonly revision: number
  readonly instances: ReadonlyMap<string, Instance>
  /** Kept although the last snapshot lacked them: until when, monotonic ms. */
  readonly doubted: ReadonlyMap<string, number>
}

/** A view of nothing. */
export function emptyView(service: string): ServiceView {
  return { service, epoch: "", revision: -1, instances: new Map(), doubted: new Map() }
}

/**
 * Applies a snapshot. Of the same epoch it removes what it lacks at once; of another epoch (a restarted or emptied registry) what it lacks
 * stays as a suspect for its own ttl, at most 300 s.
 */
export function applySnapshot(view: ServiceView, data: WatchEventData<"snapshot">, now: number): ServiceView {
  const instances = new Map(data.instances.map((instance) => [instance.id, believed(view.instances.get(instance.id), instance)]))
  const doubted = new Map<string, number>()
  const known = view.epoch !== "" && view.epoch !== data.epoch ? view.instances : onlyDoubted(view)
  for (const [id, instance] of known) {
    if (instances.has(id)) continue
    const patience = instance.ttlSeconds === 0 ? longestDoubtMs : Math.min(longestDoubtMs, instance.ttlSeconds * 1000)
    const why = "suspect: the registry was restarted and has not heard of it yet"
    instances.set(id, instance.standing === "serving" ? { ...instance, standing: "suspect", why } : instance)
    doubted.set(id, view.doubted.get(id) ?? now + patience)
  }
  return { service: view.service, epoch: data.epoch, revision: data.revision, instances, doubted }
}

/** Applies a change; undefined when the view does not reach up to where the change begins, so that a snapshot is needed. */
export function applyChange(view: ServiceView, data: WatchEventData<"change">): ServiceView | undefined {
  if (data.epoch !== view.epoch || data.from > view.revision) return undefined
  if (data.revision <= view.revision) return view
  const instances = new Map(view.instances)
  const doubted = new Map(view.doubted)
  for (const { id } of data.removed) {
    instances.delete(id)
    doubted.delete(id)
  }
  for (const instance of data.upserted) {
    instances.set(instance.id, believed(view.instances.get(instance.id), instance))
    doubted.delete(instance.id)
  }
  return { ...view, revision: data.revision, instances, doubted }
}

/**
 * What to make of an instance that is told of. A registry that lost its memory knows of no health until it has probed; a process that served
 * until then is used as a suspect meanwhile, instead of being left out.
 */
function believed(before: Instance | undefined, told: Instance): Instance {
  const unprobed = told.standing === "out" && told.state === "up" && told.health.status === "unknown"
  const served = before?.standing === "serving" || before?.standing === "suspect"
  if (!unprobed || !served || before.boot !== told.boot) return told
  return { ...told, standing: "suspect", why: "suspect: it served before, and the registry has not probed it again yet" }
}

/** Lets go of those whose time is over; the view itself when there is none. */
export function dropExpired(view: ServiceView, now: number): ServiceView {
  const over = [...view.doubted].filter(([, until]) => until <= now)
  if (over.length === 0) return view
  const instances = new Map(view.instances)
  const doubted = new Map(view.doubted)
  for (const [id] of over) {
    instances.delete(id)
    doubted.delete(id)
  }
  return { ...view, instances, doubted }
}

/** When the next one's time is over; undefined when nobody is doubted. */
export function nextExpiry(view: ServiceView): number | undefined {
  return view.doubted.size === 0 ? undefined : Math.min(...view.doubted.values())
}

/** The view as sources tell it. */
export function snapshotOf(view: ServiceView, at: number, stale: boolean): ServiceSnapshot {
  const snapshot: ServiceSnapshot = { service: view.service, instances: [...view.instances.values()], at }
  if (view.revision >= 0) snapshot.revision = view.revision
  if (stale) snapshot.stale = true
  return snapshot
}

function onlyDoubted(view: ServiceView): ReadonlyMap<string, Instance> {
  return new Map([...view.instances].filter(([id]) => view.doubted.has(id)))
}
