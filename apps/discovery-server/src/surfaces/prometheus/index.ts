import { Readable } from "node:stream"
import type { Registry } from "@meshwork/registry-core"
import type { FastifyInstance } from "fastify"
import { targetGroup } from "./target-group.ts"

/** Size from which on a piece of the list is handed over, characters. */
const pieceLength = 64 * 1024

/** Registers `GET /v1/prometheus/targets`, for Prometheus' HTTP service discovery. */
export function registerPrometheus(app: FastifyInstance, registry: Registry): void {
  const summary = "What Prometheus may scrape, as its HTTP service discovery reads it"
  app.get("/v1/prometheus/targets", { schema: { summary } }, async (_, reply) =>
    reply.type("application/json; charset=utf-8").send(Readable.from(pieces(registry), { objectMode: false })),
  )
}

/** The list in pieces, so that a large registry needs neither the memory of the whole nor a long pause of everyone else. */
function* pieces(registry: Registry): Generator<string> {
  let piece = "["
  let separator = ""
  for (const { name } of registry.services()) {
    for (const instance of registry.list(name).instances) {
      if (instance.state === "disabled") continue
      piece += separator + JSON.stringify(targetGroup(instance))
      separator = ",\n"
      if (piece.length < pieceLength) continue
      yield piece
      piece = ""
    }
  }
  yield `${piece}]`
}
