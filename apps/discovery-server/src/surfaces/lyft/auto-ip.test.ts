import { expect, describe, it, test } from "vitest"
import { type Form, sharedLyft } from "../../testing/lyft-bench.ts"
import { createAutoIp } from "./auto-ip.ts"

describe("an address that was not sent", () => {
  const byDefault = sharedLyft()
  const anywhere = sharedLyft({ lyft: { autoIpNetworks: "127.0.0.0/8, 10.0.0.0/8, fd00::/8" } })
  const auto: Form = { ip: undefined, auto_ip: "true" }
  let count = 0

  test.each<[forwarded: string, shown: string]>([
    ["192.168.0.1", "192.168.0.1"],
    ["192.168.255.255", "192.168.255.255"],
    ["10.0.0.1, 192.168.3.4", "192.168.3.4"],
    ["192.168.9.9,192.168.3.4", "192.168.3.4"],
    ["unknown, _hidden, 192.168.3.4", "192.168.3.4"],
    ["10.0.0.1 ,   192.168.3.4  ", "192.168.3.4"],
    ["::ffff:192.168.3.4", "192.168.3.4"],
  ])("is the last entry of X-Forwarded-For: %s", async (forwarded, shown) => {
    const service = `forwarded${count++}`
    const form = { ...auto, tags: '{"az":1,"region":2,"instance_id":3}', port: "80", revision: "1" }
    const reply = await byDefault().post(`/v1/registration/${service}`, form, { "x-forwarded-for": forwarded })
    expect([reply.status, reply.text]).toEqual([200, "{}"])
    expect(await byDefault().addresses(service)).toEqual([`${shown}:80`])
  })

  test.each([
    "10.0.0.1",
    "192.169.0.1",
    "192.167.255.255",
    "127.0.0.1",
    "192.168.3.4, 10.0.0.1",
    "192.168.3.4,",
    "192.168.3.4, unknown",
    "192.168.3",
    "192.168.3.4:8080",
    "192.168.3.256",
    "192.168.03.4",
    '"192.168.3.4"',
    "::1",
    "fd00::1",
    "::ffff:10.0.0.1",
    "a.b.c.d",
    ",",
    "192.168.3.4;",
  ])("is refused where X-Forwarded-For says %s", async (forwarded) => {
    const form = { ...auto, tags: '{"az":1,"region":2,"instance_id":3}', port: "80", revision: "1" }
    const reply = await byDefault().post("/v1/registration/refused", form, { "x-forwarded-for": forwarded })
    expect([reply.status, reply.text]).toEqual([400, "{}"])
    expect(await byDefault().hosts("refused")).toEqual([])
  })

  it("is refused where the peer's own address is outside the network", async () => {
    expect(await byDefault().register("peer", auto)).toMatchObject({ status: 400, text: "{}" })
    expect(await byDefault().register("peer", { ...auto, tags: "{" })).toMatchObject({ status: 400, text: "{}" })
  })

  test.each(["true", "1", "false", "0", " ", "no"])("is the peer's where auto_ip is '%s'", async (text) => {
    const service = `peer${count++}`
    expect(await anywhere().register(service, { ...auto, auto_ip: text })).toMatchObject({ status: 200 })
    expect(await anywhere().addresses(service)).toEqual(["127.0.0.1:8080"])
  })

  it("is the peer's where X-Forwarded-For is empty, and what that says where it is not", async () => {
    const form = { ...auto, port: "80", revision: "1", tags: '{"az":1,"region":2,"instance_id":3}' }
    expect(await anywhere().post("/v1/registration/empty", form, { "x-forwarded-for": " " })).toMatchObject({ status: 200 })
    expect(await anywhere().addresses("empty")).toEqual(["127.0.0.1:80"])
    for (const forwarded of ["10.1.2.3", "fd00::7"])
      expect(await anywhere().post("/v1/registration/set", form, { "x-forwarded-for": forwarded })).toMatchObject({ status: 200 })
    expect(await anywhere().addresses("set")).toEqual(["10.1.2.3:80", "fd00::7:80"])
    expect(await anywhere().post("/v1/registration/set", form, { "x-forwarded-for": "192.168.1.1" })).toMatchObject({ status: 400 })
  })

  it("is not looked for where auto_ip is empty, or an ip was sent, good or bad", async () => {
    expect(await anywhere().register("unasked", { ip: undefined, auto_ip: "" })).toMatchObject({ status: 400 })
    expect(await anywhere().register("unasked", { ip: "10.0.0.256", auto_ip: "1" })).toMatchObject({ status: 400 })
    expect(await anywhere().hosts("unasked")).toEqual([])
    expect(await anywhere().register("unasked", { ip: "", auto_ip: "1" })).toMatchObject({ status: 200 })
    expect(await anywhere().addresses("unasked")).toEqual(["127.0.0.1:8080"])
  })

  it("is taken from JSON where auto_ip is true", async () => {
    const body = { auto_ip: true, port: 80, revision: "1", tags: { az: null, region: null, instance_id: null } }
    expect(await anywhere().call("/v1/registration/json", { method: "POST", body })).toMatchObject({ status: 200 })
    expect(await anywhere().addresses("json")).toEqual(["127.0.0.1:80"])
  })
})

describe("networks", () => {
  test.each([
    ["192.168.0.0/16", "192.168.1.2", true],
    ["192.168.0.0/16", "::ffff:192.168.1.2", true],
    ["10.0.0.0/8,172.16.0.0/12", "172.31.255.255", true],
    ["10.0.0.0/8,172.16.0.0/12", "172.32.0.0", false],
    ["10.1.2.3", "10.1.2.3", true],
    ["10.1.2.3", "10.1.2.4", false],
    ["0.0.0.0/0", "8.8.8.8", true],
    ["0.0.0.0/0", "fd00::1", false],
    ["fd00::/8", "fd12::1", true],
    ["::/0", "fe80::1", true],
    ["10.1.2.3/8", "10.200.0.1", true],
  ])("%s hold %s: %s", (networks, peer, held) => {
    expect(createAutoIp(networks)(undefined, peer) !== undefined).toBe(held)
  })

  test.each(["", ",", "192.168.0.0/33", "192.168.0.0/", "192.168/16", "fd00::/129", "localhost", "10.0.0.0/8;", "10.0.0.0/-1", "10.0.0.0/8/8"])(
    "'%s' are refused",
    (networks) => {
      expect(() => createAutoIp(networks)).toThrow(expect.objectContaining({ code: "invalid_config" }))
    },
  )
})
