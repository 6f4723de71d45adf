import type { Instance, InstanceKey, Standing } from "@meshwork/contract"
import { formatHostPort } from "@meshwork/contract"
import { command, type CommandDefinition } from "../command.ts"
import { formatOption, type OutputFormat, serverOption, textOption } from "../options.ts"
import { openServer } from "../server-connection.ts"
import { type Column, formatTable } from "../table.ts"

interface ListOptions {
  server: string[]
  service?: string
  format: OutputFormat
}

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

/** `meshwork service list`. */
export const serviceListCommand: CommandDefinition = command<ListOptions>({
  path: ["service", "list"],
  summary: "list instances and how they stand",
  options: [textOption("--service-type, --service <name>", "MESHWORK_SERVICE", "only the instances of this service"), serverOption(), formatOption()],
  async run(context, { server, service, format }) {
    const connection = await openServer(server)
    const names = service === undefined ? (await connection.services()).toSorted() : [service]
    const instances = (await connection.instances(names)).toSorted(byKey)
    if (format === "json") context.stdout.write(`${JSON.stringify(instances, null, 2)}\n`)
    else if (instances.length > 0) {
      const table = formatTable(columns, instances, context.stdout.columns)
      context.stdout.write(context.colour ? paint(table) : table)
    } else context.stderr.write(service === undefined ? "no instances are registered\n" : `the service ${service} has no instances\n`)
    return undefined
  },
})

const byKey = (a: InstanceKey, b: InstanceKey) => compare(a.service, b.service) || compare(a.id, b.id)
const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

function paint(table: string): string {
  const at = table.indexOf("STANDING")
  const line = (text: string) => {
    const standing = /^[a-z]+/.exec(text.slice(at))?.[0] ?? ""
    const colour = Object.hasOwn(colours, standing) ? colours[standing as Standing] : undefined
    return colour === undefined ? text : `${text.slice(0, at)}\u001b[${colour}m${standing}\u001b[39m${text.slice(at + standing.length)}`
  }
  return table.split("\n").map(line).join("\n")
}
