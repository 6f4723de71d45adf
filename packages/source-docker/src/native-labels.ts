import { checkSchema, type Check, type InstancePriority, prioritySchema, serviceNameSchema, weightSchema } from "@meshwork/contract"
import type { Warning } from "./warning.ts"

const prefix = "meshwork."
const names = ["service", "port", "path_prefix", "weight", "priority", "check_path"] as const
type Name = (typeof names)[number]

/** How an instance with `meshwork.check_path` is probed: often enough, and often enough again, that one that is just starting is not left out for long. */
const check = { frequencySeconds: 2, timeoutSeconds: 2, retries: 2, retryDelaySeconds: 0.5 }

/** What a container says of itself in labels. What is malformed is left out, with a warning. */
export interface NativeLabels {
  service?: string
  /** Port inside of the container. */
  port?: number
  /** Without a slash at its end, unless it is the root. */
  pathPrefix?: string
  weight?: number
  priority?: InstancePriority
  check?: Check
}

/** Reads the labels `meshwork.service`, `.port`, `.path_prefix`, `.weight`, `.priority` and `.check_path`. Never throws. */
export function readNativeLabels(labels: Readonly<Record<string, string>>): { native: NativeLabels; warnings: Warning[] } {
  const warnings: Warning[] = []
  const native: NativeLabels = {}
  for (const [label, text] of Object.entries(labels)) {
    if (!label.startsWith(prefix)) continue
    const name = label.slice(prefix.length)
    if (!isName(name)) {
      warnings.push({
        kind: "unknown-label",
        message: `the label ${shown(label)} is not known; known are ${names.map((each) => prefix + each).join(", ")}`,
      })
      continue
    }
    const { accepted, read } = readers[name]
    const value = read(text.trim())
    if (value === undefined) {
      warnings.push({ kind: "malformed-label", message: `the label ${label} is ${shown(text)}, which is not used; accepted is ${accepted}` })
    } else Object.assign(native, value)
  }
  if (native.service === undefined && native.pathPrefix !== undefined) {
    warnings.push({ kind: "route-without-service", message: "the label meshwork.path_prefix makes a route only together with meshwork.service" })
  }
  return { native, warnings }
}

const readers: Readonly<Record<Name, { accepted: string; read: (text: string) => NativeLabels | undefined }>> = {
  service: {
    accepted: "1 to 128 printable ASCII characters without '/'",
    read: (text) => {
      const service = serviceNameSchema.safeParse(text).data
      return service === undefined ? undefined : { service }
    },
  },
  port: { accepted: "a port from 1 to 65535", read: (text) => within(text, 1, 65_535, (port) => ({ port })) },
  path_prefix: {
    accepted: "a path that begins with '/', without query, blanks, '.' and '..' segments",
    read: (text) => (isRequestPath(text) ? { pathPrefix: text.replace(/\/+$/, "") || "/" } : undefined),
  },
  weight: {
    accepted: "a number from 1 to 100",
    read: (text) => within(text, 1, 100, (number) => ({ weight: weightSchema.parse(number) })),
  },
  priority: {
    accepted: "high, med or low",
    read: (text) => {
      const priority = prioritySchema.safeParse(text).data
      return priority === undefined ? undefined : { priority }
    },
  },
  check_path: {
    accepted: "a path that begins with '/' and holds no blanks",
    read: (path) => {
      const whole = checkSchema.safeParse({ ...check, method: "http", path }).data
      return whole === undefined ? undefined : { check: whole }
    },
  },
}

function isRequestPath(text: string): boolean {
  if (text.length > 2048 || !/^\/[\x21-\x22\x24-\x3e\x40-\x5b\x5d-\x7e]*$/.test(text)) return false
  return !text.split(/\/|%2f|%5c/i).some((segment) => /^(?:\.|%2e){1,2}$/i.test(segment))
}

function isName(name: string): name is Name {
  return (names as readonly string[]).includes(name)
}

function within(text: string, least: number, most: number, use: (number: number) => NativeLabels): NativeLabels | undefined {
  const number = Number(text)
  return /^\d{1,5}$/.test(text) && number >= least && number <= most ? use(number) : undefined
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text)
}
