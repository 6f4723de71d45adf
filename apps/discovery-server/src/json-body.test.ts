import { MeshError } from "@meshwork/contract"
import { expect, it, test } from "vitest"
import { maxJsonDepth, parseJsonBody } from "./json-body.ts"

test.each([
  { text: "", value: undefined },
  { text: '{"a":[1,{"b":null}]}', value: { a: [1, { b: null }] } },
  { text: JSON.stringify({ text: '[[[{{{\\"[[[' }), value: { text: '[[[{{{\\"[[[' } },
  { text: `"${"[".repeat(1000)}"`, value: "[".repeat(1000) },
  { text: "[".repeat(maxJsonDepth) + "]".repeat(maxJsonDepth), value: expect.any(Array) },
  { text: `[${"[],".repeat(1000)}[]]`, value: expect.any(Array) },
  { text: '{"constructor":1,"note":"__proto__ \\u0041"}', value: { constructor: 1, note: "__proto__ A" } },
])("reads $text", ({ text, value }) => {
  expect(parseJsonBody(text)).toEqual(value)
})

test.each([
  { text: "[".repeat(maxJsonDepth + 1) + "]".repeat(maxJsonDepth + 1), says: /deeper than 64/ },
  { text: '{"a":'.repeat(50_000), says: /deeper than 64/ },
  { text: '{"a":1', says: /not JSON: .*position 6/ },
  { text: "{'a':1}", says: /not JSON/ },
  { text: '{"tags":{"__proto__":{"x":1}}}', says: /^tags\.__proto__: / },
  { text: '{"tags":{"\\u005f_proto__":{"x":1}}}', says: /^tags\.__proto__: / },
  { text: '[{"a":[{"__proto__":1}]}]', says: /^0\.a\.0\.__proto__: / },
])("refuses $says", ({ text, says }) => {
  let thrown: unknown
  try {
    parseJsonBody(text)
  } catch (error) {
    thrown = error
  }
  expect(MeshError.is(thrown) && thrown.code).toBe("invalid_request")
  expect((thrown as Error).message).toMatch(says)
})

it("leaves Object.prototype as it is", () => {
  expect(() => parseJsonBody('{"__proto__":{"polluted":true}}')).toThrow()
  expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
})
