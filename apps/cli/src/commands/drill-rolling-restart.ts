import { type Clock, type Instance, MeshError, sleep } from "@meshwork/contract"
import { command, type CommandDefinition } from "../command.ts"
import type { CliContext } from "../context.ts"
import { type InstanceProcess, startInstance } from "../drill/instance-process.ts"
import { type LoadResult, startLoad, type SteadyLoad } from "../drill/steady-load.ts"
import { exitCodes } from "../failure.ts"
import { formatOption, type OutputFormat, serverOption, textOption, VariableOption, wholeNumber } from "../options.ts"
import { withProgress } from "../progress.ts"
import { openServer, type ServerConnection } from "../server-connection.ts"
import { printable } from "../table.ts"

interface DrillOptions {
  service?: string
  url?: string
  server: string[]
  instances: number
  connections: number
  rate: number
  patience: number
  format: OutputFormat
}

/** What a drill found out. */
interface DrillResult extends LoadResult {
  service: string
  url: string
  restarted: number
  seconds: number
}

const lookEveryMs = 50
const goneMs = 20_000
const answerMs = 5000

/** `meshwork drill rolling-restart`. */
export const drillRollingRestartCommand: CommandDefinition = command<DrillOptions>({
  args: { "command...": "what starts one instance of the service, which must register itself and choose a port of its own" },
  options: [
    textOption("--service <name>", "MESHWORK_SERVICE", "name under which the command registers"),
    textOption("--url <url>", "MESHWORK_URL", "what is asked for all the while, through the gateway"),
    new VariableOption("--instances <count>", "how many run", "MESHWORK_INSTANCES").default(2).argParser(wholeNumber(1, 100)),
    new VariableOption("--connections <count>", "how many send", "MESHWORK_CONNECTIONS").default(8).argParser(wholeNumber(1, 256)),
    new VariableOption("--rate <count>", "requests per second in all", "MESHWORK_RATE").default(200).argParser(wholeNumber(1, 20_000)),
    new VariableOption("--patience <seconds>", "until an instance has to serve", "MESHWORK_PATIENCE").default(30).argParser(wholeNumber(1, 600)),
    serverOption(),
    formatOption(),
  ],
  examples: ["drill rolling-restart --service orders --url http://127.0.0.1:8080/api/orders/7 -- node dist/orders.js"],
  async run(context, options, words) {
    const { service, url } = options
    if (service === undefined || url === undefined) throw new MeshError("invalid_config", "a drill needs --service and --url")
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol))
      throw new MeshError("invalid_config", `--url takes an http or https URL, found ${url}`)
    const stop = new AbortController()
    const release = context.onStopSignal(() => stop.abort())
    const drill = new Drill(context, { ...options, service, url, command: words }, await openServer(context, options.server), stop.signal)
    try {
      const result = await drill.run()
      context.stdout.write(options.format === "json" ? `${JSON.stringify(result, null, 2)}\n` : sentences(result))
      return result.failures === 0 ? exitCodes.done : exitCodes.failed
    } finally {
      await drill.end()
      release()
    }
  },
})

class Drill {
  readonly #context: CliContext
  readonly #clock: Clock
  readonly #options: DrillOptions & { service: string; url: string; command: readonly string[] }
  readonly #server: ServerConnection
  readonly #signal: AbortSignal
  readonly #running: InstanceProcess[] = []
  #load: SteadyLoad | undefined

  constructor(
    context: CliContext,
    options: DrillOptions & { service: string; url: string; command: readonly string[] },
    server: ServerConnection,
    signal: AbortSignal,
  ) {
    this.#context = context
    this.#clock = context.clock
    this.#options = options
    this.#server = server
    this.#signal = signal
  }

