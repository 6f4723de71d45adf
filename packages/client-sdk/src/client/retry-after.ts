import type { TransportResponse } from "./transport.ts"

/** How long a 429 or 503 asks to be left alone, ms, from seconds or a date; 0 where it does not. @param now Unix ms */
export function retryAfterMs(response: Pick<TransportResponse, "status" | "headers">, now: number): number {
  if (response.status !== 429 && response.status !== 503) return 0
  const text = response.headers.get("retry-after")?.trim() ?? ""
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - now
  return ms > 0 ? ms : 0
}
