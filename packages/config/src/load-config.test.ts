import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { MeshError } from "@meshwork/contract"
import { expect, it } from "vitest"
import { ConfigError, type LoadedConfig, loadConfig, maxConfigBytes, parseConfig, staticInstances } from "./index.ts"
import type { Environment } from "./environment.ts"

const design = `discovery: { host: 127.0.0.1, port: 8008, storage: "sqlite:.meshwork/registry.sqlite", token: "\${MESHWORK_TOKEN:-}", docker: false }
gateway:   { host: 127.0.0.1, port: 8080, adminPort: 8009, discovery: ["http://127.0.0.1:8008"], docker: false }
services:                                   # static instances, polled where a check is declared
  payment:
    instances: ["127.0.0.1:9001", { address: "127.0.0.1:9002", weight: 10, priority: high }]
    check: { method: http, path: /health, frequency: 10s, retries: 3, retryDelay: 1s }
backends:                                   # found by Docker labels
  orders: { docker: { matchLabels: ["app_name=orders", "env=production"] } }
routes:
  - { pathPrefix: /api/payment, service: payment, stripPrefix: false, timeout: 5s, attempts: 2, balancer: p2c }
  - { path: /exact, service: payment }
  - { pathPrefix: /api/orders, backend: orders, balancer: random }
defaultResponse: { statusCode: 403, body: "This is not reachable" }
`

const parse = (text: string, env: Environment = {}): LoadedConfig => parseConfig({ text, file: "m.yaml" }, { env })

function errorsOf(text: string, env: Environment = {}): string[] {
  try {
    parse(text, env)
  } catch (error) {
    if (ConfigError.is(error)) return error.message.split("\n")
    throw error
  }
  return []
}

it("reads the example of the design", () => {
  const config = parse(design)
  expect(config.warnings).toEqual([])
  expect(config.discovery).toEqual({
    host: "127.0.0.1",
    port: 8008,
    storage: "sqlite:.meshwork/registry.sqlite",
    tokens: [],
    insecure: false,
    docker: false,
  })
  expect(config.gateway).toMatchObject({ port: 8080, adminPort: 8009, discovery: ["http://127.0.0.1:8008"], idleTimeoutMs: 60_000 })
  const check = { method: "http", path: "/health", frequencySeconds: 10, timeoutSeconds: 5, retries: 3, retryDelaySeconds: 1 }
  expect(config.services["payment"]?.instances).toMatchObject([
    { id: "127.0.0.1:9001", host: "127.0.0.1", port: 9001, scheme: "http", priority: "med", check },
    { id: "127.0.0.1:9002", port: 9002, weight: 10, priority: "high", check },
  ])
  expect(config.backends).toEqual({ orders: { matchLabels: { app_name: "orders", env: "production" } } })
  expect(config.routes).toMatchObject([
    { match: "prefix", path: "/api/payment", target: { kind: "service", name: "payment" }, timeoutMs: 5000, attempts: 2, balancer: "p2c" },
    { match: "exact", path: "/exact", timeoutMs: 30_000, unreachableStatus: 502, stripPrefix: false },
    { match: "prefix", path: "/api/orders", target: { kind: "backend", name: "orders" }, balancer: "random" },
  ])
  expect(config.defaultResponse).toEqual({ statusCode: 403, body: "This is not reachable" })
})

it("reads the same from JSON", () => {
  const route = { pathPrefix: "/a", service: "a" }
  expect(parse(JSON.stringify({ routes: [route] }, null, "\t")).routes).toEqual(parse("routes: [{ pathPrefix: /a, service: a }]").routes)
})

it("fills in every default for a file that says nothing", () => {
  const { discovery, gateway, services, backends, routes, defaultResponse } = parse("{}")
  expect(discovery).toMatchObject({ host: "127.0.0.1", port: 8008, storage: "sqlite:.meshwork/registry.sqlite" })
  expect(gateway).toMatchObject({ host: "127.0.0.1", port: 8080, adminPort: 8009, discovery: ["http://127.0.0.1:8008"] })
  expect([services, backends, routes, defaultResponse]).toEqual([{}, {}, [], undefined])
  expect(parse("gateway:\nroutes:\ndiscovery: {}\n").gateway).toEqual(gateway)
})