  async run(): Promise<DrillResult> {
    const { service, url, instances, connections, rate } = this.#options
    const begin = this.#clock.monotonic()
    const before = await this.#serving()
    for (let count = 1; count <= instances; count++) await this.#start(before + count)
    this.#say(`${instances} instances serve; sending up to ${rate} requests/s to ${url}`)
    await withProgress(this.#context, `waiting until ${url} answers`, () => this.#answers(url))
    this.#load = startLoad({ url, connections, perSecond: rate, clock: this.#clock })
    await this.#pause(1000)
    for (let count = 1; count <= instances; count++) {
      await this.#start(before + instances + 1)
      await withProgress(this.#context, "waiting until the oldest instance has ended", () => this.#retire())
      this.#say(`${count} of ${instances} restarted: ${this.#load.requests} requests, ${this.#load.failures} failed`)
    }
    await this.#pause(1000)
    const result = await this.#load.stop()
    return { service, url, restarted: instances, seconds: Math.round((this.#clock.monotonic() - begin) / 100) / 10, ...result }
  }

  /** Ends whatever still runs. */
  async end(): Promise<void> {
    await this.#load?.stop()
    for (const instance of this.#running) instance.kill("SIGTERM")
    await Promise.all(this.#running.map((instance) => this.#gone(instance)))
  }

  async #start(serving: number): Promise<void> {
    const instance = await startInstance(this.#options.command)
    this.#running.push(instance)
    let exit: number | string | undefined
    void instance.ended.then((code) => (exit = code))
    const until = this.#clock.monotonic() + this.#options.patience * 1000
    const wait = async () => {
      for (let now = await this.#serving(); now < serving; now = await this.#serving()) {
        if (exit !== undefined) throw new MeshError("internal", `the command ended with ${exit} before it served${saying(instance)}`)
        if (this.#clock.monotonic() > until) {
          const seen = `${now} instead of ${serving} instances of ${this.#options.service} serve`
          throw new MeshError("internal", `${seen} after ${this.#options.patience} s${saying(instance)}`)
        }
        await this.#pause(lookEveryMs)
      }
    }
    await withProgress(this.#context, `waiting until ${serving} instances of ${this.#options.service} serve`, wait)
  }

  /** Takes the instance out that has run longest, as a deploy does. */
  async #retire(): Promise<void> {
    const oldest = this.#running.shift()
    if (oldest === undefined) return
    oldest.kill("SIGTERM")
    const code = await this.#gone(oldest)
    if (code !== 0) this.#say(`an instance that was asked to stop ended with ${code}`)
  }

  async #gone(instance: InstanceProcess): Promise<number | string> {
    const timer = this.#clock.timer(goneMs, () => instance.kill("SIGKILL"))
    const code = await instance.ended
    timer.cancel()
    return code
  }

  async #serving(): Promise<number> {
    const instances = await this.#server.instances([this.#options.service])
    return instances.filter((instance: Instance) => instance.standing === "serving").length
  }

  /** Waits until the gateway knows the instances too. */
  async #answers(url: string): Promise<void> {
    const until = this.#clock.monotonic() + this.#options.patience * 1000
    for (;;) {
      const late = new AbortController()
      const timer = this.#clock.timer(answerMs, () => late.abort())
      const problem = await fetch(url, { signal: late.signal }).then(
        async (response) => {
          await response.arrayBuffer()
          return response.status < 400 ? undefined : `answered ${response.status}`
        },
        (error: unknown) => (error as { cause?: { code?: string } }).cause?.code ?? String(error),
      )
      timer.cancel()
      if (problem === undefined) return
      if (this.#clock.monotonic() > until) throw new MeshError("connection_failed", `${url}: ${problem}`)
      await this.#pause(lookEveryMs)
    }
  }

  async #pause(ms: number): Promise<void> {
    await sleep(this.#clock, ms, this.#signal)
    if (this.#signal.aborted) throw new MeshError("aborted", "the drill was broken off")
  }

  #say(text: string): void {
    this.#context.stderr.write(`${printable(text)}\n`)
  }
}

function saying(instance: InstanceProcess): string {
  const said = instance.said().trimEnd()
  return said === "" ? ", and the command said nothing" : `:\n${said}`
}

function sentences({ restarted, service, seconds, requests, failures, failed, medianMs, p99Ms, slowestMs }: DrillResult): string {
  const lines = [
    `${restarted} instances of ${service} restarted in ${seconds} s`,
    `requests  ${requests}`,
    `failures  ${failures}`,
    `median    ${medianMs} ms`,
    `p99       ${p99Ms} ms`,
    `slowest   ${slowestMs} ms`,
    ...failed.map((failure) => `failed: ${failure}`),
  ]
  return lines.map((line) => `${printable(line)}\n`).join("")
}
