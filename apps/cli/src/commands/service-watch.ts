import { formatHostPort, MeshError, serviceNameSchema, sleep } from "@meshwork/contract"
import { checkedName } from "../address.ts"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import type { EtcdServices } from "../etcd/etcd-services.ts"
import type { EtcdChange } from "../etcd/etcd-watch.ts"
import { InstanceNews, type News } from "../instance-news.ts"
import { formatOption, type OutputFormat, VariableOption } from "../options.ts"
import { localServer, openTarget, targetOptions, type TargetOptions } from "../service-target.ts"
import { printable } from "../table.ts"
import { whileRead } from "../until-signal.ts"

interface WatchOptions extends TargetOptions {
  service?: string
  format: OutputFormat
}

/** Between two attempts to reach a server, ms. */
const pauseMs = 1000

/** `meshwork service watch`. */
export const serviceWatchCommand: CommandDefinition = command<WatchOptions>({
  args: { "services...?": "names of services; none = all" },
  options: [
    new VariableOption("--service-type, --service <name>", "the service, where none is named", "MESHWORK_SERVICE", "EMPUSA_SERVICE_TYPE"),
    ...targetOptions(),
    formatOption(),
  ],
  examples: ["service watch", "service watch payment orders", "service watch payment --format json"],
  async run(context, options, args) {
    const names = args.length > 0 || options.service === undefined ? args : [options.service]
    const services = [...new Set(names.map((name) => checkedName("service", serviceNameSchema, name)))]
    const target = await openTarget(context, options)
    // Whoever cannot be reached at all is a fault; whoever goes later is waited for.
    if (target.kind === "server") await target.connection.services()
    const print = (change: News | EtcdChange): void => {
      context.stdout.write(
        `${options.format === "json" ? JSON.stringify(change) : printable("location" in change ? treeLine(change) : line(change))}\n`,
      )
    }
    return whileRead(context, (signal) =>
      target.kind === "etcd"
        ? followTree(context, { services: target.services, types: services, signal, print })
        : follow(context, { servers: options.server ?? [localServer], services, signal, print }),
    )
  },
})

interface FollowingTree {
  services: EtcdServices
  types: readonly string[]
  signal: AbortSignal
  print: (change: EtcdChange) => void
}

async function followTree(context: CliContext, { services, types, signal, print }: FollowingTree): Promise<void> {
  const { watchEtcd } = await import("../etcd/etcd-watch.ts")
  let outage = false
  for await (const step of watchEtcd(services, context.clock, signal)) {
    if (step.kind === "changes") step.changes.filter(({ service }) => types.length === 0 || types.includes(service)).forEach(print)
    else if (step.kind === "connected") {
      if (outage) context.stderr.write(`following ${services.client.names}\n`)
      outage = false
    } else {
      if (!outage) context.stderr.write(`${printable(`lost ${services.client.names}: ${step.problem.message}; trying again`)}\n`)
      outage = true
    }
  }
}

const treeLine = ({ at, what, service, id, location, why }: EtcdChange) =>
  `${new Date(at).toISOString()} ${what.padEnd(7)} ${service}/${id} ${location}: ${why}`

function line({ at, what, service, id, instance, why }: News): string {
  const where = instance === undefined ? "" : ` ${formatHostPort(instance.host, instance.port)} ${instance.standing}`
  return `${new Date(at).toISOString()} ${what.padEnd(7)} ${service}/${id}${where}: ${why}`
}

interface Following {
  servers: readonly string[]
  services: readonly string[]
  signal: AbortSignal
  print: (news: News) => void
}

/** Follows one server, and the next one when it is lost. Rejects where none can be reached at first, and where a server refuses. */
async function follow(context: CliContext, { servers, services, signal, print }: Following): Promise<void> {
  const { watchStream } = await import("@meshwork/client-sdk/discovery")
  const news = new InstanceNews()
  let heard = false
  let lastEventId: string | undefined
  for (let attempt = 0; !signal.aborted; attempt++) {
    const url = servers[attempt % servers.length] ?? ""
    let connected = false
    const named = services.length === 0 ? undefined : services
    try {
      for await (const { id, event } of watchStream({
        url,
        services: named,
        fresh: [],
        lastEventId,
        token: undefined,
        clock: context.clock,
        signal,
      })) {
        if (!connected && heard) context.stderr.write(`following ${url}\n`)
        heard = connected = true
        if (event) for (const each of news.of(event)) print(each)
        if (id !== "") lastEventId = id
      }
      if (!signal.aborted) context.stderr.write(`${url} ended the watch; asking again\n`)
    } catch (error) {
      if (signal.aborted) return
      const { message } = refusal(error, url, !heard && attempt + 1 >= servers.length)
      if (connected || !heard) context.stderr.write(`${printable(`lost ${url}: ${message}; trying again`)}\n`)
    }
    await sleep(context.clock, pauseMs, signal)
  }
}

/** The error in our words; throws it where asking again would not help. */
function refusal(error: unknown, url: string, final: boolean): MeshError {
  const unreachable = "code" in (error as object) && /^(E[A-Z]+|UND_ERR_[A-Z_]+)$/.test(String((error as { code: unknown }).code))
  const known = unreachable
    ? new MeshError("connection_failed", `no discovery server at ${url}: ${String((error as { code: unknown }).code)}`, { cause: error })
    : MeshError.from(error)
  if (final || ["invalid_request", "unauthorized", "not_found", "no_route", "method_not_allowed"].includes(known.code)) {
    throw known.code === "no_route" ? new MeshError("no_route", `${url} is a gateway, not a discovery server`, { cause: known }) : known
  }
  return known
}
