import { expect, it } from "vitest"
import { compileRoutes } from "./router.ts"
import type { RouteSettings } from "./settings.ts"

const routes: RouteSettings[] = [
  { match: "prefix", path: "/", service: "root" },
  { match: "prefix", path: "/api", service: "api" },
  { match: "prefix", path: "/api/payment", service: "payment" },
  { match: "prefix", path: "/api/payment/refunds/", service: "refunds" },
  { match: "exact", path: "/api/payment/status", service: "status" },
  { match: "exact-or-slash", path: "/login", service: "login" },
  { match: "prefix", path: "/api", host: "Admin.test", service: "admin" },
  { match: "prefix", path: "/api", methods: ["DELETE"], service: "deleter" },
  { match: "exact", path: "/only-posts", methods: ["POST"], service: "posts" },
  { match: "prefix", path: "/a%2Fb", service: "encoded" },
]

it.each([
  ["GET", "", "/", "root"],
  ["GET", "", "/other", "root"],
  ["GET", "", "/api", "api"],
  ["GET", "", "/api/", "api"],
  ["GET", "", "/apix", "root"],
  ["GET", "", "/API", "root"],
  ["GET", "", "//api", "root"],
  ["GET", "", "/api//payment", "api"],
  ["GET", "", "/api/payment", "payment"],
  ["GET", "", "/api/paymentXYZ", "api"],
  ["GET", "", "/api/payment/7", "payment"],
  ["GET", "", "/api/payment/refunds", "refunds"],
  ["GET", "", "/api/payment/refunds/", "refunds"],
  ["GET", "", "/api/payment/status", "status"],
  ["GET", "", "/api/payment/status/", "payment"],
  ["GET", "", "/login", "login"],
  ["GET", "", "/login/", "login"],
  ["GET", "", "/login//", "root"],
  ["GET", "", "/login/x", "root"],
  ["GET", "admin.test", "/api/x", "admin"],
  ["DELETE", "admin.test", "/api/x", "admin"],
  ["DELETE", "", "/api/x", "deleter"],
  ["DELETE", "", "/api/payment/7", "payment"],
  ["POST", "", "/only-posts", "posts"],
  ["GET", "", "/only-posts", "root"],
  ["GET", "", "/a%2Fb/c", "encoded"],
  ["GET", "", "/a%2fb/c", "root"],
  ["GET", "", "/a/b", "root"],
])("%s %s%s goes to %s", (method, host, path, service) => {
  expect(compileRoutes(routes).match(method, host, path)?.service).toBe(service)
})

it("knows no route where none matches", () => {
  const router = compileRoutes<RouteSettings>([
    { match: "prefix", path: "/a", methods: ["GET"], service: "a" },
    { match: "prefix", path: "/a/b", host: "x.test", service: "b" },
  ])
  expect(router.match("GET", "", "/")).toBeUndefined()
  expect(router.match("POST", "", "/a")).toBeUndefined()
  expect(router.match("GET", "y.test", "/a/b")?.service).toBe("a")
  expect(compileRoutes([]).match("GET", "", "/")).toBeUndefined()
})

it("takes the first of two equal routes", () => {
  const router = compileRoutes<RouteSettings>([
    { match: "prefix", path: "/a", service: "first" },
    { match: "prefix", path: "/a/", service: "second" },
  ])
  expect(router.match("GET", "", "/a")?.service).toBe("first")
})
