import type { Clock, Random } from "@meshwork/contract"
import type { RetryBudget } from "../budget/retry-budget.ts"
import type { Deadline } from "../deadline.ts"
import type { RequestPriority } from "../priority.ts"
import type { Strategy, StrategyByMethod } from "../strategies/strategy.ts"
import type { Verdict } from "./classify.ts"
import type { ClientObserver } from "./observer.ts"
import type { QueryValue } from "./request-target.ts"
import type { Transport } from "./transport.ts"

/** What all calls of a client have in common. */
export interface ClientOptions {
  /** Default: `sequential({ attempts: 3 })` for GET, HEAD and OPTIONS, `single()` for the others. */
  strategy?: Strategy | StrategyByMethod
  /** Limit of a call that names no deadline, ms. Default 20,000. */
  timeoutMs?: number
  /** Default normal. */
  priority?: RequestPriority
  /** The caller's name, sent as `X-Service-Name`. */
  serviceName?: string
  /** Send and read `X-Request-Timeout` and `X-Request-Priority`. Default true. */
  emitSystemHeaders?: boolean
  /** Less than this left, ms: nothing is sent. Default 5. */
  lowTimeoutMs?: number
  /** Limit until there is a connection, ms. Default 1,000. */
  connectTimeoutMs?: number
  /** Connections tried per call before giving up, each on another instance. Default 3. */
  connectionAttempts?: number
  /** Limit between two chunks of a body, ms. Default 60,000. */
  idleTimeoutMs?: number
  /** What retries and hedges are paid from. Default: a `retryBudget()` of this client's own; false: they are not limited. */
  retryBudget?: RetryBudget | false
  /** Redirects followed per attempt; 0: none, the answer is the redirect itself. More end in `too_many_redirects`. Default 10. */
  maxRedirects?: number
  /** Statuses that are judged otherwise than usual. */
  verdictForStatus?: Readonly<Record<number, Verdict>>
  headers?: Readonly<Record<string, string>>
  /** Hears what calls do, for metrics. */
  observer?: ClientObserver
  clock?: Clock
  random?: Random
  /** Sends the requests; not closed with the client. Default: connections of the client's own. */
  transport?: Transport
}

/** What one call says. */
export interface CallOptions {
  /** Limits the call together with `timeoutMs` and the deadline of the request being handled: the earliest counts. */
  deadline?: Deadline
  /** Default: the client's, unless there is a deadline. */
  timeoutMs?: number
  strategy?: Strategy | StrategyByMethod
  priority?: RequestPriority
  /** Values of `{name}` in the path. */
  params?: Readonly<Record<string, string | number>>
  /** undefined and null are left out, arrays repeat the key. */
  query?: Readonly<Record<string, QueryValue>>
  headers?: Readonly<Record<string, string>>
  /** Sent as JSON. */
  json?: unknown
  /** Sent as it is. */
  body?: Uint8Array | string
  /** Whether sending twice does no harm; makes POST, PUT, DELETE and PATCH retryable. */
  idempotent?: boolean
  signal?: AbortSignal
  maxRedirects?: number
  verdictForStatus?: Readonly<Record<number, Verdict>>
}
