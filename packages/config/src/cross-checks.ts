import type { ConfigDocument } from "./document.ts"
import type { ConfigIssue } from "./issue.ts"
import type { Outline, RouteOutline } from "./spellings/spelling.ts"
import { suggest } from "./suggestion.ts"

/** What names and routes of a document contradict each other: errors, and what would merely surprise. */
export function crossCheck(document: ConfigDocument, outline: Outline): { errors: ConfigIssue[]; warnings: ConfigIssue[] } {
  const references = outline.routes.flatMap((route) => checkTarget(document, outline, route))
  return {
    errors: [...references.filter((issue) => issue.error).map((issue) => issue.issue), ...duplicateRoutes(document, outline.routes)],
    warnings: [...references.filter((issue) => !issue.error).map((issue) => issue.issue), ...unusedBackends(document, outline)],
  }
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

function duplicateRoutes(document: ConfigDocument, routes: readonly RouteOutline[]): ConfigIssue[] {
  const first = new Map<string, RouteOutline>()
  return routes.flatMap((route) => {
    if (route.match === undefined) return []
    const { match, path, host = "*", methods = ["*"] } = route.match
    const keys = methods.map((method) => JSON.stringify([match, path, host, method]))
    const earlier = keys.map((key) => first.get(key)).find((found) => found !== undefined)
    for (const key of keys) if (!first.has(key)) first.set(key, route)
    if (earlier === undefined) return []
    const { line } = document.issue(earlier.at, { kind: "duplicate-route", message: "" })
    const message = `matches the same requests as the route in line ${line}`
    return [document.issue(route.at, { kind: "duplicate-route", found: path, accepted: "each path once for a host and method", message })]
  })
}

function unusedBackends(document: ConfigDocument, { backends, routes }: Outline): ConfigIssue[] {
  const used = new Set(routes.flatMap(({ target }) => (target?.kind === "backend" ? [target.name] : [])))
  return [...backends]
    .filter(([name]) => !used.has(name))
    .map(([name, at]) => document.issue(at, { kind: "unused-backend", found: name, message: "no route leads to this backend" }, "key"))
}
