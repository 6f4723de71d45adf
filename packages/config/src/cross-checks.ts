import type { ConfigDocument } from "./document.ts"
import { type ConfigIssue, formatPath } from "./issue.ts"
import type { Outline, RouteOutline } from "./spellings/spelling.ts"
import { suggest } from "./suggestion.ts"

/** What names and routes of a document contradict each other: errors, and what would merely surprise. */
export function crossCheck(document: ConfigDocument, outline: Outline): { errors: ConfigIssue[]; warnings: ConfigIssue[] } {
  const references = outline.routes.flatMap((route) => checkTarget(document, outline, route))
  const { errors, warnings } = overlaps(document, outline)
  const ports = sharedPorts(document, outline)
  return {
    errors: [...references.filter((issue) => issue.error).map((issue) => issue.issue), ...errors, ...ports.errors],
    warnings: [
      ...references.filter((issue) => !issue.error).map((issue) => issue.issue),
      ...warnings,
      ...ports.warnings,
      ...unusedBackends(document, outline),
    ],
  }
}

/** Two ports of one process are an error; one of discovery and one of the gateway can be equal where they run on different machines. */
function sharedPorts(document: ConfigDocument, { ports }: Outline): { errors: ConfigIssue[]; warnings: ConfigIssue[] } {
  const pairs = ports.flatMap((later, index) => ports.slice(0, index).map((earlier) => ({ earlier, later })))
  const shared = pairs.filter(({ earlier, later }) => earlier.port === later.port)
  const told = shared.map(({ earlier, later }) => {
    const sameProcess = earlier.at[0] === later.at[0]
    const message = `${formatPath(earlier.at)} is ${later.port} too${sameProcess ? "" : ", so both cannot run on one machine"}`
    return { sameProcess, issue: document.issue(later.at, { kind: "shared-port", found: String(later.port), message }) }
  })
  const issues = (sameProcess: boolean) => told.filter((each) => each.sameProcess === sameProcess).map(({ issue }) => issue)
  return { errors: issues(true), warnings: issues(false) }
}

function checkTarget(document: ConfigDocument, outline: Outline, { target }: RouteOutline): { error: boolean; issue: ConfigIssue }[] {
  if (target === undefined || document.failed(target.at)) return []
  const { kind, name, at } = target
  const known = kind === "service" ? outline.services : outline.backends
  if (known.has(name)) return []
  const near = suggest(name, known.keys())
  const question = near === undefined ? "" : `; did you mean ${JSON.stringify(near)}?`
  const found = JSON.stringify(name.slice(0, 80))
  const details = { found, ...(near === undefined ? {} : { accepted: near }) }
  if (kind === "backend") {
    return [
      { error: true, issue: document.issue(at, { kind: "unknown-backend", ...details, message: `the backend ${found} is not defined${question}` }) },
    ]
  }
  const message = outline.asksDiscovery
    ? `the service ${found} is not in this file, so a discovery server must know it${question}`
    : `the service ${found} is not defined, and gateway.discovery names no server that could know it${question}`
  return [{ error: !outline.asksDiscovery, issue: document.issue(at, { kind: "unknown-service", ...details, message }) }]
}

/** Routes that an earlier one leaves nothing to: errors where both say the same, else warnings. The first of equally particular routes wins. */
function overlaps(document: ConfigDocument, { routes, firstRouteWins = false }: Outline): { errors: ConfigIssue[]; warnings: ConfigIssue[] } {
  const taken = new Map<string, RouteOutline>()
  const errors: ConfigIssue[] = []
  const warnings: ConfigIssue[] = []
  for (const route of routes) {
    if (route.match === undefined) continue
    const keys = requestsOf(route.match)
    const earlier = keys.map((key) => taken.get(key))
    for (const key of keys) if (!taken.has(key)) taken.set(key, route)
    const same = earlier.find((other) => other?.match?.match === route.match?.match && other?.match?.path === route.match?.path)
    const shadow = earlier.every((other) => other !== undefined) ? earlier[0] : undefined
    const other = same ?? shadow
    if (other === undefined) continue
    const { line } = document.issue(other.at, { kind: "duplicate-route", message: "" })
    const found = route.match.path
    if (same === undefined || firstRouteWins) {
      const message = `no request gets here: the route in line ${line} matches all of them first`
      warnings.push(document.issue(route.at, { kind: "shadowed-route", found, message }))
    } else {
      const message = `matches the same requests as the route in line ${line}`
      errors.push(document.issue(route.at, { kind: "duplicate-route", found, accepted: "each path once for a host and method", message }))
    }
  }
  return { errors, warnings }
}

/** What a route answers to, as texts that are equal where two equally particular routes meet. */
function requestsOf({ match, path, host = "*", methods = ["*"] }: NonNullable<RouteOutline["match"]>): string[] {
  const paths = match === "exact-or-slash" && path !== "/" ? [path, path.endsWith("/") ? path.slice(0, -1) : `${path}/`] : [path]
  return paths.flatMap((each) => methods.map((method) => JSON.stringify([match === "prefix", each, host, method])))
}

function unusedBackends(document: ConfigDocument, { backends, routes }: Outline): ConfigIssue[] {
  const used = new Set(routes.flatMap(({ target }) => (target?.kind === "backend" ? [target.name] : [])))
  return [...backends]
    .filter(([name]) => !used.has(name))
    .map(([name, at]) => document.issue(at, { kind: "unused-backend", found: name, message: "no route leads to this backend" }, "key"))
}
