import { execFileSync } from "node:child_process"
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createSecureServer, request } from "node:https"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { TLSSocket } from "node:tls"
import { type MeshConfigInput, meshConfigSchema } from "@meshwork/config"
import { pino } from "pino"
import { expect, it, onTestFinished } from "vitest"
import { runGateway } from "./index.ts"

function folderOf(...names: string[]): (name: string) => string {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-certificates-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  for (const name of names) {
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${name}.key`]
    const subject = ["-subj", `/CN=${name}`, "-addext", "subjectAltName=IP:127.0.0.1"]
    execFileSync("openssl", ["req", "-x509", ...key, "-out", `${name}.pem`, "-days", "30", ...subject], { cwd: folder, stdio: "ignore" })
  }
  return (name) => join(folder, name)
}

async function running(input: MeshConfigInput) {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-tls-"))
  const log: string[] = []
  const config = meshConfigSchema.parse({ ...input, gateway: { port: 0, adminPort: 0, discovery: [], ...input.gateway } })
  const started = await runGateway({ ...config, dataDirectory: folder, log: pino({}, { write: (line: string) => void log.push(line) }) })
  onTestFinished(async () => {
    await started.close()
    rmSync(folder, { recursive: true })
  })
  return { ...started, log: () => log.join("") }
}

/** Common name of the certificate that is shown, and the status of the answer. */
function shown(url: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { rejectUnauthorized: false, agent: false }, (response) => {
      const name = (response.socket as TLSSocket).getPeerCertificate().subject.CN
      response.resume().on("end", () => resolve(`${response.statusCode} ${name}`))
    })
    sent.on("error", reject).end()
  })
}

async function backend(pair?: { cert: string; key: string }): Promise<number> {
  const listener = (_request: unknown, response: { end: (text: string) => void }): void => response.end("ok")
  const server = pair === undefined ? createServer(listener) : createSecureServer(pair, listener)
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

const route = { match: "prefix" as const, path: "/", target: { kind: "service" as const, name: "a" } }
const serviceAt = (port: number, scheme: "http" | "https" = "http") => ({ a: { instances: [{ id: "a", host: "127.0.0.1", port, scheme }] } })

it("shows a new certificate once both files are there, and keeps the old one while they do not fit", async () => {
  const path = folderOf("one", "two")
  const tls = { cert: path("own.pem"), key: path("own.key") }
  copyFileSync(path("one.pem"), tls.cert)
  copyFileSync(path("one.key"), tls.key)
  const { url, log } = await running({ services: serviceAt(await backend()), routes: [route], gateway: { tls } })
  expect(url).toMatch(/^https:/)
  expect(log()).toContain("certificateValidUntil")
  expect(await shown(url)).toBe("200 one")
  copyFileSync(path("two.pem"), tls.cert)
  await expect.poll(log).toMatch(/"level":50.*changed and cannot be used, so what was read before stays in use: .*are no pair/)
  expect(await shown(url)).toBe("200 one")
  copyFileSync(path("two.key"), tls.key)
  await expect.poll(() => shown(url)).toBe("200 two")
  expect(log()).toMatch(/is a new one, valid until \d{4}-/)
  writeFileSync(tls.cert, "nonsense")
  await expect.poll(log).toMatch(/own\.pem holds no certificate in PEM form/)
  expect(await shown(url)).toBe("200 two")
})

it("refuses to start without a pair, and names the file", async () => {
  const path = folderOf("one", "two")
  writeFileSync(path("empty.pem"), "\n")
  const start = (cert: string, key: string) => running({ gateway: { tls: { cert: path(cert), key: path(key) } } })
  for (const [cert, key, why] of [
    ["none.pem", "one.key", /gateway\.tls\.cert: .*none\.pem does not exist/],
    ["one.pem", "none.key", /gateway\.tls\.key: .*none\.key does not exist/],
    ["empty.pem", "one.key", /empty\.pem is empty/],
    ["one.key", "one.key", /one\.key holds no certificate/],
    ["one.pem", "two.key", /one\.pem and .*two\.key are no pair/],
  ] as const)
    await expect(start(cert, key)).rejects.toMatchObject({ code: "invalid_config", message: expect.stringMatching(why) })
})

it("goes by the authorities of a file, and by others once it has changed", async () => {
  const path = folderOf("one", "two")
  const port = await backend({ cert: readFileSync(path("one.pem"), "utf8"), key: readFileSync(path("one.key"), "utf8") })
  copyFileSync(path("two.pem"), path("ca.pem"))
  const services = serviceAt(port, "https")
  const upstreamTls = { ca: path("ca.pem") }
  const { url } = await running({ services, routes: [route], gateway: { upstreamTls } })
  const status = async (): Promise<number> => (await fetch(url)).status
  expect(await status()).toBe(502)
  copyFileSync(path("one.pem"), path("ca.pem"))
  await expect.poll(status).toBe(200)
  const own = await running({ services, routes: [route], gateway: { upstreamTls: { services: { a: { insecure: true } } } } })
  expect((await fetch(own.url)).status).toBe(200)
})

it("judges by the same authorities and names when it asks for the health of instances", async () => {
  const path = folderOf("one", "two")
  const port = await backend({ cert: readFileSync(path("one.pem"), "utf8"), key: readFileSync(path("one.key"), "utf8") })
  const check = { method: "http" as const, path: "/", frequencySeconds: 1, timeoutSeconds: 1, retries: 0 }
  const services = { a: { instances: [{ id: "a", host: "127.0.0.1", port, scheme: "https" as const, check }] } }
  const health = async (upstreamTls: NonNullable<MeshConfigInput["gateway"]>["upstreamTls"]): Promise<() => Promise<string>> => {
    const { adminUrl } = await running({ services, routes: [route], gateway: { upstreamTls } })
    return async () => (await fetch(`${adminUrl}/explain?path=/`)).text()
  }
  copyFileSync(path("two.pem"), path("ca.pem"))
  const changing = await health({ ca: path("ca.pem") })
  await expect.poll(changing, { timeout: 5000 }).toContain("no secure connection")
  copyFileSync(path("one.pem"), path("ca.pem"))
  await expect.poll(changing, { timeout: 5000 }).toContain("answered 200")
  const elsewhere = await health({ ca: path("one.pem"), services: { a: { serverName: "elsewhere.test" } } })
  await expect.poll(elsewhere, { timeout: 5000 }).toContain("ERR_TLS_CERT_ALTNAME_INVALID")
  const any = await health({ services: { a: { insecure: true } } })
  await expect.poll(any, { timeout: 5000 }).toContain("answered 200")
})
