import { describe, expect, it } from "vitest"
import { ConfigError, type LoadedConfig, loadConfig, parseConfig, staticInstances } from "../index.ts"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

/** Both shapes of the original's README, in one file. */
const readme = {
  "meta-info": {
    discovery_server_name: "My Discovery Server",
    request_processor_name: "My Request Processor",
    discovery_server_port: 8018,
    request_processor_port: 8081,
  },
  service1: {
    servers: {
      "www.google.com": { method: "ping", frequency: 80, retries: 0, packet_limit: 5000, priority: "high" },
      "www.google.co.in": { method: "ping", frequency: 80, retries: 0, packet_limit: 5000 },
    },
    apis: ["/first", "/second/sample"],
  },
  service2: {
    servers: ["127.0.0.1:8080"],
    polling: { method: "health", endpoint: "/health", retries: 3, retry_delay: 10, packet_limit: 10_000 },
    apis: ["/second", "/third"],
  },
}

const parse = (document: unknown, format?: string): LoadedConfig => {
  return parseConfig({ text: typeof document === "string" ? document : JSON.stringify(document, null, 1), file: "test.json" }, { env: {}, format })
}

/** What is wrong, without lines. */
function errorsOf(document: unknown, format?: string): string[] {
  try {
    parse(document, format)
    return []
  } catch (error) {
    if (ConfigError.is(error)) return error.issues.map(({ path, message }) => (path === "" ? message : `${path}: ${message}`))
    throw error
  }
}

const plain = { servers: ["127.0.0.1:9000"], polling: { method: "ping" }, apis: ["/a"] }
const instancesOf = (service: object) => parse({ a: { ...plain, ...service } }).services["a"]?.instances ?? []

