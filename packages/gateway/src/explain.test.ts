import { createPool, createStaticSource } from "@meshwork/client-sdk/pool"
import { fakeInstance } from "@meshwork/client-sdk/testing"
import { seededRandom } from "@meshwork/contract/testing"
import { expect, it, test } from "vitest"
import { explain } from "./explain.ts"
import type { RouteSettings } from "./route-settings.ts"
import { compileRoutes } from "./router.ts"

const routes: RouteSettings[] = [
  { match: "prefix", path: "/api", service: "api" },
  { match: "prefix", path: "/api/orders", service: "orders", stripPrefix: true },
  { match: "exact", path: "/api/orders/health", service: "health" },
  { match: "prefix", path: "/api/orders", service: "admin", host: "admin.test" },
  { match: "prefix", path: "/api/orders", service: "writes", methods: ["POST"] },
]

test.each([
  { method: "GET", path: "/api/orders/7?a=b", route: "/api/orders/*", service: "orders", upstream: "/7?a=b" },
  { method: "GET", path: "/api/orders/health", route: "/api/orders/health", service: "health", upstream: "/api/orders/health" },
  { method: "GET", path: "/api/ordersx", route: "/api/*", service: "api", upstream: "/api/ordersx" },
  { method: "POST", path: "/api/orders/7", route: "POST /api/orders/*", service: "writes", upstream: "/api/orders/7" },
  { method: "GET", path: "/api/orders", host: "admin.test:8080", route: "admin.test/api/orders/*", service: "admin", upstream: "/api/orders" },
  { method: "GET", path: "/other", route: null, service: null, upstream: null },
])("$method $path goes to $route", ({ route, service, upstream, ...request }) => {
  expect(explain(compileRoutes(routes), request)).toMatchObject({ refused: null, route, service, upstream_path: upstream })
})

test.each([
  { method: "GET", path: "/stats", settings: {}, outcome: "no route: no route has this path" },
  {
    method: "GET",
    path: "/stats?x",
    settings: { statsPath: "/stats" },
    outcome: "answered with the statistics of the gateway, before any route is asked",
  },
  { method: "POST", path: "/stats", settings: { statsPath: "/stats" }, outcome: "no route: no route has this path" },
  {
    method: "GET",
    path: "/",
    settings: { rootAnswer: 1 },
    outcome: "no route: no route has this path; answered with 200 and the answer for the root",
  },
  { method: "PUT", path: "/", settings: { rootAnswer: 1 }, outcome: "no route: no route has this path" },
  {
    method: "GET",
    path: "/x",
    settings: { rootAnswer: 1, defaultResponse: { statusCode: 403, body: "" } },
    outcome: "no route: no route has this path; answered with 403, the default response",
  },
])("$method $path of a gateway with $settings: $outcome", ({ outcome, settings, ...request }) => {
  expect(explain(compileRoutes(routes), request, { settings }).outcome).toBe(outcome)
})

it("says why each route of the path wins or loses", () => {
  const { considered, others } = explain(compileRoutes(routes), { method: "GET", path: "/api/orders/health" })
  expect(others).toBe(0)
  expect(considered.map(({ route, wins, why }) => [route, wins, why])).toEqual([
    ["/api/*", false, "/api/orders/health wins: an exact path comes before a prefix"],
    ["/api/orders/*", false, "/api/orders/health wins: an exact path comes before a prefix"],
    ["/api/orders/health", true, "the most particular route that matches"],
    ["admin.test/api/orders/*", false, "only for the host admin.test"],
    ["POST /api/orders/*", false, "only for POST"],
  ])
})

it("says what the guard refuses, before any route is asked", () => {
  expect(explain(compileRoutes(routes), { method: "GET", path: "/api/../x" })).toMatchObject({
    refused: "the path has a dot segment",
    route: null,
    outcome: "refused with 400: the path has a dot segment",
  })
})

it("shows every instance with what speaks for and against it", async () => {
  const source = createStaticSource("test")
  source.set("api", [fakeInstance("api", 1), { ...fakeInstance("api", 2), standing: "draining", why: "draining since noon" }], 0)
  const pool = createPool({ service: "api", source })
  await pool.ready()
  const explanation = explain(compileRoutes(routes), { method: "GET", path: "/api" }, { poolOf: () => pool })
  expect(explanation.instances).toMatchObject([
    { address: "127.0.0.1:1", standing: "serving", eligible: true, in_flight: 0 },
    { address: "127.0.0.1:2", standing: "draining", why: "draining since noon", eligible: false },
  ])
  expect(explanation.outcome).toBe("goes to 127.0.0.1:1 at 127.0.0.1:1, the only instance of api that may be used")
  await pool.close()
})

it("tells the truth: for a thousand random sets of routes it names the route that is found, by the rules as they are written", () => {
  const random = seededRandom(11)
  const any = <const T>(list: readonly [T, ...T[]]): T => list[Math.floor(random() * list.length)] ?? list[0]
  const segments: [string, ...string[]] = ["a", "b", "ab", "", "%2F", "a.b"]
  const path = (): string => `/${Array.from({ length: Math.floor(random() * 4) }, () => any(segments)).join("/")}`
  const width = (route: RouteSettings): number => (route.path.endsWith("/") ? route.path.length - 1 : route.path.length)
  for (let round = 0; round < 1000; round++) {
    const settings = Array.from({ length: 1 + Math.floor(random() * 12) }, (_, index): RouteSettings => {
      const match = any(["exact", "exact-or-slash", "prefix"])
      const own = path()
      return {
        name: `route ${index}`,
        match,
        path: match === "prefix" && own !== "/" && own.endsWith("/") ? own.slice(0, -1) || "/" : own,
        service: `s${index}`,
        ...(random() < 0.3 ? { host: any(["x.test", "y.test"]) } : {}),
        ...(random() < 0.3 ? { methods: [any(["GET", "POST"])] } : {}),
      }
    })
    for (let call = 0; call < 5; call++) {
      const request = { method: any(["GET", "POST", "PUT"]), host: any(["x.test", "y.test", "z.test"]), path: path() }
      const explanation = explain(compileRoutes(settings), request)
      const fits = settings.filter((route) => {
        const slashless = (text: string): string => (text.endsWith("/") ? text.slice(0, -1) : text)
        const pathFits =
          route.match === "exact"
            ? request.path === route.path
            : route.match === "exact-or-slash"
              ? [route.path, route.path.endsWith("/") ? slashless(route.path) : `${route.path}/`].includes(request.path)
              : `${request.path}/`.startsWith(`${slashless(route.path)}/`)
        return pathFits && (route.host ?? request.host) === request.host && (route.methods ?? [request.method]).includes(request.method)
      })
      const rank = (route: RouteSettings): number[] => [
        route.match === "prefix" ? width(route) : 1e6,
        route.match === "exact" ? 1 : 0,
        route.host === undefined ? 0 : 1,
        route.methods === undefined ? 0 : 1,
      ]
      const best = fits.reduce<RouteSettings | undefined>((winner, route) => {
        if (winner === undefined) return route
        const difference =
          rank(route)
            .map((value, index) => value - (rank(winner)[index] ?? 0))
            .find((value) => value !== 0) ?? 0
        return difference > 0 ? route : winner
      }, undefined)
      expect([explanation.route, JSON.stringify(settings), request]).toEqual([best?.name ?? null, JSON.stringify(settings), request])
      expect(explanation.considered.filter(({ wins }) => wins).map(({ route }) => route)).toEqual(best?.name === undefined ? [] : [best.name])
    }
  }
})
