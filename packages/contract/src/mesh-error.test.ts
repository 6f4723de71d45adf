import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { type ErrorCode, errorCodes, MeshError } from "./mesh-error.ts"
import { fromProblem, toProblem } from "./problem.ts"

const codes = Object.keys(errorCodes) as ErrorCode[]

it("keeps its cause and knows whether trying again can help", () => {
  const cause = new Error("refused")
  const error = new MeshError("connection_failed", "payment refused", { cause })
  expect([error.cause, error.status, error.retryable]).toEqual([cause, 502, true])
  expect(new MeshError("not_found", "x").retryable).toBe(false)
})

it("is recognised across copies of the package", () => {
  const foreign = Object.assign(new Error("x"), { [Symbol.for("meshwork.MeshError")]: true })
  expect([MeshError.is(foreign), MeshError.is(new Error("x")), MeshError.is(undefined)]).toEqual([true, false, false])
})

it("wraps whatever was thrown", () => {
  expect(MeshError.from("text").code).toBe("internal")
  expect(MeshError.from(new DOMException("stop", "AbortError")).code).toBe("aborted")
})

it.each(codes)("%s survives the wire", (code) => {
  const error = new MeshError(code, "what happened", { members: { issues: [1], status: 1 } })
  const problem = toProblem(error)
  expect(problem.body).toMatchObject({ type: `urn:meshwork:error:${code}`, status: problem.status, detail: "what happened", code, issues: [1] })
  const back = fromProblem(problem.status, new Headers(problem.headers), JSON.parse(JSON.stringify(problem.body)))
  expect([back.code, back.message, back.retryAfterMs]).toEqual([code, error.message, error.retryAfterMs])
})

it("tells nothing of an unexpected fault", () => {
  const problem = toProblem(new Error("password is hunter2"))
  expect([problem.status, JSON.stringify(problem.body)]).toEqual([500, expect.not.stringContaining("hunter2")])
})

it("answers of other programs become errors by their status", () => {
  expect(fromProblem(503, new Headers({ "retry-after": "7" }), "<html>")).toMatchObject({ code: "overloaded", retryAfterMs: 7000 })
})

it("the reference names every code with its status, and no other", () => {
  const page = readFileSync(join(import.meta.dirname, "../../../docs/reference/errors.md"), "utf8")
  const rows = [...page.matchAll(/^\| `([a-z_]+)` \| (\d{3}) \| ([a-z ]+) \|/gm)].map((row) => `${row[1]} ${row[2]} ${row[3]}`)
  expect(rows).toEqual(codes.map((code) => `${code} ${errorCodes[code].status} ${errorCodes[code].retry.replaceAll("-", " ")}`))
})
