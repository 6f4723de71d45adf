import { expect, it } from "vitest"
import { formatWatchToken, parseWatchToken } from "./watch-events.ts"

it.each([
  ["ab12.7", { epoch: "ab12", revision: 7 }],
  ["a.b.7", { epoch: "a.b", revision: 7 }],
  ["", undefined],
  [undefined, undefined],
  ["ab", undefined],
  ["ab.", undefined],
  ["ab.-1", undefined],
  ["ab.99999999999999999", undefined],
])("reads the token %j", (text, token) => {
  expect(parseWatchToken(text)).toEqual(token)
  if (token) expect(formatWatchToken(token)).toBe(text)
})
