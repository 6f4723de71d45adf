import type { SavedCounter } from "@meshwork/gateway"

/** What the gateway asks of the thread that keeps its counts. */
export type StatsRequest =
  | { ask: "open"; path: string }
  | { ask: "write"; changed: readonly [string, SavedCounter][]; gone: readonly string[] }
  | { ask: "close" }

/** What the thread answers, one reply for each request, in order. */
export type StatsReply = { opened: [string, SavedCounter][] } | { written: number } | { closed: true } | { fault: string }
