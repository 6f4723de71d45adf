import type { StorageChange, StorageNews } from "@meshwork/registry-core"

const maxQueued = 20_000

type News = Extract<StorageNews, { revision: number }>

/** What a server has to be told: bounded, since whoever reads too slowly gets everything anew instead. */
export class NewsQueue {
  #news: News[] = []
  #queued = 0
  #reset = false
  #wake: () => void = () => {}

  /** @param changes none: nothing was there after `revision` a moment ago */
  push(revision: number, changes: StorageChange[]): void {
    if (changes.length === 0 && this.#news.at(-1)?.changes.length === 0) this.#news.pop()
    this.#news.push({ revision, changes })
    this.#queued += changes.length
    if (this.#queued > maxQueued) this.reset()
    this.#wake()
  }

  /** Everything has to be told anew. */
  reset(): void {
    this.#news = []
    this.#queued = 0
    this.#reset = true
    this.#wake()
  }

  /** Nothing has to be told any more. */
  clear(): void {
    this.#news = []
    this.#queued = 0
    this.#reset = false
  }

  /** What came since, or undefined. `reset`: the caller reads the present state, which what is queued led to. */
  take(): News | "reset" | undefined {
    if (this.#reset) {
      this.clear()
      return "reset"
    }
    const next = this.#news.shift()
    this.#queued -= next?.changes.length ?? 0
    return next
  }

  /** Resolves when there may be something to take, or the signal aborts. */
  next(signal: AbortSignal): Promise<void> {
    if (this.#reset || this.#news.length > 0 || signal.aborted) return Promise.resolve()
    return new Promise((resolve) => {
      const done = () => {
        signal.removeEventListener("abort", done)
        this.#wake = () => {}
        resolve()
      }
      this.#wake = done
      signal.addEventListener("abort", done)
    })
  }
}