it.each([
  ["{ port: 9000 }", "http://127.0.0.1:9000"],
  ["{ host: 0.0.0.0 }", "http://127.0.0.1:8008"],
  ["{ host: '::' }", "http://[::1]:8008"],
  ["{ host: mesh.internal }", "http://mesh.internal:8008"],
])("the gateway asks the discovery server of %s at %s", (discovery, url) => {
  expect(parse(`discovery: ${discovery}`).gateway.discovery).toEqual([url])
})

it("names every error at once, each with its line and place", () => {
  const text = `gateway:
  port: 99999
  prot: 1
  discovery: [ftp://x]
discovery:
  storage: 5
  adminPort: \${NOPE}
services:
  a/b: { instances: ["h:1"] }
  ok:
    instances: ["h:1", "h:1", { adress: "x:1" }]
    check: { method: htp, frequency: 0 }
routes:
  - { pathPrefix: api, service: ok }
  - { service: ok }
  - { path: /x, pathPrefix: /y, backend: gone }
  - { path: /z, service: ok, timeout: soon, balancer: p2d }
`
  expect(errorsOf(text)).toEqual([
    "m.yaml:2:9: gateway.port: found 99999; accepted is a port from 1 to 65535, or 0 for a free one",
    'm.yaml:3:3: gateway.prot: unknown key "prot"; did you mean "port"?',
    'm.yaml:4:15: gateway.discovery[0]: found "ftp://x"; accepted is a URL such as http://127.0.0.1:8008, without credentials',
    "m.yaml:6:12: discovery.storage: found 5; accepted is memory, file:PATH, sqlite:PATH, etcd://HOST:PORT/TREE or dynamodb://TABLE",
    'm.yaml:7:3: discovery.adminPort: unknown key "adminPort"; accepted are host, port, storage, token, tokens, insecure, docker, advertiseHost',
    "m.yaml:7:14: discovery.adminPort: the variable NOPE is not set; set NOPE, or write ${NOPE:-default}",
    `m.yaml:9:3: services["a/b"]: this name is not accepted; accepted is a name of at most 128 printable characters without '/'`,
    "m.yaml:11:24: services.ok.instances[1]: h:1 is here a second time: each address and each id once in a service",
    "m.yaml:11:31: services.ok.instances[2].address: is missing; accepted is host:port or a URL such as http://10.0.0.7:9000",
    'm.yaml:11:33: services.ok.instances[2].adress: unknown key "adress"; did you mean "address"?',
    'm.yaml:12:22: services.ok.check.method: found "htp"; accepted is http, ping',
    "m.yaml:12:38: services.ok.check.frequency: found 0; accepted is a duration from 100ms to 24h, such as 10s, 250ms or a number of seconds",
    `m.yaml:14:19: routes[0].pathPrefix: found "api"; accepted is a path that begins with '/', without query, blanks, '.' and '..' segments`,
    "m.yaml:15:5: routes[1]: this route needs either path or pathPrefix",
    "m.yaml:16:29: routes[2].pathPrefix: path is there too; accepted is one of the two",
    'm.yaml:16:42: routes[2].backend: the backend "gone" is not defined',
    'm.yaml:17:39: routes[3].timeout: found "soon"; accepted is a duration from 1ms to 24h, such as 10s, 250ms or a number of seconds',
    'm.yaml:17:55: routes[3].balancer: found "p2d"; accepted is p2c, random, round-robin, least-requests, availability',
  ])
})

it.each([
  ["", "m.yaml: is empty"],
  ["# nothing\n", "m.yaml: is empty"],
  ["- 1", "m.yaml:1:1: the file must hold a mapping of sections"],
  ["text", "m.yaml:1:1: the file must hold a mapping of sections"],
  ["gateway: 5", "m.yaml:1:10: gateway: found 5; accepted is a mapping"],
  ["routes: {}", "m.yaml:1:9: routes: found a mapping; accepted is a list"],
  ["routes:\n  - 5", "m.yaml:2:5: routes[0]: found 5; accepted is a mapping"],
  ["a:\n  - b\n c: d", "m.yaml:3:1: All mapping items must start at the same column"],
  ["gateway:\n  port: 1\n  port: 2", 'm.yaml:3:3: gateway.port: the key "port" is here a second time'],
  ["gateway:\n  port: !!binary aaaa", "m.yaml:2:18: gateway.port: a tagged value of this kind is not accepted"],
  ["gateway: !secret {}", "m.yaml:1:10: Unresolved tag: !secret"],
  ["? [a]\n: 1", "m.yaml:1:1: a key must be a plain text"],
  ["__proto__: { port: 1 }", "m.yaml:1:1: __proto__: the key __proto__ is not accepted anywhere"],
  ["constructor: 1", 'm.yaml:1:1: constructor: unknown key "constructor"; accepted are discovery, gateway'],
  ["gateway: { port: ${PORT} }", "inside { } and [ ] a text with ${…} needs quotes"],
  ["--- {}\n--- {}", "Source contains multiple documents"],
  ["services: { a: { instances: [] } }", "services.a.instances: found an empty list; accepted is a list of at least 1"],
])("refuses %j", (text, message) => {
  expect(errorsOf(text).join("\n")).toContain(message)
})

