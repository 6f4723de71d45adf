import { MeshError } from "@meshwork/contract"
import type { FastifyInstance } from "fastify"

/** Bodies up to this size are always taken: heartbeats and registrations get through whatever others send. */
const smallBytes = 16 * 1024

/**
 * Bounds what the large bodies on their way may take in memory together; one too many is refused at once, so that slow senders cannot fill
 * it. A body of unknown length counts as the largest one.
 */
export function limitBodiesUnderWay(app: FastifyInstance, limits: { limitBytes: number; largestBytes: number }): void {
  let underWay = 0
  app.addHook("onRequest", (request, reply, done) => {
    const { "content-length": length, "transfer-encoding": encoding } = request.headers
    const bytes = encoding === undefined ? Math.min(Number(length ?? 0), limits.largestBytes) : limits.largestBytes
    if (bytes <= smallBytes) return done()
    if (underWay + bytes > limits.limitBytes) {
      return done(new MeshError("overloaded", "too many large request bodies are on their way at once", { retryAfterMs: 1000 }))
    }
    underWay += bytes
    // The response closes whatever becomes of the request, a connection that ends included.
    reply.raw.once("close", () => (underWay -= bytes))
    done()
  })
}
