import { formatHostPort, keyText } from "@meshwork/contract"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import type { EtcdService, EtcdServices } from "../etcd/etcd-services.ts"
import { byKey, writeInstances } from "../instance-table.ts"
import { formatOption, type OutputFormat, VariableOption } from "../options.ts"
import type { ServerConnection } from "../server-connection.ts"
import { openTarget, targetOptions, type TargetOptions } from "../service-target.ts"
import { type Column, formatTable } from "../table.ts"

interface ListOptions extends TargetOptions {
  service?: string
  format: OutputFormat
}

/** Empusa's table. */
const columns: readonly Column<EtcdService>[] = [
  { title: "Service", text: ({ key }) => keyText(key), shrinkTo: 12 },
  { title: "Location", text: ({ location }) => location, shrinkTo: 12 },
  { title: "TTL", text: ({ ttl }) => (ttl === null ? "" : String(ttl)) },
]

/** `meshwork service list`. */
export const serviceListCommand: CommandDefinition = command<ListOptions>({
  options: [
    new VariableOption("--service-type, --service <name>", "only the instances of this service", "MESHWORK_SERVICE", "EMPUSA_SERVICE_TYPE"),
    ...targetOptions(),
    formatOption(),
  ],
  examples: [
    "service list --service orders",
    "service list --server http://10.0.0.5:8008,http://10.0.0.6:8008 --format json",
    "service list --etcd-endpoint 10.0.0.2:2379 --tree-root /mesh",
  ],
  async run(context, options) {
    const target = await openTarget(context, options)
    if (target.kind === "etcd") await listTree(context, target.services, options)
    else await listInstances(context, target.connection, options)
    return undefined
  },
})

async function listInstances(context: CliContext, connection: ServerConnection, { service, format }: ListOptions): Promise<void> {
  const names = service === undefined ? (await connection.services()).toSorted() : [service]
  const instances = (await connection.instances(names)).toSorted(byKey)
  if (format === "json") {
    // As the list from etcd has them, so that a program reads both.
    const listed = instances.map((instance) => ({
      ...instance,
      location: formatHostPort(instance.host, instance.port),
      ttl: instance.ttlSeconds || null,
    }))
    context.stdout.write(`${JSON.stringify(listed, null, 2)}\n`)
  } else if (instances.length > 0) writeInstances(context, instances)
  else context.stderr.write(service === undefined ? "no instances are registered\n" : `the service ${service} has no instances\n`)
}

async function listTree(context: CliContext, services: EtcdServices, { service, format }: ListOptions): Promise<void> {
  const found = await services.list(service)
  if (format === "json") {
    context.stdout.write(`${JSON.stringify(found.map(({ key, location, ttl }) => ({ service: keyText(key), location, ttl })))}\n`)
  } else if (found.length > 0) context.stdout.write(formatTable(columns, found, context.stdout.columns))
  else context.stderr.write(`no services${service === undefined ? "" : ` of type ${service}`} are registered under ${services.tree.root || "/"}\n`)
}
