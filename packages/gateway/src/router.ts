import type { RouteSettings } from "./settings.ts"

/** Finds the route of a request; its cost does not grow with the number of routes. */
export interface Router<R extends RouteSettings> {
  /**
   * The route for a request: an exact path first, then the longest prefix that ends at a segment; among routes of one path those that name a host,
   * then those that name methods, then the first. `path` is without query, `host` lower-case and without port.
   */
  match(method: string, host: string, path: string): R | undefined
}

interface Entry<R> {
  readonly route: R
  readonly host: string | undefined
  readonly methods: ReadonlySet<string> | undefined
}

class PrefixNode<R> {
  readonly children: Map<string, PrefixNode<R>> = new Map()
  readonly entries: Entry<R>[] = []
  readonly parent: PrefixNode<R> | undefined

  constructor(parent?: PrefixNode<R>) {
    this.parent = parent
  }
}

class CompiledRouter<R extends RouteSettings> implements Router<R> {
  readonly #exact = new Map<string, Entry<R>[]>()
  readonly #prefixes = new PrefixNode<R>()

  constructor(routes: readonly R[]) {
    for (const route of routes) {
      const host = route.host?.toLowerCase()
      const entry: Entry<R> = { route, host, methods: route.methods === undefined ? undefined : new Set(route.methods) }
      if (route.match === "prefix") this.#prefixNode(route.path).entries.push(entry)
      else for (const path of exactPaths(route)) this.#exactEntries(path).push(entry)
    }
    for (const entries of this.#exact.values()) sortEntries(entries)
    sortTree(this.#prefixes)
  }

  match(method: string, host: string, path: string): R | undefined {
    const exact = this.#exact.get(path)
    if (exact !== undefined) {
      const route = choose(exact, method, host)
      if (route !== undefined) return route
    }
    let node: PrefixNode<R> | undefined = this.#deepest(path)
    while (node !== undefined) {
      const route = choose(node.entries, method, host)
      if (route !== undefined) return route
      node = node.parent
    }
    return undefined
  }

  #deepest(path: string): PrefixNode<R> {
    let node = this.#prefixes
    let start = 1
    while (node.children.size > 0 && start <= path.length) {
      const slash = path.indexOf("/", start)
      const end = slash === -1 ? path.length : slash
      const child = node.children.get(path.slice(start, end))
      if (child === undefined) break
      node = child
      start = end + 1
    }
    return node
  }

  #exactEntries(path: string): Entry<R>[] {
    const entries = this.#exact.get(path) ?? []
    this.#exact.set(path, entries)
    return entries
  }

  #prefixNode(prefix: string): PrefixNode<R> {
    let node = this.#prefixes
    const path = prefix.endsWith("/") ? prefix.slice(0, -1) : prefix
    if (path === "") return node
    for (const segment of path.slice(1).split("/")) {
      const child = node.children.get(segment) ?? new PrefixNode<R>(node)
      node.children.set(segment, child)
      node = child
    }
    return node
  }
}

function exactPaths({ match, path }: RouteSettings): string[] {
  if (match === "exact") return [path]
  const bare = path.length > 1 && path.endsWith("/") ? path.slice(0, -1) : path
  return bare === "/" ? ["/"] : [bare, `${bare}/`]
}

function choose<R>(entries: readonly Entry<R>[], method: string, host: string): R | undefined {
  for (const entry of entries) {
    if (entry.host !== undefined && entry.host !== host) continue
    if (entry.methods !== undefined && !entry.methods.has(method)) continue
    return entry.route
  }
  return undefined
}

function sortEntries<R>(entries: Entry<R>[]): void {
  entries.sort((a, b) => precision(b) - precision(a))
}

function precision(entry: Entry<unknown>): number {
  return (entry.host === undefined ? 0 : 2) + (entry.methods === undefined ? 0 : 1)
}

function sortTree<R>(node: PrefixNode<R>): void {
  sortEntries(node.entries)
  for (const child of node.children.values()) sortTree(child)
}

/** Compiles routes into a router. Two routes with the same path, host and methods: the first wins. */
export function compileRoutes<R extends RouteSettings>(routes: readonly R[]): Router<R> {
  return new CompiledRouter(routes)
}
