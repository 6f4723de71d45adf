/** Remembers which methods each path takes, for the answer to a wrong one. */
export class AllowedMethods {
  readonly #paths = new Map<string, { segments: string[]; methods: Set<string> }>()

  /** Adds a route by its pattern, such as `/v1/services/:service`. */
  add(pattern: string, methods: string | readonly string[]): void {
    const entry = this.#paths.get(pattern) ?? { segments: pattern.split("/"), methods: new Set<string>() }
    for (const method of typeof methods === "string" ? [methods] : methods) entry.methods.add(method)
    this.#paths.set(pattern, entry)
  }

  /** Methods that the path of a request target takes, sorted; empty when there is no such path. */
  of(target: string): string[] {
    const segments = (target.split(/[?#]/, 1)[0] ?? "").split("/")
    const found = new Set<string>()
    for (const { segments: pattern, methods } of this.#paths.values()) {
      if (
        pattern.length === segments.length &&
        pattern.every((part, index) => (part.startsWith(":") ? segments[index] !== "" : part === segments[index]))
      )
        for (const method of methods) found.add(method)
    }
    return [...found].sort()
  }
}
