import type { FastifyInstance } from "fastify"

/** Registers the routes that ServerPy's users call. */
export function registerServerPy(app: FastifyInstance): void {
  app.get("/health", async () => ({ status: "Discovery Server running" }))
}
