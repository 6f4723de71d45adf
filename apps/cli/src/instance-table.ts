import { formatHostPort, type Instance, type InstanceKey, type Standing } from "@meshwork/contract"
import type { CliContext } from "./context.ts"
import { type Column, formatTable } from "./table.ts"

const colours: Readonly<Record<Standing, string>> = { serving: "32", suspect: "33", draining: "33", out: "31" }

const columns: readonly Column<Instance>[] = [
  { title: "SERVICE", text: (instance) => instance.service, shrinkTo: 12 },
  { title: "INSTANCE", text: (instance) => instance.id, shrinkTo: 12 },
  { title: "ADDRESS", text: (instance) => formatHostPort(instance.host, instance.port), shrinkTo: 12 },
  { title: "STANDING", text: (instance) => instance.standing },
  { title: "HEALTH", text: (instance) => instance.health.status },
  { title: "WEIGHT", text: (instance) => String(instance.weight ?? 1) },
  { title: "WHY", text: (instance) => instance.why, shrinkTo: 8 },
]

/** Writes instances as a table that fits the terminal. */
export function writeInstances(context: CliContext, instances: readonly Instance[]): void {
  const table = formatTable(columns, instances, context.stdout.columns)
  context.stdout.write(context.colour ? paint(table) : table)
}

/** Order by service, then by id, byte by byte. */
export function byKey(a: InstanceKey, b: InstanceKey): number {
  return compare(a.service, b.service) || compare(a.id, b.id)
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

function paint(table: string): string {
  const at = table.split("\n", 1)[0]?.indexOf("STANDING") ?? -1
  if (at === -1) return table
  const line = (text: string) => {
    const standing = /^[a-z]+/.exec(text.slice(at))?.[0] ?? ""
    const colour = Object.hasOwn(colours, standing) ? colours[standing as Standing] : undefined
    return colour === undefined ? text : `${text.slice(0, at)}\u001b[${colour}m${standing}\u001b[39m${text.slice(at + standing.length)}`
  }
  return table.split("\n").map(line).join("\n")
}
