import { readFileSync } from "node:fs"
import { join } from "node:path"
import { describe, expect, it, test } from "vitest"
import { lyftVariables, readLyftEnvironment } from "./environment.ts"

const defaults = { hostTtlSeconds: 600, environment: "development", autoIpNetworks: "192.168.0.0/16" }

test("nothing set, or set to nothing, gives the defaults", () => {
  expect(readLyftEnvironment({})).toEqual({ lyft: defaults })
  const empty = Object.fromEntries(Object.keys(lyftVariables).map((name) => [name, ""]))
  expect(readLyftEnvironment(empty)).toEqual({ lyft: defaults })
})

describe("what is set is meant", () => {
  test.each<[env: Record<string, string>, lyft: object]>([
    [{ HOST_TTL: "3" }, { hostTtlSeconds: 3 }],
    [{ HOST_TTL: "86400" }, { hostTtlSeconds: 86_400 }],
    [{ HOST_TTL: "7.5" }, { hostTtlSeconds: 7.5 }],
    [{ APPLICATION_ENV: "production" }, { environment: "production" }],
    [{ CACHE_TYPE: "simple" }, { cacheSeconds: 30 }],
    [{ CACHE_TYPE: "simple", CACHE_TTL: "5" }, { cacheSeconds: 5 }],
    [{ CACHE_TYPE: "simple", CACHE_TTL: "0" }, { cacheSeconds: 0 }],
    [{ CACHE_TYPE: "null", CACHE_TTL: "5" }, {}],
    [{ CACHE_TTL: "5" }, {}],
    [{ MESHWORK_AUTO_IP_CIDR: "10.0.0.0/8, fd00::/8" }, { autoIpNetworks: "10.0.0.0/8, fd00::/8" }],
  ])("%j", (env, lyft) => {
    expect(readLyftEnvironment(env)).toEqual({ lyft: { ...defaults, ...lyft } })
  })

  test.each<[env: Record<string, string>, storage: string]>([
    [{ BACKEND_STORAGE: "InMemory" }, "memory"],
    [{ BACKEND_STORAGE: "InFile" }, "file:.meshwork/registry.log"],
    [{ BACKEND_STORAGE: "InFile", APPLICATION_DIR: "/srv/service/current" }, "file:/srv/service/current/.meshwork/registry.log"],
    [{ BACKEND_STORAGE: "InFile", APPLICATION_DIR: "data/" }, "file:data/.meshwork/registry.log"],
    [{ BACKEND_STORAGE: "DynamoDB", DYNAMODB_TABLE_HOSTS: "hosts" }, "dynamodb://hosts"],
    [
      { BACKEND_STORAGE: "DynamoDB", DYNAMODB_TABLE_HOSTS: "hosts", DYNAMODB_URL: "http://127.0.0.1:8000" },
      "dynamodb://hosts?endpoint=http%3A%2F%2F127.0.0.1%3A8000",
    ],
    [{ BACKEND_STORAGE: "DynamoDB", DYNAMODB_TABLE_HOSTS: "hosts", DYNAMODB_CREATE_TABLES_IN_APP: "yes" }, "dynamodb://hosts?create=true"],
    [{ BACKEND_STORAGE: "DynamoDB", DYNAMODB_TABLE_HOSTS: "hosts", DYNAMODB_CREATE_TABLES_IN_APP: "no" }, "dynamodb://hosts"],
  ])("%j chooses the storage", (env, storage) => {
    expect(readLyftEnvironment(env).storage).toBe(storage)
  })

  it("but --storage wins, and asks nothing of the variables", () => {
    expect(readLyftEnvironment({ BACKEND_STORAGE: "InFile" }, "memory").storage).toBe("memory")
    expect(readLyftEnvironment({ BACKEND_STORAGE: "DynamoDB" }, "memory").storage).toBe("memory")
  })

  test.each<[env: Record<string, string>, level: string | undefined]>([
    [{ LOG_LEVEL: "DEBUG" }, "debug"],
    [{ LOG_LEVEL: "info" }, "info"],
    [{ LOG_LEVEL: "WARNING" }, "warn"],
    [{ LOG_LEVEL: "critical" }, "fatal"],
    [{ LOG_LEVEL: "silent" }, "silent"],
    [{ DEBUG: "true" }, "debug"],
    [{ DEBUG: "1" }, "debug"],
    [{ DEBUG: "YES" }, "debug"],
    [{ DEBUG: "false" }, undefined],
    [{ DEBUG: "0" }, undefined],
    [{ DEBUG: "No" }, undefined],
    [{ DEBUG: "true", LOG_LEVEL: "ERROR" }, "error"],
  ])("%j sets the level of the log", (env, level) => {
    expect(readLyftEnvironment(env).logLevel).toBe(level)
  })
})

