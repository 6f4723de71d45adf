import { type Clock, sleep } from "@meshwork/contract"
import { isMissingTable } from "./create-table.ts"
import type { Condition, Item, RowKey, Table } from "./table.ts"

/** A row of the table to be brought up to what the log says; `next` comes after it. */
export type RowTask = ({ put: Item } | { delete: RowKey }) & { condition?: Condition; next?: RowTask }

const parallel = 16
const pauseMs = 1000

/** Brings the table's rows after the log, in the background: of several tasks about one row only the last one counts. */
export class Materializer {
  readonly #table: Table
  readonly #clock: Clock
  readonly #tasks = new Map<string, RowTask>()
  readonly #stop = new AbortController()
  /** Rows being written: a second task about one waits, or the older of the two could come last. */
  readonly #busy = new Set<string>()
  #idle: (() => void)[] = []

  constructor(table: Table, clock: Clock) {
    this.#table = table
    this.#clock = clock
  }

  /** Adds a task, unless a later one about its row waits or is under way. */
  addUnlessThere(task: RowTask): void {
    const text = textOf(rowOfTask(task))
    if (!this.#tasks.has(text) && !this.#busy.has(text)) this.add(task)
  }

  add(task: RowTask): void {
    this.#tasks.set(textOf(rowOfTask(task)), task)
    this.#start()
  }

  /** Resolves when everything added so far is written. */
  drained(): Promise<void> {
    return this.#busy.size === 0 && this.#tasks.size === 0 ? Promise.resolve() : new Promise((resolve) => this.#idle.push(resolve))
  }

  /** Forgets what is not written; the log still has it. */
  clear(): void {
    this.#tasks.clear()
  }

  stop(): void {
    this.#stop.abort()
    this.clear()
  }

  #start(): void {
    for (const [text, task] of this.#tasks) {
      if (this.#busy.size >= parallel) return
      if (this.#busy.has(text)) continue
      this.#tasks.delete(text)
      this.#busy.add(text)
      void this.#work(text, task).finally(() => {
        this.#busy.delete(text)
        this.#start()
        if (this.#busy.size === 0) for (const resolve of this.#idle.splice(0)) resolve()
      })
    }
  }

  async #work(text: string, task: RowTask): Promise<void> {
    try {
      if ("put" in task) await this.#table.put(task.put, task.condition)
      else await this.#table.delete(task.delete, task.condition)
      if (task.next && !this.#stop.signal.aborted) this.add(task.next)
    } catch (error) {
      // What is to be done in a table that is gone has no place in the next one of its name.
      if (isMissingTable(error)) return
      // The table does not answer: what the log says is safe there meanwhile.
      await sleep(this.#clock, pauseMs, this.#stop.signal)
      if (!this.#stop.signal.aborted && !this.#tasks.has(text)) this.#tasks.set(text, task)
    }
  }
}

function rowOfTask(task: RowTask): RowKey {
  return "put" in task ? { service: task.put["service"]?.S ?? "", range: task.put["ip_address"]?.S ?? "" } : task.delete
}

function textOf({ service, range }: RowKey): string {
  return `${service}/${range}`
}
