/** A place for one value: the reader gets the newest, however many were put meanwhile. Ends when `signal` aborts. */
export class Latest<T> implements AsyncIterable<T> {
  #value: T | undefined
  #full = false
  #wake: () => void = () => {}
  readonly #signal: AbortSignal

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  put(value: T): void {
    this.#value = value
    this.#full = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    const onAbort = (): void => this.#wake()
    this.#signal.addEventListener("abort", onAbort)
    try {
      while (!this.#signal.aborted) {
        if (this.#full) {
          this.#full = false
          yield this.#value as T
          continue
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    } finally {
      this.#signal.removeEventListener("abort", onAbort)
    }
  }
}
