import { MeshError } from "@meshwork/contract"

export type QueryValue = string | number | boolean | null | undefined | readonly (string | number | boolean)[]

export interface TargetOptions {
  params?: Readonly<Record<string, string | number>>
  query?: Readonly<Record<string, QueryValue>>
}

const absolute = /^[a-z][a-z0-9+.-]*:|^[/\\]{2}/i
const dots = /(?:^|\/)\.{1,2}(?:[/?#]|$)/
/** What parsing as a URL would not change. */
const plain = /^(?:\/[\w~-][\w~.-]*)+\/?$/

/** Path and query of a call: `{name}` filled in percent-encoded, joined to the base path by RFC 3986. `invalid_request` for an absolute one. */
export function requestTarget(base: string, path: string, options: TargetOptions): string {
  if (absolute.test(path)) throw new MeshError("invalid_request", `a path is relative to its service, found ${path}`)
  const filled = path.replace(/\{([^{}]+)\}/g, (_, name: string) => {
    const value = options.params?.[name]
    if (value === undefined) throw new MeshError("invalid_request", `the path ${path} needs the parameter ${name}`)
    return encodeURIComponent(value)
  })
  // Encoding leaves dots as they are: as a whole segment they would lead out of the path.
  if (dots.test(filled) && !dots.test(path)) throw new MeshError("invalid_request", `a parameter of ${path} makes it ${filled}`)
  if (options.query === undefined && plain.test(filled)) return filled
  if (!URL.canParse(filled, base)) throw new MeshError("invalid_request", `the path ${path} cannot be read`)
  const url = new URL(filled, base)
  for (const [name, value] of Object.entries(options.query ?? {})) {
    if (value === undefined || value === null) continue
    if (typeof value === "object") for (const item of value) url.searchParams.append(name, String(item))
    else url.searchParams.append(name, String(value))
  }
  return url.pathname + url.search
}
