import { expect, it } from "vitest"
import { readNativeLabels } from "./native-labels.ts"

it("reads every label", () => {
  const labels = {
    "meshwork.service": "payment",
    "meshwork.port": "8000",
    "meshwork.path_prefix": "/api/payment/",
    "meshwork.weight": "10",
    "meshwork.priority": "high",
    "meshwork.check_path": "/health?deep=1",
    "com.docker.compose.service": "other",
  }
  const { native, warnings } = readNativeLabels(labels)
  expect(warnings).toEqual([])
  expect(native).toEqual({
    service: "payment",
    port: 8000,
    pathPrefix: "/api/payment",
    weight: 10,
    priority: "high",
    check: expect.objectContaining({ method: "http", path: "/health?deep=1", frequencySeconds: 2 }),
  })
})

it.each([
  ["service", "a/b", "malformed-label"],
  ["service", "", "malformed-label"],
  ["service", "..", "malformed-label"],
  ["port", "0", "malformed-label"],
  ["port", "65536", "malformed-label"],
  ["port", "80a", "malformed-label"],
  ["port", "-1", "malformed-label"],
  ["path_prefix", "api", "malformed-label"],
  ["path_prefix", "/a b", "malformed-label"],
  ["path_prefix", "/a?b", "malformed-label"],
  ["path_prefix", "/a/%2e%2e/b", "malformed-label"],
  ["path_prefix", `/${"a".repeat(3000)}`, "malformed-label"],
  ["weight", "0", "malformed-label"],
  ["weight", "101", "malformed-label"],
  ["weight", "1.5", "malformed-label"],
  ["priority", "urgent", "malformed-label"],
  ["check_path", "health", "malformed-label"],
  ["sevice", "payment", "unknown-label"],
  ["__proto__", "x", "unknown-label"],
])("meshwork.%s of %j is left out with the warning %s", (name, value, kind) => {
  const { native, warnings } = readNativeLabels({ "meshwork.service": "kept", [`meshwork.${name}`]: value })
  expect(warnings).toEqual([{ kind, message: expect.stringContaining(`meshwork.${name}`) }])
  expect(native).toEqual(name === "service" ? {} : { service: "kept" })
})

it("warns of a path without a service, and keeps the root as it is", () => {
  expect(readNativeLabels({ "meshwork.path_prefix": "/" })).toEqual({
    native: { pathPrefix: "/" },
    warnings: [{ kind: "route-without-service", message: expect.any(String) }],
  })
})
