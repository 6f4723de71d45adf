import { readFileSync, writeFileSync } from "node:fs"
import { get, request } from "node:http"
import { connect, type Socket } from "node:net"
import { join } from "node:path"
import { expect, it, onTestFinished } from "vitest"
import { eventually } from "./support/eventually.ts"
import { getOk } from "./support/mesh.ts"
import { freePorts, launch, meshwork, type Program, root, scratchFolder } from "./support/programs.ts"

const gigabyte = 1024 ** 3

function residentMegabytes(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
}

async function startGateway(): Promise<{ gateway: Program; url: string; port: number }> {
  const [port, admin, backend] = await freePorts(3)
  const folder = scratchFolder()
  const file = join(folder, "meshwork.yaml")
  writeFileSync(
    file,
    `gateway: { port: ${port}, adminPort: ${admin}, discovery: [], idleTimeout: 2s, maxConnections: 9000 }
services: { streamer: { instances: ["127.0.0.1:${backend}"] } }
routes: [{ pathPrefix: /, service: streamer, timeout: 60s }]
`,
  )
  const streamer = launch("streamer", process.execPath, [join(root, "e2e/programs/streamer.mjs")], { env: { PORT: String(backend) } })
  await eventually("the backend listens", 10_000, () => expect(streamer.stdout()).toContain("streamer on"))
  const gateway = meshwork("gateway", ["gateway", "-c", file], { cwd: folder })
  const url = `http://127.0.0.1:${port}`
  // The admin port is open before the data port is.
  await eventually("the gateway answers", 15_000, async () => expect(await getOk(url)).toBe(0))
  return { gateway, url, port: Number(new URL(url).port) }
}

/** The most memory a process held while something went on, MB. */
async function peakDuring(pid: number, work: Promise<unknown>): Promise<number> {
  let peak = 0
  let going = true
  const watching = (async () => {
    while (going) {
      peak = Math.max(peak, residentMegabytes(pid))
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  })()
  await work.finally(() => (going = false))
  await watching
  return peak
}

function download(url: string, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    get(`${url}/?bytes=${bytes}`, { agent: false }, (response) => {
      let received = 0
      response.on("data", (data: Buffer) => (received += data.length))
      response.on("end", () => resolve(received))
      response.on("error", reject)
    }).on("error", reject)
  })
}

function upload(url: string, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(url, { method: "POST", agent: false, headers: { "content-length": bytes } }, (response) => {
      let text = ""
      response.on("data", (data) => (text += String(data)))
      response.on("end", () => resolve(Number(text)))
    })
    call.on("error", reject)
    const chunk = Buffer.alloc(65_536)
    let left = bytes
    const more = (): void => {
      while (left > 0) {
        left -= chunk.length
        if (!call.write(chunk)) return void call.once("drain", more)
      }
      call.end()
    }
    more()
  })
}

it("a gigabyte up and a gigabyte down stream through the gateway, whose memory stays flat", async () => {
  const { gateway, url } = await startGateway()
  const before = residentMegabytes(gateway.pid)
  let received = 0
  const downPeak = await peakDuring(
    gateway.pid,
    download(url, gigabyte).then((bytes) => (received = bytes)),
  )
  expect(received).toBe(gigabyte)
  let sent = 0
  const upPeak = await peakDuring(
    gateway.pid,
    upload(url, gigabyte).then((bytes) => (sent = bytes)),
  )
  expect(sent).toBe(gigabyte)
  process.stdout.write(`before ${before.toFixed(0)} MB, down ${downPeak.toFixed(0)} MB, up ${upPeak.toFixed(0)} MB\n`)
  expect(Math.max(downPeak, upPeak) - before).toBeLessThan(150)
})

it("10,000 idle connections, slow heads and clients that never read harm nobody", async () => {
  const { gateway, url, port } = await startGateway()
  const sockets: Socket[] = []
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
  })
  const open = (bytes = ""): void => {
    const socket = connect(port, "127.0.0.1", () => bytes === "" || socket.write(bytes))
    socket.on("error", () => {})
    // Without a reader nobody would notice the end.
    socket.resume()
    sockets.push(socket)
  }
  for (let n = 0; n < 10_000; n++) {
    open(n % 10 === 0 ? "GET / HTTP/1.1\r\nX-Slow: " : "")
    if (n % 500 === 0) await new Promise((resolve) => setTimeout(resolve, 20))
  }
  for (let n = 0; n < 50; n++) {
    open(`GET /?bytes=${100 * 1024 * 1024} HTTP/1.1\r\nHost: x\r\n\r\n`)
    sockets.at(-1)?.pause()
  }
  await eventually("the slow ones are gone and others are served", 20_000, () => download(url, 0))
  const begin = performance.now()
  for (let call = 0; call < 100; call++) await download(url, 0)
  expect((performance.now() - begin) / 100).toBeLessThan(100)
  const memory = residentMegabytes(gateway.pid)
  process.stdout.write(`${memory.toFixed(0)} MB with 10,000 connections\n`)
  expect(memory).toBeLessThan(600)
  await eventually("what does nothing is closed", 30_000, () =>
    expect(sockets.filter((socket) => !socket.closed && !socket.isPaused()).length).toBeLessThan(100),
  )
})
