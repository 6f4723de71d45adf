/** What a strategy makes of an outcome. */
export type Verdict = "accept" | "reject"

/**
 * Judges an answer: an override for its status first, then `X-Do-Not-Retry`, then the status: 5xx, 408 and 429 are rejected.
 */
export function classify(status: number, headers: Pick<Headers, "has">, verdictForStatus: Readonly<Record<number, Verdict>> = {}): Verdict {
  const override = verdictForStatus[status]
  if (override !== undefined) return override
  if (headers.has("x-do-not-retry")) return "accept"
  return (status >= 500 && status <= 599) || status === 408 || status === 429 ? "reject" : "accept"
}
