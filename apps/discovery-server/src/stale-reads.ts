import type { Clock } from "@meshwork/contract"
import type { Registry } from "@meshwork/registry-core"
import type { FastifyInstance } from "fastify"

/** Lets every answer to a read say for how many seconds the store has not been reached, in `Meshwork-Stale`; nothing while it is. */
export function markStaleReads(app: FastifyInstance, registry: Registry, clock: Clock): void {
  app.addHook("onRequest", ({ method }, reply, done) => {
    const since = method === "GET" || method === "HEAD" ? registry.staleSince() : undefined
    if (since !== undefined) reply.header("meshwork-stale", Math.max(0, Math.round((clock.now() - since) / 1000)))
    done()
  })
}
