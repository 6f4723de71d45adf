import { Readable } from "node:stream"
import { MeshError, serviceNameSchema } from "@meshwork/contract"
import type { FastifyInstance, FastifyReply } from "fastify"
import { z } from "zod"
import type { Authorize } from "../../access.ts"
import { Dump } from "./dump.ts"
import { type StatisticsOptions, statisticsPieces, type StatisticsSource } from "./statistics.ts"

export interface ServerPyContext extends StatisticsSource {
  authorize: Authorize
  /** Where `dump.json` goes. */
  dataDirectory: string
  /** What `/health` calls this server. */
  name?: string
}

/** Packets of each instance where nobody asks for more. */
const usualPackets = 1000
const mostPackets = 1_000_000
/** Statistics that are read at once. */
const mostReaders = 16

const statsQuery = z.strictObject({
  limit: z.exactOptional(
    z
      .string()
      .regex(/^\d{1,7}$/, `must be a whole number from 0 to ${mostPackets}`)
      .transform(Number)
      .refine((limit) => limit <= mostPackets, `must be at most ${mostPackets}`),
  ),
  service: z.exactOptional(serviceNameSchema),
})
const dumpQuery = z.strictObject({ download: z.exactOptional(z.enum(["0", "1"])) })

/** Registers the routes that ServerPy's users call. */
export function registerServerPy(app: FastifyInstance, context: ServerPyContext): void {
  const { authorize, dataDirectory, name } = context
  const everything = () => statisticsPieces(context, { limit: mostPackets })
  const dump = new Dump(dataDirectory, everything)
  const health = { status: "Discovery Server running", ...(name === undefined ? {} : { name }) }
  let readers = 0

  const stream = (reply: FastifyReply, pieces: AsyncIterable<string>) => {
    if (readers >= mostReaders) throw new MeshError("overloaded", `${mostReaders} readers of the statistics are there already; try again in a second`)
    readers++
    reply.raw.once("close", () => readers--)
    return reply.type("application/json; charset=utf-8").send(Readable.from(pieces, { objectMode: false }))
  }

  app.get("/health", { schema: { summary: "Whether this server runs, and its name" } }, async (_, reply) =>
    reply.type("application/json; charset=utf-8").send(health),
  )

  const summary = "What was probed, and what gateways report, as ServerPy has it"
  app.get<{ Querystring: z.output<typeof statsQuery> }>("/stats", { schema: { summary, querystring: statsQuery } }, async ({ query }, reply) => {
    const options: StatisticsOptions = { limit: query.limit ?? usualPackets, service: query.service }
    return stream(reply, statisticsPieces(context, options))
  })

  app.get<{ Querystring: z.output<typeof dumpQuery> }>(
    "/dump",
    {
      schema: { summary: "Writes the statistics to dump.json in the data directory, or streams them", querystring: dumpQuery },
      onRequest: async ({ headers, ip }) => void authorize(headers.authorization, ip),
    },
    async ({ query }, reply) => {
      if (query.download !== "1") return reply.type("application/json; charset=utf-8").send({ status: "Success", file: await dump.write() })
      void reply.header("content-disposition", 'attachment; filename="dump.json"')
      return stream(reply, everything())
    },
  )
}
