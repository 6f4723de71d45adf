import { connect as connectTcp, isIP, type LookupFunction, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import { formatHostPort, type Timer } from "@meshwork/contract"
import { Client, type buildConnector, type Dispatcher } from "undici"
import { connectFailure, errorCode, heardOver, silentFrom } from "../connect-failure.ts"
import { calledOff, type ProbeKind, type ProbeOptions, type ProbeResult, type ProbeTarget } from "../probe.ts"

const maxBodyBytes = 64 * 1024
/** Nobody hears of it: by then the result is known. */
const over = new Error("the probe is over")
/** How an open connection ends without a word; every other error is about what was said over it. */
const lostConnection = new Set(["UND_ERR_SOCKET", "ECONNRESET", "EPIPE", "ETIMEDOUT", "ECONNABORTED", "EHOSTUNREACH", "ENETUNREACH", "ENETDOWN"])

/**
 * One GET over a connection of its own. Any 2xx whose body ends within 64 KiB and the time limit is a success;
 * redirects are not followed.
 */
export const httpProbe: ProbeKind = {
  name: "http",
  suits: () => true,
  probe: (target, options, signal) => new Promise((resolve) => new HttpProbe(target, options, signal, resolve).run()),
}

class HttpProbe implements Dispatcher.DispatchHandler {
  readonly #target: ProbeTarget
  readonly #options: ProbeOptions
  readonly #signal: AbortSignal
  readonly #begin: number
  readonly #path: string
  readonly #limit: Timer
  readonly #abort = (): void => this.#finish(calledOff)
  #resolve: ((result: ProbeResult) => void) | undefined
  #client: Client | undefined
  #socket: Socket | undefined
  /** Ends to wait for the host's name. */
  #takeBack: () => void = () => {}
  /** Whether there is a TCP connection. */
  #reached = false
  /** Whether it can be used: with TLS later than the former. */
  #connected = false
  #network: Pick<ProbeResult, "network"> = {}
  #status = 0
  #bytes = 0

  constructor(target: ProbeTarget, options: ProbeOptions, signal: AbortSignal, resolve: (result: ProbeResult) => void) {
    const { clock } = options
    this.#target = target
    this.#options = options
    this.#signal = signal
    this.#resolve = resolve
    this.#path = target.check.path ?? "/"
    this.#begin = clock.monotonic()
    this.#limit = clock.timer(target.check.timeoutSeconds * 1000, () => this.#expire())
    signal.addEventListener("abort", this.#abort, { once: true })
  }

  run(): void {
    const { scheme, host, port } = this.#target
    try {
      // Time limits are ours: undici's are coarser than the shortest time-out a check may have.
      this.#client = new Client(`${scheme}://${formatHostPort(host, port)}`, {
        connect: (_, callback) => this.#connect(callback),
        headersTimeout: 0,
        bodyTimeout: 0,
        allowH2: false,
      })
      const headers = { "user-agent": this.#options.userAgent, accept: "*/*" }
      this.#client.dispatch({ path: this.#path, method: "GET", headers, reset: true }, this)
    } catch (error) {
      const said = `the probe could not be made: ${error instanceof Error ? error.message : String(error)}`
      this.#finish({ outcome: "fault", reason: said, said })
    }
  }

  #connect(callback: buildConnector.Callback): void {
    const { scheme, host, port, check, service } = this.#target
    const lookup: LookupFunction = (...question) => (this.#takeBack = this.#options.lookup(...question))
    const secure = scheme === "https"
    const { ca, serverName, insecure } = (secure && service !== undefined ? this.#options.tls?.(service) : undefined) ?? {}
    const servername = serverName ?? (isIP(host) ? undefined : host)
    const socket = secure
      ? connectTls({
          host,
          port,
          lookup,
          ALPNProtocols: ["http/1.1"],
          rejectUnauthorized: check.insecure !== true && insecure !== true,
          ...(ca === undefined ? {} : { ca }),
          ...(servername === undefined ? {} : { servername }),
        })
      : connectTcp({ host, port, lookup })
    this.#socket = socket
    let answered = false
    socket.once("connect", () => {
      this.#reached = true
      this.#network = heardOver(socket)
    })
    socket.once(secure ? "secureConnect" : "connect", () => {
      answered = true
      this.#connected = true
      callback(null, socket)
    })
    // Stays attached: undici removes its own listener when it lets go of the socket.
    socket.on("error", (error) => {
      if (answered) return
      answered = true
      callback(error, null)
    })
  }

  onRequestStart(): void {}

  onResponseStart(_: Dispatcher.DispatchController, status: number): void {
    if (status < 200) return
    this.#status = status
    if (status >= 200 && status < 300) return
    const hint = status < 400 ? "; redirects are not followed" : ""
    this.#finish({ outcome: "inactive", reason: `${this.#request} answered ${status} in ${this.#elapsed} ms${hint}`, said: `answered ${status}` })
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes <= maxBodyBytes) return
    const said = `answered ${this.#status} with more than 64 KiB`
    this.#finish({ outcome: "inactive", reason: `${this.#request} ${said}`, said })
  }

  onResponseEnd(): void {
    this.#finish({ outcome: "active", reason: `${this.#request} answered ${this.#status} in ${this.#elapsed} ms` })
  }

  onResponseError(_: Dispatcher.DispatchController | undefined, error: Error): void {
    if (this.#resolve) this.#finish(this.#failure(error))
  }

  get #request(): string {
    const { scheme, host, port } = this.#target
    return `GET ${scheme}://${formatHostPort(host, port)}${this.#path}`
  }

  get #elapsed(): number {
    return Math.round(this.#options.clock.monotonic() - this.#begin)
  }

  #failure(error: Error): ProbeResult {
    const { host, port } = this.#target
    const address = formatHostPort(host, port)
    const code = errorCode(error) ?? ""
    if (this.#connected && !lostConnection.has(code)) {
      const what = code === "UND_ERR_HEADERS_OVERFLOW" ? "with too many headers" : "what is not HTTP"
      const reason = `${this.#request} answered ${what} after ${this.#elapsed} ms (${code || error.message})`
      return { outcome: "inactive", reason, said: `answered ${what}` }
    }
    if (!this.#connected) {
      if (!this.#reached) return connectFailure(this.#target, error, this.#elapsed)
      const said = `no secure connection (${code || error.message})`
      return { outcome: "unreachable", reason: `no secure connection to ${address} after ${this.#elapsed} ms: ${code || error.message}`, said }
    }
    const when = this.#status === 0 ? "before an answer" : `in the middle of a ${this.#status} answer`
    const reason = `${this.#request}: the connection was reset after ${this.#elapsed} ms, ${when}`
    return { outcome: "unreachable", reason, said: `connection reset ${when}` }
  }

  #expire(): void {
    const { host, port, check } = this.#target
    const within = `within ${check.timeoutSeconds} s`
    let reason = `${this.#request} answered ${this.#status} but did not finish ${within}`
    let said = `answered ${this.#status} but did not finish ${within}`
    if (!this.#connected) reason = `${this.#reached ? "TLS handshake with" : "connect to"} ${formatHostPort(host, port)} got no answer ${within}`
    else if (this.#status === 0) reason = `${this.#request} got no answer ${within}`
    if (this.#status === 0) said = `no answer ${within}`
    this.#finish({ outcome: "unreachable", reason, said, timedOut: true, ...(this.#reached ? {} : silentFrom(host)) })
  }

  #finish(result: ProbeResult): void {
    const resolve = this.#resolve
    if (!resolve) return
    this.#resolve = undefined
    this.#limit.cancel()
    this.#takeBack()
    this.#signal.removeEventListener("abort", this.#abort)
    // The client first, and with an error that is there: else undici makes one of its own for every probe, stack, both addresses and all.
    this.#client?.destroy(over, () => {})
    this.#socket?.destroy()
    resolve({ ...this.#network, ...result })
  }
}
