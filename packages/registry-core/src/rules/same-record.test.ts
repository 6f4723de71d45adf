import { expect, test } from "vitest"
import { sampleRecord } from "../testing/index.ts"
import { sameRecord } from "./same-record.ts"

const record = sampleRecord("s", "i", { zone: "a", tags: { list: [1, { deep: null }], name: "x" }, keeper: "one" })

test.each<[string, object]>([
  ["another order of fields", Object.fromEntries(Object.entries(record).toReversed())],
  ["another order of tags", { ...record, tags: { name: "x", list: [1, { deep: null }] } }],
  ["another keeper", { ...record, keeper: "two" }],
  ["another renewal", { ...record, renewedAt: 5 }],
  ["an undefined field", { ...record, region: undefined }],
])("%s is the same", (_, other) => {
  expect([sameRecord(record, other as never), sameRecord(other as never, record)]).toEqual([true, true])
})

test.each<[string, object]>([
  ["another zone", { ...record, zone: "b" }],
  ["a field more", { ...record, region: "r" }],
  ["a field less", { ...record, zone: undefined }],
  ["one field for another", { ...record, zone: undefined, region: "a" }],
  ["a longer list", { ...record, tags: { ...record.tags, list: [1, { deep: null }, 2] } }],
  ["another value deep inside", { ...record, tags: { ...record.tags, list: [1, { deep: 0 }] } }],
  ["null for nothing", { ...record, tags: { ...record.tags, list: [1, {}] } }],
  ["an object for a list", { ...record, tags: { ...record.tags, list: { 0: 1, 1: { deep: null } } } }],
  ["a number for a text", { ...record, tags: { ...record.tags, name: 1 } }],
  ["a tag with the name of a field left out above", { ...record, tags: { ...record.tags, keeper: "x" } }],
  ["a tag called __proto__", { ...record, tags: JSON.parse('{"list":[1,{"deep":null}],"name":"x","__proto__":{}}') as object }],
  ["a tag called like something every object has", { ...record, tags: { ...record.tags, toString: "x" } }],
])("%s is a difference", (_, other) => {
  expect([sameRecord(record, other as never), sameRecord(other as never, record)]).toEqual([false, false])
})