describe("what does not parse is refused by name", () => {
  test.each<[name: string, value: string, accepted: string]>([
    ["HOST_TTL", "0", "from 3 to 86400"],
    ["HOST_TTL", "2", "from 3 to 86400"],
    ["HOST_TTL", "86401", "from 3 to 86400"],
    ["HOST_TTL", "-600", "from 3 to 86400"],
    ["HOST_TTL", "10m", "from 3 to 86400"],
    ["HOST_TTL", "1e3", "from 3 to 86400"],
    ["HOST_TTL", "Infinity", "from 3 to 86400"],
    ["HOST_TTL", " ", "from 3 to 86400"],
    ["CACHE_TTL", "-1", "whole number of seconds"],
    ["CACHE_TTL", "1.5", "whole number of seconds"],
    ["CACHE_TTL", "soon", "whole number of seconds"],
    ["CACHE_TYPE", "redis", "null, simple"],
    ["CACHE_TYPE", "Simple", "null, simple"],
    ["BACKEND_STORAGE", "Redis", "DynamoDB, InMemory, InFile"],
    ["BACKEND_STORAGE", "inmemory", "DynamoDB, InMemory, InFile"],
    ["BACKEND_STORAGE", "DynamoDB", "table"],
    ["DEBUG", "maybe", "true, 1, yes, false, 0, no"],
    ["DEBUG", "2", "true, 1, yes, false, 0, no"],
    ["LOG_LEVEL", "loud", "trace, debug, info"],
    ["LOG_LEVEL", "10", "trace, debug, info"],
    ["DYNAMODB_URL", "127.0.0.1:8000", "a URL"],
    ["DYNAMODB_URL", "http://", "a URL"],
    ["DYNAMODB_CREATE_TABLES_IN_APP", "on", "true, 1, yes, false, 0, no"],
    ["MESHWORK_AUTO_IP_CIDR", "192.168", "no network"],
    ["MESHWORK_AUTO_IP_CIDR", "10.0.0.0/33", "no network"],
  ])("%s=%s", (name, value, accepted) => {
    const named = name === "BACKEND_STORAGE" && value === "DynamoDB" ? "DYNAMODB_TABLE_HOSTS" : name
    expect(() => readLyftEnvironment({ [name]: value })).toThrow(
      expect.objectContaining({ code: "invalid_config", message: expect.stringMatching(new RegExp(`^${named}: .*${accepted}`)) }),
    )
  })

  it("all of them at once, also those of a storage that --storage replaces", () => {
    const env = { HOST_TTL: "0", CACHE_TYPE: "x", BACKEND_STORAGE: "y" }
    expect(() => readLyftEnvironment(env, "memory")).toThrow(/^HOST_TTL: .*; CACHE_TYPE: .*; BACKEND_STORAGE: .*$/)
  })
})

test("the reference shows every variable with its default", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../../../docs/reference/lyft-discovery.md"), "utf8")
  const rows = Object.entries(lyftVariables).map(([name, { fallback, what }]) => `| \`${name}\` | ${fallback} | ${what} |`)
  const shown = page.split("\n").filter((line) => /^\| `[A-Z_]+` \|/.test(line))
  expect(shown).toEqual(["| `PORT` | 8008 | port, where `--port` is absent |", ...rows])
})
