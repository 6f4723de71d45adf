import { expect, it } from "vitest"
import { errorCodes } from "./mesh-error.ts"
import { type RouteDefinition, routePath } from "./route.ts"
import { routes } from "./routes.ts"

const all: [string, RouteDefinition][] = Object.entries(routes)

it.each(all)("%s declares its parameters, its errors and whether it changes something", (_name, route) => {
  expect([...route.path.matchAll(/:([a-z]+)/g)].map((match) => match[1])).toEqual(Object.keys(route.params?.shape ?? {}))
  expect(route.errors.every((code) => code in errorCodes)).toBe(true)
  expect(route.mutates === true).toBe(route.method !== "GET")
})

it("no two routes share method and path", () => {
  expect(new Set(all.map(([, route]) => `${route.method} ${route.path}`)).size).toBe(all.length)
})

it("fills parameters in percent-encoded", () => {
  expect(routePath(routes.getInstance, { service: "Order Service", id: "[::1]:80" })).toBe(
    "/v1/services/Order%20Service/instances/%5B%3A%3A1%5D%3A80",
  )
})

it("a single repeated query value is a list", () => {
  expect(routes.watch.query.parse({ service: "a" })).toEqual({ service: ["a"] })
  expect(routes.watch.query.parse({ service: ["a", "b"] })).toEqual({ service: ["a", "b"] })
  expect(routes.watch.query.parse({})).toEqual({})
})
