import { describe, expect, it, test } from "vitest"
import { type Form, hostForm, requiredTags, sharedLyft } from "../../testing/lyft-bench.ts"

const tags = (changes: object) => JSON.stringify({ ...requiredTags, ...changes })
const deep = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`
const without = (name: string) => JSON.stringify(Object.fromEntries(Object.entries(requiredTags).filter(([key]) => key !== name)))
const badJson = '{"error":"Invalid json supplied in tags"}'

describe("a registration", () => {
  const lyft = sharedLyft()

  test.each<[what: string, service: string, changes: Form, shown: object]>([
    ["as in the README", "ok1", {}, { ip_address: "10.0.0.1", port: 8080, revision: "cafe01", service_repo_name: "payments", tags: requiredTags }],
    ["without a repo", "ok2", { service_repo_name: undefined }, { service_repo_name: "" }],
    ["with an empty repo", "ok3", { service_repo_name: "" }, { service_repo_name: "" }],
    ["with blanks in the repo", "ok4", { service_repo_name: "a b&c=d+e" }, { service_repo_name: "a b&c=d+e" }],
    ["with a repo beyond ASCII", "ok5", { service_repo_name: "größe" }, { service_repo_name: "größe" }],
    ["with blanks around the port", "ok6", { port: " 8080 " }, { port: 8080 }],
    ["with a signed port", "ok7", { port: "+8080" }, { port: 8080 }],
    ["with zeros before the port", "ok8", { port: "0008080" }, { port: 8080 }],
    ["on the first port", "ok9", { port: "1" }, { port: 1 }],
    ["on the last port", "ok10", { port: "65535" }, { port: 65_535 }],
    ["of a service with blanks inside", "my service", {}, { service: "my service" }],
    ["of a service with a plus", "a+b", {}, { service: "a+b" }],
    ["of a service with a percent", "50%", {}, { service: "50%" }],
    ["of a service called repo", "repo", {}, { service: "repo" }],
    ["of a service in capitals", "OK1", {}, { service: "OK1" }],
    ["of a service of 128 characters", "s".repeat(128), {}, { service: "s".repeat(128) }],
    ["with a blank as revision", "ok11", { revision: " " }, { revision: " " }],
    ["with a long revision", "ok12", { revision: "r".repeat(256) }, { revision: "r".repeat(256) }],
    ["at 0.0.0.0", "ok13", { ip: "0.0.0.0" }, { ip_address: "0.0.0.0" }],
    ["at 255.255.255.255", "ok14", { ip: "255.255.255.255" }, { ip_address: "255.255.255.255" }],
    ["at IPv6", "ok15", { ip: "fd00::1" }, { ip_address: "fd00::1" }],
    ["at IPv6 in full", "ok16", { ip: "FD00:0:0:0:0:0:0:1" }, { ip_address: "fd00::1" }],
    ["with ip and auto_ip: ip wins", "ok17", { auto_ip: "true" }, { ip_address: "10.0.0.1" }],
    ["with an unknown field", "ok18", { zone: "x" }, { ip_address: "10.0.0.1" }],
    ["with a null az", "ok19", { tags: tags({ az: null }) }, { tags: { ...requiredTags, az: null } }],
    ["with a null region", "ok20", { tags: tags({ region: null }) }, { tags: { ...requiredTags, region: null } }],
    ["with a null instance_id", "ok21", { tags: tags({ instance_id: null }) }, { tags: { ...requiredTags, instance_id: null } }],
    ["with empty labels", "ok22", { tags: tags({ az: "", region: "" }) }, { tags: { ...requiredTags, az: "", region: "" } }],
    ["with an az that is a number", "ok23", { tags: tags({ az: 7 }) }, { tags: { ...requiredTags, az: 7 } }],
    ["with a region that is a list", "ok24", { tags: tags({ region: ["a"] }) }, { tags: { ...requiredTags, region: ["a"] } }],
    ["with an az that is false", "ok25", { tags: tags({ az: false }) }, { tags: { ...requiredTags, az: false } }],
    ["with a very long az", "ok26", { tags: tags({ az: "z".repeat(300) }) }, { tags: { ...requiredTags, az: "z".repeat(300) } }],
    [
      "with unknown tags",
      "ok27",
      { tags: tags({ onebox_name: "x", n: { m: [1, null] } }) },
      { tags: { ...requiredTags, onebox_name: "x", n: { m: [1, null] } } },
    ],
    ["with weight 1", "ok28", { tags: tags({ load_balancing_weight: 1 }) }, { tags: { ...requiredTags, load_balancing_weight: 1 } }],
    ["with weight 100", "ok29", { tags: tags({ load_balancing_weight: 100 }) }, { tags: { ...requiredTags, load_balancing_weight: 100 } }],
    ["as canary", "ok30", { tags: tags({ canary: true }) }, { tags: { ...requiredTags, canary: true } }],
    ["as no canary", "ok31", { tags: tags({ canary: false }) }, { tags: { ...requiredTags, canary: false } }],
    ["with blanks around the tags", "ok32", { tags: ` ${tags({})}\n` }, { tags: requiredTags }],
    [
      "with a key twice: the last one counts",
      "ok33",
      { tags: `{"az":"a","region":"r","instance_id":"i","az":"b"}` },
      { tags: { az: "b", region: "r", instance_id: "i" } },
    ],
    ["with a tag beyond ASCII", "ok34", { tags: tags({ owner: "Jürgen 🚲" }) }, { tags: { ...requiredTags, owner: "Jürgen 🚲" } }],
    ["with tags of 15 KiB", "ok35", { tags: tags({ a: "x".repeat(15_000) }) }, { tags: { ...requiredTags, a: "x".repeat(15_000) } }],
    ["with a tag called constructor", "ok36", { tags: tags({ constructor: 1 }) }, { tags: { ...requiredTags, constructor: 1 } }],
  ])("%s is taken", async (_, service, changes, shown) => {
    const reply = await lyft().register(service, changes)
    expect([reply.status, reply.text]).toEqual([200, "{}"])
    expect(reply.headers.get("content-type")).toMatch(/^application\/json/)
    const hosts = await lyft().hosts(service)
    expect(hosts).toHaveLength(1)
    expect(hosts[0]).toMatchObject({ service, ...shown })
    if ("tags" in shown) expect(hosts[0].tags).toEqual(shown.tags)
    expect(Object.keys(hosts[0])).toEqual(["ip_address", "last_check_in", "port", "revision", "service", "service_repo_name", "tags"])
  })

  test.each<[what: string, changes: Form, answer?: string]>([
    ["without an ip", { ip: undefined }],
    ["with an empty ip", { ip: "" }],
    ["with an ip of three parts", { ip: "10.0.1" }],
    ["with an ip of five parts", { ip: "10.0.0.1.2" }],
    ["with a part above 255", { ip: "10.0.0.256" }],
    ["with a leading zero", { ip: "10.0.0.01" }],
    ["with an octal part", { ip: "010.0.0.1" }],
    ["with a hexadecimal part", { ip: "0x0a.0.0.1" }],
    ["with a number as ip", { ip: "167772161" }],
    ["with an empty part", { ip: "10..0.1" }],
    ["with a negative part", { ip: "10.0.0.-1" }],
    ["with a blank before the ip", { ip: " 10.0.0.1" }],
    ["with a newline after the ip", { ip: "10.0.0.1\n" }],
    ["with a port in the ip", { ip: "10.0.0.1:80" }],
    ["with a network as ip", { ip: "10.0.0.0/8" }],
    ["with a DNS name as ip", { ip: "host.example.com" }],
    ["with localhost as ip", { ip: "localhost" }],
    ["with IPv6 in brackets", { ip: "[fd00::1]" }],
    ["with a scoped IPv6", { ip: "fe80::1%eth0" }],
    ["with half an IPv6", { ip: "fd00:" }],
    ["with digits of another script", { ip: "１０.0.0.1" }],
    ["without a port", { port: undefined }],
    ["with an empty port", { port: "" }],
    ["on port 0", { port: "0" }],
    ["on port -1", { port: "-1" }],
    ["on port 65536", { port: "65536" }],
    ["on a port of many digits", { port: "9".repeat(400) }],
    ["on a port that is a word", { port: "http" }],
    ["on a port with a fraction", { port: "80.5" }],
    ["on a port with an exponent", { port: "1e3" }],
    ["on a hexadecimal port", { port: "0x50" }],
    ["on a port with a separator", { port: "8_080" }],
    ["on two ports", { port: "80 81" }],
    ["without a revision", { revision: undefined }],
    ["with an empty revision", { revision: "" }],
    ["with a revision of 257 characters", { revision: "r".repeat(257) }],
    ["with a repo of 257 characters", { service_repo_name: "r".repeat(257) }],
    ["without tags", { tags: undefined }],
    ["with empty tags", { tags: "" }],
    ["with an object without keys", { tags: "{}" }],
    ["without az", { tags: without("az") }],
    ["without region", { tags: without("region") }],
    ["without instance_id", { tags: without("instance_id") }],
    ["with az in another case", { tags: `{"AZ":"a","region":"r","instance_id":"i"}` }],
    ["with a list as tags", { tags: "[]" }],
    ["with a list of the keys", { tags: '["az","instance_id","region"]' }],
    ["with a number as tags", { tags: "7" }],
    ["with null as tags", { tags: "null" }],
    ["with true as tags", { tags: "true" }],
    ["with a text as tags", { tags: '"az instance_id region"' }],
    ["with weight 0", { tags: tags({ load_balancing_weight: 0 }) }],
    ["with weight 101", { tags: tags({ load_balancing_weight: 101 }) }],
    ["with weight -1", { tags: tags({ load_balancing_weight: -1 }) }],
    ["with weight 10.5", { tags: tags({ load_balancing_weight: 10.5 }) }],
    ["with a weight in quotes", { tags: tags({ load_balancing_weight: "10" }) }],
    ["with a weight that is null", { tags: tags({ load_balancing_weight: null }) }],
    ["with a weight that is true", { tags: tags({ load_balancing_weight: true }) }],
    ["with a canary in quotes", { tags: tags({ canary: "true" }) }],
    ["with a canary that is 1", { tags: tags({ canary: 1 }) }],
    ["with a canary that is null", { tags: tags({ canary: null }) }],
    ["with tags of 17 KiB", { tags: tags({ a: "x".repeat(17_000) }) }],
    ["with tags that are no JSON", { tags: "az=a,region=r" }, badJson],
    ["with half an object", { tags: '{"az":' }, badJson],
    ["with single quotes", { tags: "{'az':'a','region':'r','instance_id':'i'}" }, badJson],
    ["with a comma at the end", { tags: '{"az":"a","region":"r","instance_id":"i",}' }, badJson],
    ["with two objects", { tags: "{}{}" }, badJson],
    ["with NaN", { tags: '{"az":NaN,"region":"r","instance_id":"i"}' }, badJson],
    ["with a blank as tags", { tags: " " }, badJson],
    ["with undefined as tags", { tags: "undefined" }, badJson],
    ["with a control character", { tags: '{"az":"\u0001","region":"r","instance_id":"i"}' }, badJson],
    ["with very deep tags", { tags: deep(3000) }, badJson],
    ["with a __proto__", { tags: '{"az":"a","region":"r","instance_id":"i","__proto__":{"x":1}}' }, badJson],
    ["with bad tags and a bad port: tags are looked at first", { tags: "{", port: "x" }, badJson],
    ["with bad tags and a bad ip: tags are looked at first", { tags: "{", ip: "10.0.1" }, badJson],
    ["with bad tags and no revision: tags are looked at first", { tags: "{", revision: undefined }, badJson],
    ["with bad tags and no ip: the address is looked at first", { tags: "{", ip: undefined }],
    ["with nothing at all", { ip: undefined, service_repo_name: undefined, port: undefined, revision: undefined, tags: undefined }],
  ])("%s is refused", async (_, changes, answer = "{}") => {
    const reply = await lyft().register("refused", changes)
    expect([reply.status, reply.text]).toEqual([400, answer])
    expect(await lyft().hosts("refused")).toEqual([])
  })

  test.each([
    ["no name", ""],
    ["a blank", "%20"],
    ["a blank before", "%20a"],
    ["a blank behind", "a%20"],
    ["a slash", "a%2Fb"],
    ["a control character", "a%00b"],
    ["a character beyond ASCII", "gr%C3%B6sse"],
    ["129 characters", "s".repeat(129)],
    ["two dots in disguise", "%2E%2E%20"],
  ])("of a service whose name is %s is refused, and its list is empty", async (_, service) => {
    const reply = await lyft().post(`/v1/registration/${service}`, hostForm())
    expect([reply.status, reply.text]).toEqual([400, "{}"])
    if (service !== "") expect(await lyft().call(`/v1/registration/${service}`)).toMatchObject({ status: 200, json: { hosts: [] } })
  })
})

describe("a body", () => {
  const lyft = sharedLyft()
  const json = { ...hostForm(), port: 8080, tags: requiredTags }
  const type = (text: string) => ({ "content-type": text })

  test.each<[what: string, body: string]>([
    ["with tags as curl -d leaves them", `ip=10.0.0.1&port=80&revision=1&tags=${JSON.stringify(requiredTags)}`],
    ["with tags as --data-urlencode makes them", `ip=10.0.0.1&port=80&revision=1&tags=${encodeURIComponent(JSON.stringify(requiredTags))}`],
    ["with plus for blanks", "ip=10.0.0.1&port=+80+&revision=1&tags=%7B%22az%22:+1,+%22region%22:+2,+%22instance_id%22:+3%7D"],
    ["with a field twice: the first counts", `ip=10.0.0.1&ip=10.0.0.256&port=80&revision=1&tags=${JSON.stringify(requiredTags)}`],
    ["with empty pieces", `&&ip=10.0.0.1&&port=80&=&revision=1&tags=${JSON.stringify(requiredTags)}&`],
    ["with fields without values", `x&ip=10.0.0.1&port=80&revision=1&y&tags=${JSON.stringify(requiredTags)}`],
    ["with percent signs that encode nothing", `ip=10.0.0.1&port=80&revision=50%&service_repo_name=%zz&tags=${JSON.stringify(requiredTags)}`],
    ["with names in percent", `%69p=10.0.0.1&p%6Frt=80&revision=1&tags=${JSON.stringify(requiredTags)}`],
  ])("%s is a form", async (what, body) => {
    expect(await lyft().post(`/v1/registration/${encodeURIComponent(what)}`, body)).toMatchObject({ status: 200, text: "{}" })
    expect(await lyft().addresses(what)).toHaveLength(1)
  })

  it("with a charset is a form too", async () => {
    const reply = await lyft().post("/v1/registration/charset", hostForm(), type("application/x-www-form-urlencoded; charset=UTF-8"))
    expect(reply.status).toBe(200)
  })

  test.each<[what: string, body: object]>([
    ["with tags as an object", json],
    ["with tags as text", { ...json, tags: JSON.stringify(requiredTags) }],
    ["with the port as text", { ...json, port: "8080" }],
    ["with nulls for what is absent", { ...json, auto_ip: null, service_repo_name: null }],
    ["with auto_ip false", { ...json, auto_ip: false }],
    ["with a number as revision", { ...json, revision: 7 }],
    ["with unknown fields", { ...json, more: { a: 1 } }],
  ])("of JSON %s is taken", async (what, body) => {
    const reply = await lyft().call(`/v1/registration/json ${what}`, { method: "POST", body })
    expect([reply.status, reply.text]).toEqual([200, "{}"])
    expect(await lyft().addresses(`json ${what}`)).toEqual(["10.0.0.1:8080"])
  })

  test.each<[what: string, body: unknown, answer?: string]>([
    ["that is empty", ""],
    ["that is broken", "{"],
    ["that is null", "null"],
    ["that is a list", []],
    ["that is a text", '"ip"'],
    ["that is a number", "7"],
    ["that is deep", deep(3000)],
    ["with a port that is no whole number", { ...json, port: 80.5 }],
    ["with a port that is a list", { ...json, port: [80] }],
    ["with a port that is true", { ...json, port: true }],
    ["with an ip that is a number", { ...json, ip: 167_772_161 }],
    ["with an ip that is an object", { ...json, ip: {} }],
    ["with no ip and auto_ip false", { ...json, ip: null, auto_ip: false }],
    ["with a revision that is null", { ...json, revision: null }],
    ["with a revision that is an object", { ...json, revision: {} }],
    ["with tags that are null", { ...json, tags: null }],
    ["with tags that are a list", { ...json, tags: [] }],
    ["with tags that are false", { ...json, tags: false }],
    ["with tags that are a number", { ...json, tags: 0 }],
    ["with tags in text that is no JSON", { ...json, tags: "{" }, badJson],
    ["with a __proto__", '{"ip":"10.0.0.1","__proto__":{}}'],
  ])("of JSON %s is refused", async (_, body, answer = "{}") => {
    const reply = await lyft().call("/v1/registration/refused", { method: "POST", body, headers: type("application/json") })
    expect([reply.status, reply.text]).toEqual([400, answer])
  })

  test.each(["text/plain", "application/xml", "multipart/form-data; boundary=x", "nonsense", "application/x-www-form-urlencodedx"])(
    "of type %s has no fields",
    async (content) => {
      const reply = await lyft().call("/v1/registration/refused", {
        method: "POST",
        body: new URLSearchParams(hostForm() as Record<string, string>).toString(),
        headers: type(content),
      })
      expect([reply.status, reply.text]).toEqual([400, "{}"])
    },
  )

  it("that is missing has no fields", async () => {
    expect(await lyft().call("/v1/registration/refused", { method: "POST" })).toMatchObject({ status: 400, text: "{}" })
  })

  it("of more than 256 KiB is not read", async () => {
    const reply = await lyft().register("refused", { tags: "x".repeat(300_000) })
    expect(reply).toMatchObject({ status: 413, json: { code: "payload_too_large" } })
  })
})
