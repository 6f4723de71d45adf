import { expect, it } from "vitest"
import { parseDynamodbSpecification } from "./index.ts"

it.each([
  ["//hosts", { table: "hosts" }],
  ["//hosts/?region=eu-west-1", { table: "hosts", region: "eu-west-1" }],
  [
    "//my.hosts_1?region=eu-west-1&endpoint=http%3A%2F%2F127.0.0.1%3A8000&create=true&ttl=120",
    { table: "my.hosts_1", region: "eu-west-1", endpoint: "http://127.0.0.1:8000", create: true, legacyTtlSeconds: 120 },
  ],
  ["//hosts?endpoint=http://127.0.0.1:8000/&create=false", { table: "hosts", endpoint: "http://127.0.0.1:8000/", create: false }],
])("%s is read", (text, place) => {
  expect(parseDynamodbSpecification(text)).toEqual(place)
})

it.each([
  ["", "no name of a table"],
  ["//", "no name of a table"],
  ["//a b c", "no name of a table"],
  ["hosts", "no name of a table"],
  ["//hosts/deeper", "no name of a table"],
  ["//hosts?Region=x", 'the option "Region" is not known'],
  ["//hosts?region=", "is no region"],
  ["//hosts?endpoint=127.0.0.1:8000", "endpoint is no http or https URL"],
  ["//hosts?endpoint=file:///x", "endpoint is no http or https URL"],
  ["//hosts?create=yes", "create is true or false"],
  ["//hosts?ttl=0", "ttl is a number of seconds"],
])("%s is refused with what is accepted", (text, message) => {
  expect(() => parseDynamodbSpecification(text)).toThrow(message)
  expect(() => parseDynamodbSpecification(text)).toThrow("accepted is dynamodb://TABLE[?region=REGION]")
})
