import { instanceSchema } from "@meshwork/contract"
import { expect, it } from "vitest"
import { targetsOf, withVerdict } from "./static-targets.ts"

const base = {
  service: "payment",
  host: "10.0.0.7",
  port: 9000,
  origin: "config",
  registeredAt: 1,
  health: { status: "unknown", since: 1, reason: "not probed yet", by: "gateway" },
  state: "up",
  standing: "out",
  why: "not probed yet",
}
const checked = instanceSchema.parse({ ...base, id: "a", check: { method: "http", path: "/health" } })
const unchecked = instanceSchema.parse({ ...base, id: "b" })
const verdict = { service: "payment", id: "a", status: "passing", reason: "GET /health answered 200 in 3 ms", availability: 0.95 } as const

it("makes targets of the instances that declare a check", () => {
  expect(targetsOf([checked, unchecked])).toEqual([
    { service: "payment", id: "a", host: "10.0.0.7", port: 9000, scheme: "http", check: checked.check, health: checked.health },
  ])
})

it("lets a verdict decide the standing", () => {
  const passing = withVerdict(checked, verdict, 5000, "gateway")
  expect(passing).toMatchObject({ standing: "serving", why: "passing: GET /health answered 200 in 3 ms", health: { since: 5000, by: "gateway" } })
  expect(withVerdict(passing, { ...verdict, availability: 0.9 }, 9000, "gateway").health).toMatchObject({ since: 5000, availability: 0.9 })
  expect(withVerdict(passing, { ...verdict, status: "failing", reason: "refused" }, 9000, "gateway")).toMatchObject({
    standing: "out",
    why: "failing: refused",
  })
})
