import { AsyncLocalStorage } from "node:async_hooks"
import type { Deadline } from "./deadline.ts"
import type { RequestPriority } from "./priority.ts"

/** What a request brings along for every call made while it is handled. */
export interface CallContext {
  deadline?: Deadline
  priority?: RequestPriority
  /** Aborts when the answer is of no use any more. */
  signal?: AbortSignal
}

const storage = new AsyncLocalStorage<CallContext>()

/** Runs `work` so that every client call in it inherits `context`. */
export function runInContext<T>(context: CallContext, work: () => T): T {
  return storage.run(context, work)
}

/** The context of the request being handled; undefined outside of one. */
export function currentContext(): CallContext | undefined {
  return storage.getStore()
}
