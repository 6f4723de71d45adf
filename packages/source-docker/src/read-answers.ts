import type { Container, ContainerDetail, ContainerNetwork, ContainerPort, EngineEvent } from "./engine.ts"

type Fields = Readonly<Record<string, unknown>>

/** A container of the engine's list, read loosely: engines differ in what they leave out. Undefined for what is none. */
export function readContainer(entry: unknown): Container | undefined {
  const found = fields(entry)
  const id = text(found["Id"])
  if (id === "") return undefined
  const status = text(found["Status"])
  const names = Array.isArray(found["Names"]) ? found["Names"].map(text).filter((name) => name !== "") : []
  const networks = Object.entries(fields(fields(found["NetworkSettings"])["Networks"]))
  return {
    id,
    // A name with a second slash is what another container calls it by a link.
    name: (names.find((name) => !name.slice(1).includes("/")) ?? names[0] ?? id.slice(0, 12)).replace(/^\//, ""),
    image: text(found["Image"]),
    created: number(found["Created"]),
    state: text(found["State"]).toLowerCase(),
    health: readHealth(found["Health"], status),
    labels: Object.fromEntries(Object.entries(fields(found["Labels"])).map(([name, value]) => [name, text(value)])),
    ports: Array.isArray(found["Ports"]) ? found["Ports"].flatMap(readPort) : [],
    networks: networks.map(([name, network]) => readNetwork(name, fields(network))),
    hostNetwork: text(fields(found["HostConfig"])["NetworkMode"]) === "host" || networks.some(([name]) => name === "host"),
  }
}

/** Lists say it in words, such as `Up 3 seconds (health: starting)`; new engines in a field too. */
function readHealth(health: unknown, status: string): Container["health"] {
  const said = text(fields(health)["Status"]) || (/\((?:health: )?(starting|healthy|unhealthy)\)/.exec(status)?.[1] ?? "")
  return said === "starting" || said === "healthy" || said === "unhealthy" ? said : "none"
}

function readPort(entry: unknown): ContainerPort[] {
  const port = fields(entry)
  const privatePort = number(port["PrivatePort"])
  const publicPort = number(port["PublicPort"])
  if (privatePort < 1) return []
  const type = text(port["Type"]) || "tcp"
  return [publicPort < 1 ? { privatePort, type } : { privatePort, publicPort, ip: text(port["IP"]) || "0.0.0.0", type }]
}

function readNetwork(name: string, network: Fields): ContainerNetwork {
  const first = (...keys: string[]): string => keys.map((key) => text(network[key])).find((value) => value !== "") ?? ""
  const address = first("IPAddress", "GlobalIPv6Address")
  const gateway = first("Gateway", "IPv6Gateway")
  return { id: text(network["NetworkID"]), name, ...(address === "" ? {} : { address }), ...(gateway === "" ? {} : { gateway }) }
}

/** An event, or undefined where the line is none. */
export function readEvent(line: string): EngineEvent | undefined {
  let event: Fields
  try {
    event = fields(JSON.parse(line))
  } catch {
    return undefined
  }
  const actor = fields(event["Actor"])
  const attributes = fields(actor["Attributes"])
  const type = text(event["Type"]) || "container"
  const action = text(event["Action"]) || text(event["status"])
  if (action === "") return undefined
  const signal = Number(text(attributes["signal"]))
  return {
    type,
    action,
    container: type === "container" ? text(actor["ID"]) || text(event["id"]) : text(attributes["container"]),
    ...(action === "kill" && Number.isInteger(signal) && signal > 0 ? { signal } : {}),
    timeNano: nanoseconds(line) ?? "",
  }
}

/** Read from the text: as a number it would lose its last digits. */
function nanoseconds(line: string): string | undefined {
  return /"timeNano":\s*(\d{1,20})/.exec(line)?.[1]
}

/** What `inspect` answers. */
export function readDetail(answer: unknown): ContainerDetail {
  const state = fields(fields(answer)["State"])
  const config = fields(fields(answer)["Config"])
  const timeout = config["StopTimeout"]
  return {
    running: state["Running"] === true,
    startedAt: Date.parse(text(state["StartedAt"])) || 0,
    stopSignal: text(config["StopSignal"]) || "SIGTERM",
    stopTimeoutSeconds: typeof timeout === "number" && timeout >= 0 ? timeout : 10,
  }
}

/** Identity and name of an engine. */
export function readInfo(answer: unknown): { id: string; name: string } {
  const { ID: id, Name: name } = fields(answer)
  return { id: text(id), name: text(name) }
}

function fields(value: unknown): Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Fields) : {}
}

function text(value: unknown): string {
  return typeof value === "string" ? value : typeof value === "number" ? String(value) : ""
}

function number(value: unknown): number {
  return typeof value === "number" && Number.isFinite(value) ? value : 0
}
