import { formatHostPort, MeshError, sleep } from "@meshwork/contract"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import { exitCodes } from "../failure.ts"
import { InstanceNews, type News } from "../instance-news.ts"
import { formatOption, type OutputFormat, serverOption } from "../options.ts"
import { printable } from "../table.ts"

interface WatchOptions {
  server: string[]
  format: OutputFormat
}

/** Between two attempts to reach a server, ms. */
const pauseMs = 1000

/** `meshwork service watch`. */
export const serviceWatchCommand: CommandDefinition = command<WatchOptions>({
  path: ["service", "watch"],
  summary: "print every change as it happens, one line each, until Ctrl-C",
  args: { "services...?": "names of services; none = all" },
  options: [serverOption(), formatOption()],
  examples: ["service watch", "service watch payment orders", "service watch payment --format json"],
  async run(context, { server, format }, services) {
    const stop = new AbortController()
    const release = context.onStopSignal(() => stop.abort())
    const print = (news: News): void => void context.stdout.write(`${format === "json" ? JSON.stringify(news) : line(news)}\n`)
    try {
      await follow(context, { servers: server, services, signal: stop.signal, print })
    } finally {
      release()
    }
    return exitCodes.done
  },
})

function line({ at, what, service, id, instance, why }: News): string {
  const where = instance === undefined ? "" : ` ${formatHostPort(instance.host, instance.port)} ${instance.standing}`
  return printable(`${new Date(at).toISOString()} ${what.padEnd(7)} ${service}/${id}${where}: ${why}`)
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
