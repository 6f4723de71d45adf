import { routes } from "@meshwork/contract"
import { expect, it } from "vitest"
import { startServer } from "./testing/server-bench.ts"

const openApiPath = (path: string) => path.replace(/:([a-z]+)/gi, "{$1}")

it("shows every native route with its parameters, bodies and errors", async () => {
  const { call } = await startServer()
  const { status, json } = await call("/openapi.json")
  expect(status).toBe(200)
  expect(json.openapi).toBe("3.1.0")
  for (const [name, route] of Object.entries(routes)) {
    const shown = json.paths[openApiPath(route.path)]?.[route.method.toLowerCase()]
    expect(shown, name).toMatchObject({ operationId: name, summary: route.summary })
    expect(Object.keys(shown.responses), name).toEqual(expect.arrayContaining(Object.keys(route.replies)))
    expect(Boolean(shown.security), name).toBe("mutates" in route)
    expect(Boolean(shown.requestBody), name).toBe("body" in route)
  }
})

it("names the models and describes what a registration takes", async () => {
  const { call } = await startServer()
  const { json } = await call("/openapi.json")
  expect(Object.keys(json.components.schemas)).toEqual(expect.arrayContaining(["Instance", "JournalEntry", "Problem", "RegistrationInput"]))
  const body = json.paths["/v1/services/{service}/instances/{id}"].put.requestBody.content["application/json"].schema
  expect(body).toEqual({ $ref: "#/components/schemas/RegistrationInput" })
  const { properties, required, additionalProperties } = json.components.schemas.RegistrationInput
  expect(properties.port).toMatchObject({ type: "integer", minimum: 1, maximum: 65_535 })
  expect(properties.ttlSeconds).toMatchObject({ default: 30 })
  expect(required).toEqual(["host", "port"])
  expect(additionalProperties).toBe(false)
  expect(json.paths["/v1/watch"].get.responses["200"].content).toHaveProperty("text/event-stream")
})