it("replaces references inside text values only, after parsing", () => {
  const env = { PORT: "9090", HOST: "10.0.0.1", EMPTY: "", YAML: "x: [1, {" }
  const config = parse(
    `gateway: { port: "\${PORT}", host: "\${HOST}", adminPort: "\${EMPTY:-8123}" }
discovery: { port: "\${NOT_SET:-0}", storage: "sqlite:\${YAML}/\${A:-b}.db", insecure: "\${I:-true}" }
routes: [{ pathPrefix: "/$\${PORT}", service: "\${S:-svc}", timeout: "\${T:-250}ms" }]`.replace("/$${PORT}", "/a"),
    env,
  )
  expect(config.gateway).toMatchObject({ port: 9090, host: "10.0.0.1", adminPort: 8123 })
  expect(config.discovery).toMatchObject({ port: 0, storage: "sqlite:x: [1, {/b.db", insecure: true })
  expect(config.routes[0]).toMatchObject({ target: { name: "svc" }, timeoutMs: 250 })
  expect(parse('defaultResponse: { statusCode: 404, body: "$${PORT} ${PORT}" }', env).defaultResponse?.body).toBe("${PORT} 9090")
})

it.each([
  ["${NOT_SET}", "the variable NOT_SET is not set"],
  ["${toString}", "the variable toString is not set"],
  ["${1A}", '"${1A}" is no reference to a variable'],
  ["${A-b}", '"${A-b}" is no reference to a variable'],
  ["x${A", '"${A" is no reference to a variable'],
])("refuses the reference %s with its line", (reference, message) => {
  const [line, ...others] = errorsOf(`gateway:\n  host: '${reference}'`, { A: "a" })
  expect(line).toContain(`m.yaml:2:9: gateway.host: ${message}`)
  expect(others).toEqual([])
})

it("never repeats a token or a value of the environment", () => {
  const env = { SECRET: "hunter2 hunter2" }
  const text = `discovery:
  token: "my secret token"
  tokens: { ops: "another secret one", ci: "" }
  port: "\${SECRET}"
gateway: { discovery: ["http://user:hunter2@h"], port: "\${SECRET}" }
services: { a: { instances: ["http://user:hunter2@h:1"] } }`
  const errors = errorsOf(text, env).join("\n")
  expect(errors.split("\n")).toHaveLength(7)
  expect(errors).not.toMatch(/hunter2|my secret|another secret/)
  expect(errors).toContain("discovery.port: found the value of ${SECRET}; accepted is a port")
})

it("takes one token, or several named ones", () => {
  const text = 'discovery: { token: "${T}", tokens: { ci: abc } }'
  expect(parse(text, { T: "xyz" }).discovery.tokens).toEqual([
    { name: "token", token: "xyz" },
    { name: "ci", token: "abc" },
  ])
  expect(parse(text, { T: "" }).discovery.tokens).toEqual([{ name: "ci", token: "abc" }])
})

it("an unknown service is an error only where no discovery server is asked", () => {
  const text = "routes: [{ pathPrefix: /a, service: paymnet }]\nservices: { payment: { instances: ['h:1'] } }\n"
  expect(parse(text).warnings).toMatchObject([{ kind: "unknown-service", line: 1, accepted: "payment", path: "routes[0].service" }])
  expect(errorsOf(`${text}gateway: { discovery: [] }`)).toEqual([
    'm.yaml:1:37: routes[0].service: the service "paymnet" is not defined, and gateway.discovery names no server that could know it; did you mean "payment"?',
  ])
})

