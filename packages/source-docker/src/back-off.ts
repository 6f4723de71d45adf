import type { Random } from "@meshwork/contract"

const baseMs = 100
const capMs = 3000

/** How long to wait before the `attempt`-th try (from 1), ms: doubles up to 3 s, of which the second half is chance. For ever. */
export function backOffMs(attempt: number, random: Random): number {
  const bound = Math.min(capMs, baseMs * 2 ** Math.min(attempt - 1, 20))
  return bound / 2 + (bound / 2) * random()
}
