import { createServer } from "node:net"
import { MeshError } from "@meshwork/contract"

/** Where a server listens. */
export interface Address {
  host: string
  port: number
}

/** Finds out whether an address can be bound before anything else is opened. Rejects as `listenError`. */
export function assertBindable(address: Address): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once("error", (error) => reject(listenError(error, address)))
    server.listen({ host: address.host, port: address.port, exclusive: true }, () => server.close(() => resolve()))
  })
}

/** A failure to listen as a sentence that names the port and the option: `invalid_config`. */
export function listenError(error: unknown, { host, port }: Address): MeshError {
  if (MeshError.is(error)) return error
  const option = "choose another one with --port or MESHWORK_DISCOVERY_PORT"
  const code = (error as { code?: string }).code
  if (code === "EADDRINUSE") return new MeshError("invalid_config", `port ${port} on ${host} is taken: ${option}`, { cause: error })
  if (code === "EACCES") return new MeshError("invalid_config", `port ${port} on ${host} is not allowed for this user: ${option}`, { cause: error })
  if (code === "EADDRNOTAVAIL" || code === "ENOTFOUND")
    return new MeshError("invalid_config", `${host} is not an address of this machine: name one with --host or MESHWORK_DISCOVERY_HOST`, {
      cause: error,
    })
  return new MeshError("invalid_config", `cannot listen on port ${port} of ${host} (--port, --host): ${String(error)}`, { cause: error })
}
