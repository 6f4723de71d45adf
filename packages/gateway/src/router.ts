import { completeRoute, type Route, type RouteSettings } from "./route-settings.ts"

/** Finds the route of a request; the cost does not grow with the number of routes. */
export interface Router {
  readonly routes: readonly Route[]
  /**
   * The route that wins: an exact path before a prefix, a longer prefix before a shorter one; among routes of one path those that
   * name it as it is, then those that name a host, then those that name methods, then the first one written. Path without query,
   * compared byte for byte.
   */
  find(host: string, method: string, path: string): Route | undefined
}

/** Routes of one path: by host, and those for every host. Each list has those that name methods first. */
interface Rivals {
  hosts: Map<string, Route[]> | undefined
  anyHost: Route[]
}

type Table = Map<string, Rivals>

/** Compiles routes once, so that finding one is a few look-ups. */
export function compileRoutes(settings: readonly RouteSettings[]): Router {
  const routes = settings.map(completeRoute)
  const exact: Table = new Map()
  /** Paths with one trailing slash more or less than was written, and those written so that it does not matter. */
  const loose: Table = new Map()
  const prefixes: Table = new Map()
  let longest = 0
  for (const route of routes) {
    // The key of a prefix has no slash at its end, and the root's is empty: a boundary is wherever the path has a slash.
    const bare = route.path.endsWith("/") ? route.path.slice(0, -1) : route.path
    if (route.match === "prefix") {
      longest = Math.max(longest, bare.length)
      add(prefixes, bare, route)
    } else if (route.match === "exact") add(exact, route.path, route)
    else {
      if (bare !== "") add(loose, bare, route)
      add(loose, `${bare}/`, route)
    }
  }
  for (const table of [exact, loose, prefixes]) {
    for (const { hosts, anyHost } of table.values()) for (const rivals of [anyHost, ...(hosts?.values() ?? [])]) rivals.sort(methodsFirst)
  }
  return {
    routes,
    find(host, method, path) {
      const found = choose(exact.get(path), host, method) ?? (loose.size === 0 ? undefined : choose(loose.get(path), host, method))
      if (found !== undefined || prefixes.size === 0) return found
      return findPrefix(prefixes, longest, host, method, path)
    },
  }
}

function findPrefix(prefixes: Table, longest: number, host: string, method: string, path: string): Route | undefined {
  let end = path.length
  // Only boundaries within the longest prefix can match, so a long path costs no more than a short one.
  if (end > longest) end = path[longest] === "/" ? longest : path.lastIndexOf("/", longest)
  while (end >= 0) {
    const found = choose(prefixes.get(end === path.length ? path : path.slice(0, end)), host, method)
    if (found !== undefined) return found
    if (end === 0) return undefined
    end = path.lastIndexOf("/", end - 1)
  }
  return undefined
}

function choose(rivals: Rivals | undefined, host: string, method: string): Route | undefined {
  if (rivals === undefined) return undefined
  const own = rivals.hosts?.get(host)
  return (own && forMethod(own, method)) ?? forMethod(rivals.anyHost, method)
}

/** The first that takes the method. No two routes of a path and host can both be of use for one, so a list has at most as many as there are methods. */
function forMethod(rivals: readonly Route[], method: string): Route | undefined {
  for (const route of rivals) if (route.methods === undefined || route.methods.includes(method)) return route
  return undefined
}

function add(table: Table, key: string, route: Route): void {
  let rivals = table.get(key)
  if (rivals === undefined) table.set(key, (rivals = { hosts: undefined, anyHost: [] }))
  if (route.host === undefined) return void rivals.anyHost.push(route)
  rivals.hosts ??= new Map()
  const own = rivals.hosts.get(route.host)
  if (own === undefined) rivals.hosts.set(route.host, [route])
  else own.push(route)
}

function methodsFirst(a: Route, b: Route): number {
  return Number(a.methods === undefined) - Number(b.methods === undefined)
}
