import { expect, it } from "vitest"
import { chooseAddress, type Vantage } from "./choose-address.ts"
import type { Container, ContainerPort } from "./engine.ts"
import { sampleContainer } from "./testing/sample-container.ts"

const sameHost: Vantage = { publicHost: "127.0.0.1", loopback: true }
const elsewhere: Vantage = { publicHost: "mesh.test", loopback: false }
const tcp = (privatePort: number, publicPort?: number, ip = "0.0.0.0"): ContainerPort =>
  publicPort === undefined ? { privatePort, type: "tcp" } : { privatePort, publicPort, ip, type: "tcp" }

function choose(ports: ContainerPort[], wanted?: number, vantage: Vantage = sameHost, more: Partial<Container> = {}): [string, string[]] {
  const choice = chooseAddress(sampleContainer({ ports, ...more }), wanted, vantage)
  const text = "address" in choice ? `${choice.address.host} ${choice.address.port}` : choice.reason.kind
  return [text, choice.warnings.map((warning) => warning.kind)]
}

it.each<[string, ContainerPort[], number | undefined, string, string[]]>([
  ["one published port", [tcp(8000, 32_768)], undefined, "127.0.0.1 32768", []],
  ["one published among exposed ones", [tcp(8000, 32_768), tcp(9000)], undefined, "127.0.0.1 32768", []],
  ["one published port, the label names another", [tcp(8000, 32_768)], 9000, "127.0.0.1 32768", ["port-not-published"]],
  ["IPv4 and IPv6 of one port, in either order", [tcp(80, 8080, "::"), tcp(80, 8080)], undefined, "127.0.0.1 8080", []],
  ["another port for IPv6 than for IPv4", [tcp(80, 8079, "::"), tcp(80, 8080)], undefined, "127.0.0.1 8080", []],
  ["IPv6 alone", [tcp(80, 8080, "::")], undefined, "127.0.0.1 8080", []],
  ["one port published twice", [tcp(80, 9090), tcp(80, 8080)], undefined, "127.0.0.1 8080", []],
  ["several, no label", [tcp(9000, 1), tcp(8000, 2)], undefined, "127.0.0.1 2", ["several-ports"]],
  ["several, the label decides", [tcp(9000, 1), tcp(8000, 2)], 9000, "127.0.0.1 1", []],
  ["several, the label names none of them", [tcp(9000, 1), tcp(8000, 2)], 7000, "port-not-published", []],
  ["a named address", [tcp(80, 8080, "10.1.2.3")], undefined, "10.1.2.3 8080", []],
  ["a named IPv6 address", [tcp(80, 8080, "fd00:0:0::7")], undefined, "fd00::7 8080", []],
  ["loopback", [tcp(80, 8080, "127.0.0.1")], undefined, "127.0.0.1 8080", []],
  ["an address that is none", [tcp(80, 8080, "fe80::1%eth0")], undefined, "unreachable-address", []],
  ["UDP only", [{ privatePort: 53, publicPort: 53, ip: "0.0.0.0", type: "udp" }], undefined, "no-port", []],
  ["exposed only", [tcp(80)], undefined, "no-port", []],
  ["nothing", [], 8000, "no-port", []],
])("%s", (_, ports, wanted, address, warnings) => {
  expect(choose(ports, wanted)).toEqual([address, warnings])
})

it("a port for IPv6 alone is called at ::1 where that is known to answer, and never beside one for IPv4", () => {
  const vantage = { ...sameHost, overSix: (port: number) => port === 8080 }
  expect(choose([tcp(80, 8080, "::")], undefined, vantage)).toEqual(["::1 8080", []])
  expect(choose([tcp(80, 8081, "::")], undefined, vantage)).toEqual(["127.0.0.1 8081", []])
  expect(choose([tcp(80, 8080, "::"), tcp(80, 8090)], undefined, vantage)).toEqual(["127.0.0.1 8090", []])
})

it("from elsewhere the machine's own name is used, and loopback cannot be", () => {
  expect(choose([tcp(80, 8080)], undefined, elsewhere)).toEqual(["mesh.test 8080", []])
  expect(choose([tcp(80, 8080, "::1")], undefined, elsewhere)).toEqual(["unreachable-address", []])
  const six: Vantage = { publicHost: "fd00::7", loopback: false }
  expect(choose([tcp(80, 8079), tcp(80, 8080, "::")], undefined, six)).toEqual(["fd00::7 8080", []])
  expect(choose([tcp(80, 8080), tcp(80, 8080, "10.0.0.1")], undefined, { loopback: false })).toEqual(["10.0.0.1 8080", []])
  expect(choose([tcp(80, 8080)], undefined, { loopback: false })).toEqual(["unreachable-address", []])
  expect(choose([], 8000, { loopback: false }, { hostNetwork: true })).toEqual(["unreachable-address", []])
  expect(choose([tcp(80, 8080, "127.0.0.1"), tcp(80, 8080, "10.0.0.1")], undefined, elsewhere)).toEqual(["10.0.0.1 8080", []])
})

it("a container on the machine's network needs the label", () => {
  expect(choose([], undefined, sameHost, { hostNetwork: true })).toEqual(["no-port", []])
  expect(choose([], 8000, sameHost, { hostNetwork: true })).toEqual(["127.0.0.1 8000", []])
})

const net = (id: string, address?: string) => ({ id, name: id, ...(address === undefined ? {} : { address }) })

it.each<[string, ContainerPort[], number | undefined, string, string[]]>([
  ["the exposed port", [tcp(8000)], undefined, "172.18.0.5 8000", []],
  ["the inner port of a published one", [tcp(8000, 32_768)], undefined, "172.18.0.5 8000", []],
  ["the lowest of several", [tcp(9000), tcp(8000, 1)], undefined, "172.18.0.5 8000", ["several-ports"]],
  ["the label, whatever the image exposes", [tcp(8000)], 9000, "172.18.0.5 9000", []],
  ["the label where nothing is exposed", [], 9000, "172.18.0.5 9000", []],
  ["no port at all", [], undefined, "no-port", []],
])("in a shared network the container's own address counts: %s", (_, ports, wanted, address, warnings) => {
  const own = sampleContainer({ name: "gateway", networks: [net("a", "172.18.0.2")] })
  const networks = [net("b", "172.19.0.5"), net("a", "172.18.0.5")]
  expect(choose(ports, wanted, { ...sameHost, own }, { networks })).toEqual([address, warnings])
})

it("without a shared network, or on the machine's own, the published port counts", () => {
  const own = sampleContainer({ name: "gateway", networks: [net("a", "172.18.0.2")] })
  const apart = { networks: [net("b", "172.19.0.5")] }
  expect(choose([tcp(80, 8080)], undefined, { ...sameHost, own }, apart)).toEqual(["127.0.0.1 8080", []])
  const stopped = { networks: [net("a")] }
  expect(choose([tcp(80, 8080)], undefined, { ...sameHost, own }, stopped)).toEqual(["127.0.0.1 8080", []])
  const onHost = sampleContainer({ hostNetwork: true, networks: [net("a", "172.18.0.2")] })
  expect(choose([tcp(80, 8080)], undefined, { ...sameHost, own: onHost }, { networks: [net("a", "172.18.0.5")] })).toEqual(["127.0.0.1 8080", []])
})
