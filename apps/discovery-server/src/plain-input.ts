import { routes } from "@meshwork/contract"

const plainName = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/
const maxBeats = 1000
const maxBoot = 256

/** Whether all parameters of a path are names that every rule for one takes: told at once for nearly all of them, without walking the rules. */
export function arePlainNames(params: object): boolean {
  for (const value of Object.values(params)) if (!isPlainName(value)) return false
  return true
}

/** By path, bodies of what is sent most: whether one is as its rules want it, told at once for nearly all of them. Whatever is not goes through the rules. */
export const plainBodies: ReadonlyMap<string, (body: unknown) => boolean> = new Map([
  [routes.heartbeat.path, (body) => isObject(body) && isPlainBeat(body, 0)],
  [routes.heartbeats.path, arePlainBeats],
])

type Fields = Readonly<Record<string, unknown>>

function arePlainBeats(body: unknown): boolean {
  if (!isObject(body) || Object.keys(body).length !== 1) return false
  const { beats } = body
  return Array.isArray(beats) && beats.length <= maxBeats && beats.every((beat) => isObject(beat) && isPlainBeat(beat, 2))
}

/** @param names how many of `service` and `id` it must have */
function isPlainBeat(beat: Fields, names: 0 | 2): boolean {
  let named = 0
  for (const field of Object.keys(beat)) {
    const value = beat[field]
    if (field === "boot") {
      if (typeof value !== "string" || value === "" || value.length > maxBoot) return false
    } else if (field === "load") {
      if (!isPlainLoad(value)) return false
    } else if ((field !== "service" && field !== "id") || ++named > names || !isPlainName(value)) return false
  }
  return named === names
}

function isPlainLoad(load: unknown): boolean {
  if (!isObject(load)) return false
  for (const field of Object.keys(load)) {
    const value = load[field]
    if (typeof value !== "number" || !(value >= 0) || value === Number.POSITIVE_INFINITY) return false
    if (field === "utilisation" ? value > 1 : field === "inFlight" ? !Number.isSafeInteger(value) : field !== "lagMs") return false
  }
  return true
}

function isPlainName(value: unknown): boolean {
  return typeof value === "string" && plainName.test(value)
}

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}
