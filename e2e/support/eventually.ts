/** Polls `attempt` until it stops throwing, or fails with its last error after `ms`. */
export async function eventually<T>(what: string, ms: number, attempt: () => T | Promise<T>): Promise<T> {
  const limit = performance.now() + ms
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > limit) throw new Error(`${what}: not within ${ms} ms`, { cause: error })
      await new Promise((resolve) => setTimeout(resolve, 25))
    }
  }
}
