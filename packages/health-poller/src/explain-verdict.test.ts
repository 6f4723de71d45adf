import { expect, test } from "vitest"
import { explainVerdict, type VerdictFacts } from "./explain-verdict.ts"

const plain = { passAfter: 1, failAfter: 1, retries: 0, frequencySeconds: 10 }
const facts = (status: VerdictFacts["state"]["status"], more: Partial<VerdictFacts> & { passed?: number; failed?: number } = {}): VerdictFacts => {
  const { passed = 0, failed = 0, ...rest } = more
  return { state: { status, passed, failed }, check: plain, penalty: 0, heldForMs: 0, ...rest }
}

test.each<[string, VerdictFacts, string]>([
  ["GET /health answered 200 in 3 ms", facts("passing"), "GET /health answered 200 in 3 ms; a failed check would make it failing, one every 10 s"],
  [
    "GET /health answered 200 in 3 ms",
    facts("passing", { check: { ...plain, failAfter: 3, retries: 2 }, failed: 1 }),
    "GET /health answered 200 in 3 ms; 2 failed checks in a row of 3 tries each would make it failing, one every 10 s",
  ],
  ["GET /health answered 500 in 3 ms", facts("failing"), "GET /health answered 500 in 3 ms; a good check will make it passing, one every 10 s"],
  [
    "connect refused",
    facts("failing", { check: { ...plain, retries: 3, passAfter: 2 } }),
    "connect refused (4 tries failed); 2 good checks in a row will make it passing, one every 10 s",
  ],
  [
    "connect refused",
    facts("failing", { penalty: 2.62, heldForMs: 20_100 }),
    "connect refused; it flaps (penalty 2.6), so it passes again after 21 s without a failure",
  ],
  [
    "GET /health answered 200 in 3 ms",
    facts("passing", { penalty: 2.62, heldForMs: 20_100 }),
    "held as failing although GET /health answered 200 in 3 ms; it flaps (penalty 2.6), so it passes again after 21 s without a failure",
  ],
])("%s is explained", (reason, given, sentence) => {
  expect(explainVerdict(reason, given)).toBe(sentence)
})