it("a backend without a route is a warning", () => {
  const { warnings } = parse("backends:\n  b: { docker: { matchLabels: { app: 1 } } }\n")
  expect(warnings).toMatchObject([{ kind: "unused-backend", file: "m.yaml", line: 2, column: 3, path: "backends.b" }])
})

it.each([
  ["{ path: /a, service: s }", "{ path: /a, service: t }", true],
  ["{ pathPrefix: /a/, service: s }", "{ pathPrefix: /a, service: t }", true],
  ["{ path: /a, service: s, methods: [get, put] }", "{ path: /a, service: t, methods: [PUT] }", true],
  ["{ path: /a, service: s, host: A.example }", "{ path: /a, service: t, host: a.example }", true],
  ["{ path: /a, service: s, methods: [GET] }", "{ path: /a, service: t, methods: [PUT] }", false],
  ["{ path: /a, service: s, host: a.example }", "{ path: /a, service: t }", false],
  ["{ path: /a, service: s }", "{ pathPrefix: /a, service: t }", false],
])("routes %s and %s are duplicates: %s", (one, other, duplicate) => {
  const errors = errorsOf(`routes:\n  - ${one}\n  - ${other}\n`)
  expect(errors).toEqual(duplicate ? ["m.yaml:3:5: routes[1]: matches the same requests as the route in line 2"] : [])
})

it.each([
  ["{ path: /a, match: exact-or-slash, service: s }", "{ path: /a/, service: t }", true],
  ["{ path: /a/, match: exact-or-slash, service: s, methods: [GET, PUT] }", "{ path: /a, service: t, methods: [PUT] }", true],
  ["{ path: /a, service: s }", "{ path: /a, match: exact-or-slash, service: t }", false],
  ["{ path: /a, match: exact-or-slash, service: s }", "{ path: /a, service: t, host: h }", false],
])("the route %s leaves nothing to %s: %s", (one, other, shadowed) => {
  const { warnings } = parse(`routes:\n  - ${one}\n  - ${other}\nservices: { s: { instances: [h] }, t: { instances: [h] } }\n`)
  const expected = { kind: "shadowed-route", line: 3, message: "no request gets here: the route in line 2 matches all of them first" }
  expect(warnings).toMatchObject(shadowed ? [expected] : [])
})

it("bounds aliases, nesting and size", () => {
  const names = Array.from("abcdefgh")
  const nine = (item: string) => `[${Array.from({ length: 9 }, () => item).join()}]`
  const bomb = names.map((name, index) => `${name}: &${name} ${nine(index === 0 ? "x" : `*${names[index - 1]}`)}`).join("\n")
  expect(errorsOf(bomb).join("\n")).toContain("too many values (aliases count each time); accepted are 200000")
  expect(errorsOf("[".repeat(20_000))).toEqual(["m.yaml:1:1: nested too deeply; accepted are at most 64 levels"])
  expect(errorsOf("gateway: &x [*x]").join("\n")).toContain("nested too deeply")
  expect(errorsOf(`a: ${"x".repeat(maxConfigBytes)}`)).toEqual(["m.yaml: is larger than 2 MiB, the most that is accepted"])
  const many = errorsOf(`routes:\n${"  - 1\n".repeat(500)}`)
  expect(many).toHaveLength(101)
  expect(many.at(-1)).toBe("m.yaml: and 400 more errors")
})

it("says in one line why a file cannot be read", () => {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-config-"))
  const messageOf = (path: string) => {
    try {
      loadConfig(path, { env: {} })
    } catch (error) {
      return ConfigError.is(error) ? error.message : String(error)
    }
    return "loaded"
  }
  try {
    const file = join(folder, "a.yaml")
    expect(messageOf(file)).toBe(`${file}: does not exist`)
    expect(messageOf(folder)).toBe(`${folder}: is a directory, not a file`)
    expect(messageOf(join(folder, "\0"))).toMatch(/: cannot be read: ERR_INVALID_ARG_VALUE$/)
    writeFileSync(file, Buffer.from([0x7b, 0xff, 0x7d]))
    expect(messageOf(file)).toBe(`${file}: is not UTF-8 text`)
    writeFileSync(file, "\uFEFFgateway: { port: 0 }")
    expect(loadConfig(file, { env: {} }).gateway.port).toBe(0)
    expect(loadConfig(file, { env: {}, format: "meshwork" }).file).toBe(file)
    expect(() => loadConfig(file, { env: {}, format: "toml" })).toThrow("cannot be read as toml; accepted are serverpy, rgate, meshwork")
  } finally {
    rmSync(folder, { recursive: true })
  }
})

