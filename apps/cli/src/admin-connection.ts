import { fromProblem, MeshError } from "@meshwork/contract"
import { connectionReason } from "./connection-reason.ts"
import type { CliContext } from "./context.ts"
import { type HttpAnswer, httpGet } from "./http-get.ts"
import { withProgress } from "./progress.ts"

const limitMs = 5000
const maxAnswerBytes = 64 * 1024 * 1024

/** Reads from the admin port of a gateway. */
export interface AdminConnection {
  readonly url: string
  /** The JSON at a path. Rejects with one sentence that names the gateway. */
  get(path: string, query?: Readonly<Record<string, string>>): Promise<Record<string, unknown>>
}

/** Talks to the admin port at this URL. */
export function openAdmin(context: CliContext, url: string): AdminConnection {
  return { url, get: (path, query = {}) => withProgress(context, `asking the gateway at ${url}`, () => ask(context, url, path, query)) }
}

async function ask({ clock }: CliContext, url: string, path: string, query: Readonly<Record<string, string>>): Promise<Record<string, unknown>> {
  const stop = new AbortController()
  const timer = clock.timer(limitMs, () =>
    stop.abort(new MeshError("connection_failed", `the gateway at ${url} did not answer within ${limitMs} ms`)),
  )
  try {
    const text = new URLSearchParams(query).toString()
    return read(url, await httpGet(`${url}${path}${text === "" ? "" : `?${text}`}`, { signal: stop.signal, maxBytes: maxAnswerBytes }))
  } catch (error) {
    if (MeshError.is(error)) throw error
    const { code, message } = error as { code?: string; message: string }
    const reason = connectionReason(error, "NODE_EXTRA_CA_CERTS") ?? code ?? message
    throw new MeshError("connection_failed", `no gateway at ${url}: ${reason}`, { cause: error })
  } finally {
    timer.cancel()
  }
}

function read(url: string, { status, headers, text }: HttpAnswer): Record<string, unknown> {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    value = undefined
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw another(url, status)
  if (status >= 400 && "code" in value) throw fromProblem(status, { get: (name) => headers[name] as string | undefined }, value)
  if (status !== 200) throw another(url, status)
  return value as Record<string, unknown>
}

/** What answers is no admin port. */
export function another(url: string, status: number): MeshError {
  return new MeshError("invalid_request", `${url} is not the admin port of a gateway: it answered ${status} with something else`)
}
