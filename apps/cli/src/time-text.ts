/** A point in time as ISO 8601 in UTC; the number itself where it is none. */
export function isoTime(unixMs: number): string {
  const date = new Date(unixMs)
  return Number.isNaN(date.getTime()) ? String(unixMs) : date.toISOString()
}
