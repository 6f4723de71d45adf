/** Class of a request, in `X-Request-Priority`. */
export type RequestPriority = "high" | "normal" | "low"

/** Reads a priority whatever its case; undefined when it is none. */
export function parsePriority(text: string | undefined): RequestPriority | undefined {
  const lower = text?.toLowerCase()
  return lower === "high" || lower === "normal" || lower === "low" ? lower : undefined
}

/** The priority to send: the call's own, tempered by an inherited one that says the opposite; else the inherited, else the client's. */
export function effectivePriority(
  own: RequestPriority | undefined,
  inherited: RequestPriority | undefined,
  fallback: RequestPriority,
): RequestPriority {
  if (own === undefined) return inherited ?? fallback
  const opposite = (own === "low" && inherited === "high") || (own === "high" && inherited === "low")
  return opposite ? "normal" : own
}
