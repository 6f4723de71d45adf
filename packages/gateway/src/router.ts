import { completeRoute, type Route, type RouteSettings } from "./route-settings.ts"

/** Finds the route of a request; the cost does not grow with the number of routes. */
export interface Router {
  readonly routes: readonly Route[]
  /**
   * The route that wins: an exact path before a prefix, a longer prefix before a shorter one; among routes of one path those that
   * name a host, then those that name methods, then the first one written. Path without query, compared byte for byte.
   */
  find(host: string, method: string, path: string): Route | undefined
}

/** Compiles routes once, so that finding one is a few look-ups. */
export function compileRoutes(settings: readonly RouteSettings[]): Router {
  const routes = settings.map(completeRoute)
  const exact = new Map<string, Route[]>()
  const prefixes = new Map<string, Route[]>()
  let longest = 0
  for (const route of routes) {
    if (route.match === "prefix") {
      // The key of a prefix has no slash at its end, and the root's is empty: a boundary is wherever the path has a slash.
      const key = route.path.endsWith("/") ? route.path.slice(0, -1) : route.path
      longest = Math.max(longest, key.length)
      add(prefixes, key, route)
    } else {
      add(exact, route.path, route)
      if (route.match === "exact-or-slash") add(exact, route.path.endsWith("/") ? route.path.slice(0, -1) : `${route.path}/`, route)
    }
  }
  for (const rivals of [...exact.values(), ...prefixes.values()]) rivals.sort(narrowerFirst)
  return {
    routes,
    find(host, method, path) {
      const rivals = exact.get(path)
      const found = rivals && choose(rivals, host, method)
      if (found || prefixes.size === 0) return found
      return findPrefix(prefixes, longest, host, method, path)
    },
  }
}

function findPrefix(prefixes: ReadonlyMap<string, Route[]>, longest: number, host: string, method: string, path: string): Route | undefined {
  let end = path.length
  // Only boundaries within the longest prefix can match, so a long path costs no more than a short one.
  if (end > longest) end = path[longest] === "/" ? longest : path.lastIndexOf("/", longest)
  while (end >= 0) {
    const rivals = prefixes.get(end === path.length ? path : path.slice(0, end))
    const found = rivals && choose(rivals, host, method)
    if (found) return found
    if (end === 0) return undefined
    end = path.lastIndexOf("/", end - 1)
  }
  return undefined
}

function choose(rivals: readonly Route[], host: string, method: string): Route | undefined {
  for (const route of rivals) {
    if (route.host !== undefined && route.host !== host) continue
    if (route.methods !== undefined && !route.methods.includes(method)) continue
    return route
  }
  return undefined
}

function add(map: Map<string, Route[]>, key: string, route: Route): void {
  const rivals = map.get(key)
  if (rivals) rivals.push(route)
  else map.set(key, [route])
}

function narrowerFirst(a: Route, b: Route): number {
  return narrowness(b) - narrowness(a)
}

function narrowness(route: Route): number {
  return (route.match === "exact" ? 4 : 0) + (route.host === undefined ? 0 : 2) + (route.methods === undefined ? 0 : 1)
}
