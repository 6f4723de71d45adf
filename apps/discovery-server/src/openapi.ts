import swagger from "@fastify/swagger"
import { checkSchema, instanceSchema, journalEntrySchema, problemSchema, registrationSchema } from "@meshwork/contract"
import type { FastifyInstance } from "fastify"
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from "fastify-type-provider-zod"
import { z } from "zod"

/** Schemas that OpenAPI shows under a name of their own. */
const named = z.registry<{ id: string }>()
named.add(checkSchema, { id: "Check" }).add(registrationSchema, { id: "Registration" }).add(instanceSchema, { id: "Instance" })
named.add(journalEntrySchema, { id: "JournalEntry" }).add(problemSchema, { id: "Problem" })
const zodToJsonConfig = { unrepresentable: "any" } as const

/** Offers `GET /openapi.json`, made of the schemas of the routes that are registered after it. */
export async function registerOpenApi(app: FastifyInstance): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Meshwork discovery server",
        description: "A registry of service instances. Every error is an RFC 9457 problem body.",
        version: "1",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer", description: "Needed for changes where the server has a token" } } },
    },
    transform: createJsonSchemaTransform({ schemaRegistry: named, zodToJsonConfig }),
    transformObject: createJsonSchemaTransformObject({ schemaRegistry: named, zodToJsonConfig }),
  })
  app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger())
}
