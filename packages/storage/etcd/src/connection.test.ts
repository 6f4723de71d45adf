import { expect, it } from "vitest"
import { reasonOf } from "./connection.ts"

it.each([
  [
    "14 UNAVAILABLE: No connection established. Last error: Error: connect ECONNREFUSED 127.0.0.1:1. Resolution note: ",
    "connect ECONNREFUSED 127.0.0.1:1",
  ],
  ["14 UNAVAILABLE: No connection established. Last error: Protocol error (2026-11-21T09:12:07.451Z). Resolution note: ", "Protocol error"],
  ["4 DEADLINE_EXCEEDED: Deadline exceeded after 2.978s,name resolution: 0.037s,metadata filters: 0.036s,Waiting for LB pick", "no answer in time"],
  ["Error: 14 UNAVAILABLE: etcdserver: no leader", "etcdserver: no leader"],
  ["7 PERMISSION_DENIED: etcdserver: permission denied\nmore", "etcdserver: permission denied"],
])("of %j it is told %j", (message, reason) => {
  expect(reasonOf(new Error(message))).toBe(reason)
})