it("is a MeshError with the code invalid_config", () => {
  try {
    parse("")
    expect.unreachable()
  } catch (error) {
    expect(MeshError.is(error) && error.code).toBe("invalid_config")
  }
})

it("lists static instances as registrations that never expire", () => {
  const config = parse("services: { a: { instances: ['https://H.example', { address: '[::1]:7', id: seven, zone: z, check: { method: ping } }] } }")
  expect(staticInstances(config)).toMatchObject([
    { service: "a", id: "h.example:443", registration: { host: "h.example", port: 443, scheme: "https", ttlSeconds: 0 } },
    { service: "a", id: "seven", registration: { host: "::1", port: 7, zone: "z", ttlSeconds: 0, check: { method: "ping", frequencySeconds: 60 } } },
  ])
})

it("an alias without an anchor is an error with its place", () => {
  const text = "routes: *c\ngateway: { port: *p }\n"
  expect(() => parseConfig({ text, file: "m.yaml" }, { env: {} })).toThrow(
    expect.objectContaining({
      issues: [
        expect.objectContaining({ line: 1, found: "*c", message: expect.stringContaining("no anchor &c") }),
        expect.objectContaining({ line: 2, found: "*p" }),
      ],
    }),
  )
})

it("two ports of the gateway that are equal are an error, one of them a default or not", () => {
  expect(() => parse("gateway: { port: 9000, adminPort: 9000 }")).toThrow("gateway.adminPort: gateway.port is 9000 too")
  expect(() => parse("gateway: { port: 8009 }")).toThrow("gateway.port is 8009 too")
  expect(parse("gateway: { port: 0, adminPort: 0 }").warnings).toEqual([])
})

it("a port of discovery that the gateway has too is told, since they may run on different machines", () => {
  expect(parse("discovery: { port: 9000 }\ngateway: { port: 9000 }").warnings).toMatchObject([
    { kind: "shared-port", line: 2, path: "gateway.port", message: "discovery.port is 9000 too, so both cannot run on one machine" },
  ])
})

it.each(["sqlite:", "postgres://h/db", "memory:x", "Sqlite:a"])("the storage %s is not known", (storage) => {
  expect(() => parse(`discovery: { storage: "${storage}" }`)).toThrow(/discovery\.storage: .*memory, file:PATH, sqlite:PATH/)
})

it("reads what the gateway says of TLS, of its log and of its load", () => {
  const gateway = `gateway:
  maxLag: 50ms
  accessLog: logs/access.jsonl
  serverTiming: true
  tls: { cert: a.pem, key: a.key }
  upstreamTls: { ca: ca.pem, services: { shop: { insecure: true }, pay: { ca: pay.pem, serverName: Pay.Test } } }`
  expect(parseConfig({ text: gateway, file: "m" }, { env: {} }).gateway).toMatchObject({
    maxLagMs: 50,
    accessLog: "logs/access.jsonl",
    serverTiming: true,
    tls: { cert: "a.pem", key: "a.key" },
    upstreamTls: { ca: "ca.pem", services: { shop: { insecure: true }, pay: { ca: "pay.pem", serverName: "pay.test", insecure: false } } },
  })
  expect(parseConfig({ text: "gateway: { accessLog: true, maxLag: 0 }", file: "m" }, { env: {} }).gateway).toMatchObject({
    accessLog: true,
    maxLagMs: 0,
  })
})

it.each([
  ["tls: { cert: a.pem }", "gateway.tls.key"],
  ["tls: { cert: '', key: k }", "gateway.tls.cert"],
  ["accessLog: ''", "gateway.accessLog"],
  ["maxLag: -1", "gateway.maxLag"],
  ["upstreamTls: { services: { a: { verify: true } } }", "gateway.upstreamTls.services.a.verify"],
  ["upstreamTls: { services: { a: { serverName: 'a b' } } }", "gateway.upstreamTls.services.a.serverName"],
])("refuses gateway: { %s } at %s", (text, path) => {
  expect(() => parseConfig({ text: `gateway: { ${text} }`, file: "m" }, { env: {} })).toThrow(path)
})
