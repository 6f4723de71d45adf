/** A place for one value: the reader gets the newest, however many were put meanwhile. Ends when `signal` aborts. */
export class Newest<T> {
  readonly #signal: AbortSignal
  #values: T[] = []
  #wake: () => void = () => {}

  constructor(signal: AbortSignal) {
    this.#signal = signal
  }

  put(value: T): void {
    this.#values = [value]
    this.#wake()
  }

  async *read(): AsyncGenerator<T> {
    const wake = (): void => this.#wake()
    this.#signal.addEventListener("abort", wake)
    try {
      while (!this.#signal.aborted) {
        const [value] = this.#values.splice(0)
        if (value !== undefined) yield value
        else await new Promise<void>((resolve) => (this.#wake = resolve))
      }
    } finally {
      this.#signal.removeEventListener("abort", wake)
    }
  }
}
