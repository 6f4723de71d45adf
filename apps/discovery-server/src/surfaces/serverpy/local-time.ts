const two = (number: number): string => String(number).padStart(2, "0")

/** `YYYY-MM-DD HH:MM:SS.ffffff` in the local time of this machine, as Python writes a datetime; null for none. */
export function localTime(unixMs: number | undefined): string | null {
  if (unixMs === undefined) return null
  const time = new Date(unixMs)
  const date = `${time.getFullYear()}-${two(time.getMonth() + 1)}-${two(time.getDate())}`
  const micros = String(time.getMilliseconds() * 1000).padStart(6, "0")
  return `${date} ${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}.${micros}`
}