describe("ServerPy's file", () => {
  it("is read as it is, both shapes in one", () => {
    const config = parse(readme)
    expect([config.format, config.warnings]).toEqual(["serverpy", []])
    expect(config.discovery).toMatchObject({ host: "127.0.0.1", port: 8018, name: "My Discovery Server" })
    expect(config.gateway).toMatchObject({
      port: 8081,
      name: "My Request Processor",
      discovery: ["http://127.0.0.1:8018"],
      rootAnswer: { status: "Success" },
    })
    const ping = { method: "ping", icmp: true, frequencySeconds: 80, timeoutSeconds: 5, retries: 0, passAfter: 1, failAfter: 1, packetLimit: 5000 }
    expect(config.services["service1"]?.instances).toMatchObject([
      {
        id: "www.google.com:80",
        host: "www.google.com",
        port: 80,
        scheme: "http",
        priority: "high",
        check: ping,
        tags: { "serverpy.address": "www.google.com" },
      },
      { id: "www.google.co.in:80", priority: "low", check: ping },
    ])
    expect(config.services["service2"]?.instances).toEqual([
      {
        id: "127.0.0.1:8080",
        host: "127.0.0.1",
        port: 8080,
        scheme: "http",
        priority: "low",
        tags: { "serverpy.address": "127.0.0.1:8080" },
        check: {
          method: "http",
          path: "/health",
          frequencySeconds: 60,
          timeoutSeconds: 5,
          retries: 3,
          retryDelaySeconds: 10,
          passAfter: 1,
          failAfter: 1,
          packetLimit: 10_000,
        },
      },
    ])
    expect(config.routes.map(({ path, target }) => [path, target.name])).toEqual([
      ["/first", "service1"],
      ["/second/sample", "service1"],
      ["/second", "service2"],
      ["/third", "service2"],
    ])
    for (const route of config.routes)
      expect(route).toMatchObject({
        match: "exact-or-slash",
        balancer: "availability",
        whenAllFail: "fail",
        unreachableStatus: 502,
        timeoutMs: 30_000,
      })
    expect(staticInstances(config)).toHaveLength(3)
  })

  it("may be YAML, in a .yaml or a .yml, and JSON whatever its name", () => {
    const folder = mkdtempSync(join(tmpdir(), "meshwork-serverpy-"))
    const yaml = "# mine\nservice1:\n  servers:\n    127.0.0.1:9000: { method: ping, priority: med }\n  apis: [/first]\n"
    for (const [name, text] of [
      ["test.yaml", yaml],
      ["test.yml", yaml],
      ["test.json", JSON.stringify(readme)],
      ["test.conf", JSON.stringify(readme)],
    ] as const) {
      writeFileSync(join(folder, name), text)
      expect(loadConfig(join(folder, name), { env: {} }).format, name).toBe("serverpy")
    }
    rmSync(folder, { recursive: true })
  })

  it("has the ports 8008 and 8001 and the original's names without meta-info", () => {
    const { discovery, gateway } = parse({ a: plain })
    expect([discovery.port, discovery.name, gateway.port]).toEqual([8008, "Discovery Server", 8001])
    expect(gateway.discovery).toEqual(["http://127.0.0.1:8008"])
    expect(parse({ "meta-info": { request_processor_port: 9001 }, a: plain })).toMatchObject({ discovery: { port: 8008 }, gateway: { port: 9001 } })
  })

  it("keeps the admin port out of the way of the file's own", () => {
    const ports = (discovery: number, processor: number) =>
      parse({ "meta-info": { discovery_server_port: discovery, request_processor_port: processor }, a: plain }).gateway.adminPort
    expect([ports(8008, 8001), ports(8009, 8001), ports(8008, 8009), ports(8009, 8010)]).toEqual([8009, 8010, 8010, 8011])
  })

  it("asks the discovery server of the same file about its services first", () => {
    expect(parse({ a: plain }).gateway.registered).toBe(true)
    expect(parse("services: { a: { instances: [a:1] } }").gateway.registered).toBe(false)
  })

  it("fills in what a polling leaves out", () => {
    expect(instancesOf({})[0]?.check).toEqual({
      method: "ping",
      frequencySeconds: 60,
      timeoutSeconds: 5,
      retries: 0,
      retryDelaySeconds: 0,
      passAfter: 1,
      failAfter: 1,
      packetLimit: 5000,
    })
  })

  it.each([
    ["10.0.0.7", { id: "10.0.0.7:80", host: "10.0.0.7", port: 80, scheme: "http" }, true],
    ["LOCALHOST:8080", { id: "localhost:8080", host: "localhost", port: 8080, scheme: "http" }, false],
    ["http://localhost", { id: "localhost:80", port: 80, scheme: "http" }, true],
    ["https://localhost", { id: "localhost:443", port: 443, scheme: "https" }, true],
    ["https://localhost:8443/", { id: "localhost:8443", port: 8443, scheme: "https" }, false],
    ["[::1]:9000", { id: "[::1]:9000", host: "::1", port: 9000 }, false],
    ["[::1]", { id: "[::1]:80", host: "::1", port: 80 }, true],
  ])("takes the address %s, and pings the host where no port is given", (written, expected, icmp) => {
    const [instance] = instancesOf({ servers: [written] })
    expect(instance).toMatchObject({ ...expected, tags: { "serverpy.address": written } })
    expect(instance?.check?.icmp ?? false).toBe(icmp)
  })

  it("lets the instance's own value win over the service's", () => {
    const servers = { "127.0.0.1:1": { frequency: 5, priority: "med" }, "127.0.0.1:2": { method: "health", endpoint: "/own" }, "127.0.0.1:3": {} }
    const polling = { method: "ping", frequency: 70, retries: 1, retry_delay: 2, priority: "high" }
    expect(
      instancesOf({ servers, polling }).map(({ priority, check }) => [priority, check?.method, check?.path, check?.frequencySeconds, check?.retries]),
    ).toEqual([
      ["med", "ping", undefined, 5, 1],
      ["high", "http", "/own", 70, 1],
      ["high", "ping", undefined, 70, 1],
    ])
  })

  it("says nothing of a port with a health check", () => {
    const [instance] = instancesOf({ servers: ["localhost"], polling: { method: "health", endpoint: "health?deep=1" } })
    expect(instance?.check).toMatchObject({ method: "http", path: "/health?deep=1" })
  })

  it("ignores a trailing slash of an api, and one that is listed twice by its own service", () => {
    expect(parse({ a: { ...plain, apis: ["/a/", "/a", "/"] } }).routes.map(({ path }) => path)).toEqual(["/a", "/"])
  })
})

