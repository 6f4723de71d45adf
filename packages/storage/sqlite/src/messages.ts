import type { OpResult, StorageOp, StoredState } from "@meshwork/registry-core"

/** What the storage asks of its worker thread. */
export type WorkerRequest = { call: number } & (
  | { ask: "open"; path: string }
  /** As another thread did before, which has ended since: nothing is read but where it had got to. */
  | { ask: "reopen"; path: string }
  | { ask: "commit"; ops: readonly StorageOp[]; at: number }
  | { ask: "close" }
)

/** What the worker answers; faults cross as data because errors lose their fields on the way. */
export type WorkerReply = { call: number } & (
  | { opened: StoredState }
  | { reopened: { epoch: string; revision: number } }
  | { results: OpResult[] }
  | { closed: true }
  | { fault: Fault }
)

export interface Fault {
  /** `config`: waiting cannot help; `unavailable`: it may. */
  kind: "config" | "unavailable"
  message: string
}
