import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { expect, it } from "vitest"
import { engineAddress, formatEngineAddress } from "./engine-address.ts"

it.each([
  [{}, undefined, "unix:///var/run/docker.sock"],
  [{ DOCKER_HOST: "" }, undefined, "unix:///var/run/docker.sock"],
  [{ DOCKER_HOST: "unix://" }, undefined, "unix:///var/run/docker.sock"],
  [{ DOCKER_HOST: "unix:///run/user/7/docker.sock" }, undefined, "unix:///run/user/7/docker.sock"],
  [{ DOCKER_HOST: "tcp://Host.test:99" }, undefined, "tcp://host.test:99"],
  [{ DOCKER_HOST: "tcp://10.0.0.7" }, undefined, "tcp://10.0.0.7:2375"],
  [{ DOCKER_HOST: "http://10.0.0.7:80/" }, undefined, "tcp://10.0.0.7:80"],
  [{ DOCKER_HOST: "tcp://[fd00:0::1]:2375" }, undefined, "tcp://[fd00::1]:2375"],
  [{ DOCKER_HOST: "tcp://elsewhere:1" }, "/tmp/own.sock", "unix:///tmp/own.sock"],
  [{ DOCKER_HOST: "tcp://elsewhere:1" }, "tcp://here:2", "tcp://here:2"],
])("%j and the option %j are %s", (env, host, address) => {
  expect(formatEngineAddress(engineAddress({ env, host }))).toBe(address)
})

it.each(["ssh://me@host", "tcp://", "tcp://host:99999", "tcp://ho st:1", "tcp://host:1/path", "tcp://user@host:1", "gibberish", "tcp://..:1"])(
  "%j is refused with what is accepted",
  (host) => {
    expect(() => engineAddress({ env: {}, host })).toThrow(/^the Docker address .* accepted are unix:\/\/\/var\/run\/docker.sock, tcp:\/\/HOST:2375/)
  },
)

it("never repeats a password", () => {
  expect(() => engineAddress({ env: {}, host: "tcp://me:hunter2@host:1" })).toThrow(/^(?!.*hunter2)/)
})

it("reads the files of DOCKER_CERT_PATH where TLS is asked for, and names one that is missing", () => {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-docker-"))
  try {
    const env = { DOCKER_HOST: "tcp://host", DOCKER_TLS_VERIFY: "1", DOCKER_CERT_PATH: folder }
    expect(() => engineAddress({ env })).toThrow(`the file ${join(folder, "ca.pem")}, needed to reach Docker with TLS, does not exist`)
    for (const name of ["ca", "cert", "key"]) writeFileSync(join(folder, `${name}.pem`), name)
    expect(engineAddress({ env })).toEqual({
      kind: "tcp",
      host: "host",
      port: 2376,
      tls: { ca: Buffer.from("ca"), cert: Buffer.from("cert"), key: Buffer.from("key") },
    })
    const tls = { ca: join(folder, "ca.pem"), cert: join(folder, "cert.pem"), key: join(folder, "none.pem") }
    expect(() => engineAddress({ env: {}, host: "tcp://host:2376", tls })).toThrow("none.pem")
    expect(engineAddress({ env: { DOCKER_HOST: "tcp://host", DOCKER_CERT_PATH: folder } })).toMatchObject({ port: 2375, tls: undefined })
  } finally {
    rmSync(folder, { recursive: true })
  }
})
