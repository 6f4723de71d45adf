import { expect, it } from "vitest"
import { fakeMesh, ManualClock } from "./index.ts"

it("answers by its script, through real strategies and pools", async () => {
  const clock = new ManualClock()
  const mesh = fakeMesh({ clock, services: { payment: [{ status: 503 }, { status: 200, body: '{"paid":true}' }] } })
  const call = mesh.client("payment").get("/charges/{id}", { params: { id: 7 } })
  await clock.advance(1000)
  const response = await call
  expect([response.status, response.attempts, await response.json({ anyType: true })]).toEqual([200, 2, { paid: true }])
  expect(mesh.transport("payment").sent.map((sent) => sent.target)).toEqual(["/charges/7", "/charges/7"])
  expect(() => mesh.client("orders")).toThrow(RangeError)
  await mesh.close()
})