describe("everything that is wrong is said at once", () => {
  it("with service and instance", () => {
    const wrong = {
      "meta-info": { discovery_server_port: "8008", request_procesor_port: 1 },
      first: {
        servers: {
          "127.0.0.1:1": { method: "pong" },
          "127.0.0.1:2": { method: "health" },
          "127.0.0.1:3": { method: "ping", retries: 2 },
          "127.0.0.1:4": { method: "ping", priority: "urgent" },
          "127.0.0.1:5": { frequency: "often" },
          "127.0.0.1:6": { method: "ping", timeout: 3 },
          "127.0.0.1:7": "ping",
          "http://a/b": { method: "ping" },
        },
        apis: ["/x"],
      },
      second: { servers: "127.0.0.1:1", polling: { method: "ping" }, apis: [] },
      third: { servers: [], polling: { method: "ping", priority: "high" }, apis: ["/y"] },
      fourth: { servers: {}, apis: "/z" },
      fifth: { servers: ["127.0.0.1:1"], apis: ["/w", "v", 7], extra: 1 },
      sixth: {
        servers: ["127.0.0.1:1", "http://127.0.0.1:1", 80],
        polling: { method: "health", retries: 1.5, packet_limit: 0, endpoint: 7 },
        apis: ["/x/"],
      },
      seventh: [],
    }
    expect(errorsOf(wrong)).toEqual([
      'meta-info.discovery_server_port: found "8008"; accepted is a port from 1 to 65535, or 0 for a free one',
      'meta-info.request_procesor_port: unknown key "request_procesor_port"; did you mean "request_processor_port"?',
      'first.servers["127.0.0.1:1"].method: found "pong"; accepted is health, ping',
      'first.servers["127.0.0.1:2"].endpoint: is missing; the method health needs the path it is to ask for',
      'first.servers["127.0.0.1:3"].retry_delay: is missing; retries need the seconds between them',
      'first.servers["127.0.0.1:4"].priority: found "urgent"; accepted is high, med, low',
      'first.servers["127.0.0.1:5"].method: is missing; accepted is health, ping',
      'first.servers["127.0.0.1:5"].frequency: found "often"; accepted is a number of seconds from 0.1 to 86400',
      'first.servers["127.0.0.1:6"].timeout: unknown key "timeout"; accepted are method, endpoint, frequency, retries, retry_delay, packet_limit, priority',
      'first.servers["127.0.0.1:7"]: found "ping"; accepted is a mapping',
      'first.servers["http://a/b"]: this is no address; accepted is host, host:port or a URL with http or https and without a path',
      'second.servers: found "127.0.0.1:1"; accepted is a list of addresses, or a mapping from address to polling',
      "second.apis: found an empty list; accepted is a list of at least 1",
      "third.servers: found an empty list; accepted is a list of at least 1",
      "third.polling.priority: goes with servers that have a polling each: all of a list would have the same",
      "fourth.servers: found an empty mapping; accepted is at least one address",
      'fourth.apis: found "/z"; accepted is a list',
      "fifth.polling: is missing; a list of servers needs a polling that they share",
      expect.stringMatching(/^fifth\.apis\[1\]: found "v"; accepted is a path that begins with/),
      expect.stringMatching(/^fifth\.apis\[2\]: found 7; accepted is a path that begins with/),
      'fifth.extra: unknown key "extra"; accepted are servers, polling, apis',
      'sixth.servers[1]: is here a second time: "127.0.0.1:1" stands for 127.0.0.1:1 too',
      "sixth.servers[2]: found 80; accepted is host, host:port or a URL with http or https and without a path",
      "sixth.polling.retry_delay: is missing; retries need the seconds between them",
      "sixth.polling.retries: found 1.5; accepted is a whole number from 0 to 100",
      "sixth.polling.packet_limit: found 0; accepted is a whole number from 1 to 1000000",
      "sixth.polling.endpoint: found 7; accepted is a path such as /health, without blanks",
      'sixth.apis[0]: the api "/x/" belongs to one service only, and both "first" and "sixth" list it',
      "seventh: found an empty list; accepted is a mapping",
    ])
  })

  it.each([
    ["", ["is empty"]],
    ["   \n", ["is empty"]],
    ["{}", []],
    ['{"meta-info": {}}', ["the file names no service"]],
    ['{"a": {"servers": ["x:1"], "polling": {"method": "ping"}, "apis": ["/a"]}', [expect.stringMatching(/expected|must|Flow map/i)]],
    [
      '{"service_1": {}, "service_2": {}}',
      ["service_1", "service_2"].flatMap((name) => [
        `${name}.servers: is missing; accepted is a list of addresses, or a mapping from address to polling`,
        `${name}.apis: is missing; accepted is a list`,
        `${name}.polling: is missing; a list of servers needs a polling that they share`,
      ]),
    ],
  ])("of %j too", (text, errors) => {
    expect(errorsOf(text).toSorted()).toEqual(errors.toSorted())
  })

  it("ports that are asked for twice", () => {
    expect(errorsOf({ "meta-info": { discovery_server_port: 8001 }, a: plain })).toEqual([expect.stringContaining("is 8001 too")])
  })

  it("a value of the wrong type for each key", () => {
    for (const [key, values] of Object.entries({
      frequency: ["60", 0, -1, true, null, []],
      retries: ["3", -1, 101, true, null],
      retry_delay: ["1", -1, {}, null],
      packet_limit: ["5000", 0, 1.5, null],
      method: ["", 7, null, "HEALTH"],
      endpoint: ["", 7, null, "/a b"],
    }))
      for (const found of values) {
        const polling = { method: "health", endpoint: "/", retries: 0, retry_delay: 1, [key]: found }
        expect(errorsOf({ a: { ...plain, polling } }), `${key} ${JSON.stringify(found)}`).toEqual([
          expect.stringMatching(new RegExp(`^a\\.polling\\.${key}: found `)),
        ])
      }
  })
})

it.each([
  ["services: { servers: { instances: [a:1] } }", "meshwork"],
  ["gateway: { port: 1 }", "meshwork"],
  ["services: { servers: [a:1], polling: { method: ping }, apis: [/a] }", "serverpy"],
  ["x: { servers: [a:1], polling: { method: ping }, apis: [/a] }", "serverpy"],
  ["default_response: { body: x }", "rgate"],
])("%s is taken as %s's", (text, format) => {
  expect(parse(text).format).toBe(format)
})
