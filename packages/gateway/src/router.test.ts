import { expect, it } from "vitest"
import type { RouteSettings } from "./route-settings.ts"
import { compileRoutes } from "./router.ts"

const route = (service: string, path: string, rest: Partial<RouteSettings> = {}): RouteSettings => ({ match: "prefix", path, service, ...rest })

const router = compileRoutes([
  route("api", "/api"),
  route("payment", "/api/payment"),
  route("slash", "/dir/"),
  route("exact", "/api/payment/now", { match: "exact" }),
  route("either", "/either", { match: "exact-or-slash" }),
  route("written", "/written", { match: "exact" }),
  route("loose", "/written/", { match: "exact-or-slash" }),
  route("hosted", "/api", { host: "a.test" }),
  route("posted", "/api", { methods: ["POST"] }),
  route("put-only", "/put", { methods: ["PUT"], match: "exact" }),
  route("encoded", "/caf%C3%A9"),
])

it.each([
  ["/api", "api"],
  ["/api/", "api"],
  ["/api/x", "api"],
  ["/apix", undefined],
  ["/ap", undefined],
  ["/api/payment", "payment"],
  ["/api/payment/", "payment"],
  ["/api/payment/7/refunds/1", "payment"],
  ["/api/paymentXYZ", "api"],
  ["/api/payment/now", "exact"],
  ["/api/payment/now/", "payment"],
  ["/API", undefined],
  ["/dir", "slash"],
  ["/dir/", "slash"],
  ["/dir/x", "slash"],
  ["/either", "either"],
  ["/either/", "either"],
  ["/either//", undefined],
  ["/either/x", undefined],
  ["/written", "written"],
  ["/written/", "loose"],
  ["/put", undefined],
  ["/", undefined],
  ["//api", undefined],
  ["/api//payment", "api"],
  ["/api%2Fpayment", undefined],
  ["/caf%C3%A9/x", "encoded"],
  ["/caf%c3%a9/x", undefined],
  [`/api/${"x/".repeat(5000)}`, "api"],
  [`/${"x/".repeat(5000)}`, undefined],
])("GET %.40s goes to %s", (path, service) => {
  expect(router.find("b.test", "GET", path)?.service).toBe(service)
})

it("among routes of one path a host counts more than a method, and both more than neither", () => {
  expect(router.find("a.test", "POST", "/api/x")?.service).toBe("hosted")
  expect(router.find("b.test", "POST", "/api/x")?.service).toBe("posted")
  expect(router.find("b.test", "PUT", "/put")?.service).toBe("put-only")
})

it("a prefix of the root takes what nobody else does", () => {
  const rooted = compileRoutes([route("root", "/"), route("a", "/a")])
  expect(["/", "/x", "/a", "/ab"].map((path) => rooted.find("", "GET", path)?.service)).toEqual(["root", "root", "a", "root"])
})

it("the first of two equal routes wins", () => {
  const twice = compileRoutes([route("first", "/a"), route("second", "/a")])
  expect(twice.find("", "GET", "/a")?.service).toBe("first")
})

it("a longer prefix that wants another method gives way to a shorter one", () => {
  const mixed = compileRoutes([route("all", "/a"), route("posts", "/a/b", { methods: ["POST"] })])
  expect(mixed.find("", "GET", "/a/b/c")?.service).toBe("all")
  expect(mixed.find("", "POST", "/a/b/c")?.service).toBe("posts")
})

it("fills in defaults and names routes by what they match", () => {
  expect(router.routes[8]).toMatchObject({ name: "POST /api/*", timeoutMs: 30_000, idleTimeoutMs: 60_000, attempts: 3, unreachableStatus: 502 })
})

it.each([
  ["paths", (index: number) => route(`s${index}`, `/api/v${index % 7}/service-${index}`), ["a.test", "/api/v6/service-19998/items/1"]],
  ["hosts of one path", (index: number) => route(`s${index}`, "/", { host: `h${index}.test` }), ["h19998.test", "/items/1"]],
  ["exact paths", (index: number) => route(`s${index}`, `/api/${index}`, { match: "exact-or-slash" }), ["a.test", "/api/19998/"]],
] as const)("looks at one route of 20,000 %s", (_what, routeOf, [host, path]) => {
  const many = compileRoutes(Array.from({ length: 20_000 }, (_, index) => routeOf(index)))
  let looks = 0
  for (const each of many.routes) Object.defineProperty(each, "methods", { get: () => void looks++ })
  expect(many.find(host, "GET", path)?.service).toBe("s19998")
  expect(looks).toBe(1)
  expect(many.find(host, "GET", `/x${path}`)?.service).toBe(path === "/items/1" ? "s19998" : undefined)
  expect(looks).toBe(path === "/items/1" ? 2 : 1)
})
