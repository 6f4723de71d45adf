import type { RegistrationInput } from "@meshwork/contract"

/** What of a server the SDK needs to take it out of service; `node:http` and `node:https` servers have it. */
export interface StoppableServer {
  close(callback?: (error?: Error) => void): unknown
  closeIdleConnections?(): void
  closeAllConnections?(): void
  prependListener?(event: "request", listener: (request: unknown, response: { shouldKeepAlive: boolean }) => void): unknown
}

export interface RegisterOptions extends Omit<RegistrationInput, "boot"> {
  service: string
  /** Default `host:port`. */
  id?: string
  /** Drain and deregister when the process is asked to stop, then end it. Default true. */
  signals?: boolean
  /** The server to close while draining: it stops accepting and finishes what is in flight. */
  server?: StoppableServer
  /** How long the instance goes on accepting after it said that it drains, ms. Default 1,000. */
  drainDelayMs?: number
  /** How long requests in flight may take at most, ms. Default 8,000. */
  graceMs?: number
  /** How long `register` waits for a registry that does not answer, ms. Default 5,000. */
  startTimeoutMs?: number
}

export type RegistrationState = "registered" | "retrying" | "draining" | "closed"

/** An instance this process keeps registered. */
export interface MeshRegistration {
  readonly service: string
  readonly id: string
  readonly state: RegistrationState
  /** Tells the mesh to send nothing new. What is in flight goes on. */
  drain(): Promise<void>
  /** Takes the instance out: drains, waits, closes the server, deregisters. Idempotent, never rejects. */
  close(): Promise<void>
}
