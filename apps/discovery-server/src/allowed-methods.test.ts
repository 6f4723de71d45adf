import { expect, test } from "vitest"
import { AllowedMethods } from "./allowed-methods.ts"

const methods = new AllowedMethods()
methods.add("/v1/services", ["GET", "HEAD"])
methods.add("/v1/services/:service/instances/:id", "PUT")
methods.add("/v1/services/:service/instances/:id", "GET")

test.each([
  ["/v1/services?x=1", ["GET", "HEAD"]],
  ["/v1/services/a%20b/instances/c", ["GET", "PUT"]],
  ["/v1/services/a/instances/", []],
  ["/v1/services/", []],
  ["/v1", []],
  ["", []],
])("%s takes %j", (target, expected) => {
  expect(methods.of(target)).toEqual(expected)
})
