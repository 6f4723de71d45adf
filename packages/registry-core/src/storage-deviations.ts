/** What an adapter promises less than the storage port, or cannot show in its tests; each with its reason. Shown in docs/reference/storages.md. */
export interface StorageDeviations {
  /** Why a restart begins empty with a new epoch. */
  volatile?: string
  /** Why no process can be killed while it commits. Not needed by a volatile one. */
  unkillable?: string
  /** What the stand-in for a service, against which the tests run, does otherwise than the service, by name; and what the adapter does about it. */
  unseen?: Readonly<Record<string, string>>
}
