import { expect, it } from "vitest"
import { ConfigError, type LoadedConfig, parseConfig } from "../index.ts"

const readme = `
routes:
  - path_prefix: /api/payment
    backend: payment
  - path_prefix: /api/orders
    backend: orders
default_response:
  body: "This is not reachable"
  status_code: 403
backends:
  - name: payment
    match_labels:
      - app_name=payment
      - env=production
  - name: orders
    match_labels:
      - app_name=orders
      - env=production
`
const parse = (text: string, format?: string): LoadedConfig => parseConfig({ text, file: "config.yml" }, { env: {}, format })

function errorsOf(text: string): string[] {
  try {
    parse(text)
    return []
  } catch (error) {
    if (ConfigError.is(error)) return error.message.split("\n")
    throw error
  }
}

it("reads rgate's file as it is", () => {
  const config = parse(readme)
  expect([config.format, config.warnings]).toEqual(["rgate", []])
  expect(config.backends).toEqual({
    payment: { matchLabels: { app_name: "payment", env: "production" } },
    orders: { matchLabels: { app_name: "orders", env: "production" } },
  })
  expect(config.routes).toHaveLength(2)
  expect(config.routes[0]).toEqual({
    match: "prefix",
    path: "/api/payment",
    target: { kind: "backend", name: "payment" },
    balancer: "random",
    unreachableStatus: 503,
    allowGetBody: true,
    stripPrefix: false,
    timeoutMs: 30_000,
    attempts: 3,
    retryBodyLimit: 65_536,
  })
  expect(config.defaultResponse).toEqual({ statusCode: 403, body: "This is not reachable" })
  expect(config.gateway).toMatchObject({ port: 8080, docker: false, discovery: [], statsPath: "/stats" })
})

it("takes labels as a map, numbers and all, and a value with = in it", () => {
  const labels = (text: string) =>
    parse(`{ routes: [{ path_prefix: /, backend: a }], backends: [{ name: a, match_labels: ${text} }] }`).backends["a"]?.matchLabels
  expect(labels("{ env: production, version: 2, canary: true }")).toEqual({ env: "production", version: "2", canary: "true" })
  expect(labels('["a=b=c", "empty="]')).toEqual({ a: "b=c", empty: "" })
  expect(labels("[a=b, c=d, a=b]")).toEqual({ a: "b", c: "d" })
})

it("an object is a default response too, and its parts have defaults", () => {
  expect(parse('default_response: { body: { error: "no" }, status_code: 404 }').defaultResponse).toEqual({ statusCode: 404, body: { error: "no" } })
  expect(parse("default_response: { body: gone }").defaultResponse).toEqual({ statusCode: 404, body: "gone" })
  expect(parse("default_response: { status_code: 204 }").defaultResponse).toEqual({ statusCode: 204, body: "" })
  expect(
    parse(
      "default_response:\nbackends:\nroutes: [{ path_prefix: /, backend: a }]\n".replace(
        "backends:\n",
        "backends: [{ name: a, match_labels: [a=b] }]\n",
      ),
    ).defaultResponse,
  ).toBeUndefined()
})

it("Meshwork's own settings can be there: a balancer of a route, and the section gateway", () => {
  const config =
    parse(`${readme.replace("    backend: orders\n", "    backend: orders\n    balancer: round-robin\n    timeout: 2s\n    attempts: 1\n")}
gateway: { port: 9000, statsPath: false, statsDatabase: /var/lib/counts.sqlite, docker: { host: "tcp://docker:2375" } }
`)
  expect(config.routes[1]).toMatchObject({ balancer: "round-robin", timeoutMs: 2000, attempts: 1 })
  expect(config.gateway).toMatchObject({ port: 9000, statsDatabase: "/var/lib/counts.sqlite", docker: { host: "tcp://docker:2375" } })
  expect(config.gateway.statsPath).toBeUndefined()
  expect(parse(`${readme}gateway: { statsPath: /counts }`).gateway.statsPath).toBe("/counts")
})

it("everything that is wrong is said at once, with its line", () => {
  const wrong = `
routes:
  - { path_prefix: /api/payment, backend: paymnt }
  - { path_prefix: api, backend: payment }
  - { backend: payment }
default_response: { body: x, status_code: 99 }
backends:
  - { name: payment, match_labels: ["app_name", "env=production"] }
  - { name: payment, match_labels: { a: b } }
  - { name: orders, match_labels: [] }
  - { match_labels: [a=b], extra: 1 }
  - { name: late, match_labels: [env=a, app=x, env=b, env=b] }
`
  expect(errorsOf(wrong)).toEqual([
    expect.stringMatching(/^config.yml:3:\d+: routes\[0\].backend: the backend "paymnt" is not defined; did you mean "payment"\?$/),
    expect.stringMatching(/^config.yml:4:\d+: routes\[1\].path_prefix: found "api"; accepted is a path that begins with '\/'/),
    expect.stringMatching(/^config.yml:5:\d+: routes\[2\].path_prefix: is missing/),
    expect.stringMatching(/^config.yml:6:\d+: default_response.status_code: found 99; accepted is a status from 200 to 599$/),
    expect.stringMatching(/^config.yml:8:\d+: backends\[0\].match_labels\[0\]: found "app_name"; accepted is key=value$/),
    expect.stringMatching(/^config.yml:9:\d+: backends\[1\].name: the backend "payment" is here a second time: backends\[0\] has this name$/),
    expect.stringMatching(/^config.yml:10:\d+: backends\[2\].match_labels: .*a list of at least 1/),
    expect.stringMatching(/^config.yml:11:\d+: backends\[3\].name: is missing/),
    expect.stringMatching(/^config.yml:11:\d+: backends\[3\].extra: unknown key "extra"; accepted are name, match_labels$/),
    expect.stringMatching(
      /^config.yml:12:\d+: backends\[4\].match_labels\[2\]: the label "env" is here a second time with another value, and no container has both$/,
    ),
  ])
})

it("a backend without a route, and a second route for one prefix, are warnings", () => {
  const { warnings } = parse(`${readme.replace("/api/orders", "/api/payment/")}  - { name: third, match_labels: [a=b] }\n`)
  expect(warnings.map(({ path, kind }) => [path, kind])).toEqual([
    ["routes[1]", "shadowed-route"],
    ["backends[2].name", "unused-backend"],
  ])
})

it.each([
  ["routes: [{ pathPrefix: /, service: a }]", "meshwork"],
  ["backends: { a: { docker: { matchLabels: [a=b] } } }", "meshwork"],
  ["{}", "meshwork"],
  ["default_response: { body: x }", "rgate"],
  ["backends: [{ name: a, match_labels: [a=b] }]", "rgate"],
])("%s is recognised as %s", (text, format) => {
  expect(parse(text).format).toBe(format)
})

it("a file of Meshwork with rgate's word for one key is told about that key", () => {
  expect(errorsOf("services: {}\ndefault_response: { body: x, status_code: 403 }\n")).toEqual([
    expect.stringContaining('unknown key "default_response"; did you mean "defaultResponse"?'),
  ])
})
