import type { StorageDeviations } from "../storage-deviations.ts"

/** What the memory storage promises less than the others. */
export const memoryDeviations: StorageDeviations = {
  volatile: "it keeps nothing outside its process; instances register again within one heartbeat",
}
