import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { createServer as createTlsServer } from "node:tls"
import { afterAll, beforeAll, beforeEach, describe, expect, it, onTestFinished } from "vitest"
import { runCli } from "../program.ts"
import { fakeContext, run } from "../testing/fake-context.ts"
import { hasEtcd, type RealEtcd, startEtcd } from "../testing/real-etcd.ts"
import { spawnMeshwork, until } from "../testing/spawn-meshwork.ts"

const named = (type: string, name: string, location?: string) =>
  ["--service-type", type, "--service-name", name].concat(location === undefined ? [] : ["--service-location", location])

describe.skipIf(!hasEtcd())("on a real etcd", () => {
  let etcd: RealEtcd
  beforeAll(async () => {
    etcd = await startEtcd()
  })
  afterAll(() => etcd.remove())
  beforeEach(async () => {
    await etcd.ctl("del", "", "--prefix")
  })

  const at = (root: string, ...args: string[]) => run(["service", ...args, "--etcd-endpoint", etcd.endpoint, "--tree-root", root])
  const list = async (root: string, ...more: string[]) => JSON.parse((await at(root, "list", "--format", "json", ...more)).stdout) as unknown
  const background = (...args: string[]) => spawnMeshwork(["service", ...args, "--etcd-endpoint", etcd.endpoint, "--tree-root", "/t"])

  it("registers a plain location and nothing else", async () => {
    expect(await at("/t", "register", ...named("http", "web-1", "10.0.0.1:80"))).toEqual({
      code: 0,
      stdout: "",
      stderr: "service web-1 (http) registered\n",
    })
    expect(await etcd.content()).toEqual({ "/t/service/http/web-1": "10.0.0.1:80" })
    expect((await at("/t", "register", ...named("http", "web-1", "[2001:db8::1]:81"), "--ttl", "0")).code).toBe(0)
    expect(await etcd.content()).toEqual({ "/t/service/http/web-1": "[2001:db8::1]:81" })
  })

  it("reads Empusa's variables, and options before the words", async () => {
    const env = { EMPUSA_ETCD_ENDPOINT: etcd.endpoint, EMPUSA_TREE_ROOT: "/env", EMPUSA_SERVICE_TYPE: "http", EMPUSA_SERVICE_NAME: "n" }
    expect((await run(["service", "register"], { env: { ...env, EMPUSA_SERVICE_LOCATION: "h:1", EMPUSA_SERVICE_TTL: "60" } })).code).toBe(0)
    expect(await etcd.content()).toEqual({ "/env/service/http/n": "h:1" })
    const mixed = await run(["--etcd-endpoint", etcd.endpoint, "service", "--tree-root=/env", "list", "--format", "json"])
    expect(JSON.parse(mixed.stdout)).toMatchObject([{ service: "http/n", location: "h:1" }])
    expect((await run(["service", "unregister"], { env })).stderr).toBe("service n (http) unregistered\n")
    expect(await etcd.content()).toEqual({})
  })

  it("lists sorted, with what is left of the ttl, as a table and as JSON", async () => {
    expect(await at("/t", "list")).toEqual({ code: 0, stdout: "", stderr: "no services are registered under /t\n" })
    expect((await at("/t", "list", "--format", "json")).stdout).toBe("[]\n")
    await at("/t", "register", ...named("smtp", "a", "h:25"))
    await at("/t", "register", ...named("http", "b", "h:2"), "--ttl", "60")
    await at("/t", "register", ...named("http", "a", "h:1"))
    const { code, stdout } = await at("/t", "list")
    expect(code).toBe(0)
    expect(stdout).toMatch(/^Service {2}Location {2}TTL\nhttp\/a {3}h:1\nhttp\/b {3}h:2 {7}(60|59)\nsmtp\/a {3}h:25\n$/)
    expect(await list("/t", "--service-type", "http")).toEqual([
      { service: "http/a", location: "h:1", ttl: null },
      { service: "http/b", location: "h:2", ttl: expect.toSatisfy((ttl: number) => ttl > 50 && ttl <= 60) },
    ])
  })

  it("registering again overwrites, and starts the lease anew or takes it away", async () => {
    await at("/t", "register", ...named("http", "a", "h:1"), "--ttl", "20")
    await at("/t", "register", ...named("http", "a", "h:2"), "--ttl", "90")
    expect(await list("/t")).toEqual([{ service: "http/a", location: "h:2", ttl: expect.toSatisfy((ttl: number) => ttl > 80) }])
    await at("/t", "register", ...named("http", "a", "h:3"))
    expect(await list("/t")).toEqual([{ service: "http/a", location: "h:3", ttl: null }])
  })

  it("a ttl that runs out takes the service along, its record too", async () => {
    await at("/t", "register", ...named("http", "a", "h:1"), "--ttl", "2")
    await at("/t", "weight", "http", "a", "5")
    expect(Object.keys(await etcd.content())).toEqual(["/t/meshwork/record/http/a", "/t/service/http/a"])
    await until(
      async () => JSON.stringify(await list("/t")) === "[]",
      () => "the lease did not run out",
    )
    await until(
      async () => JSON.stringify(await etcd.content()) === "{}",
      () => "the keys are still there",
    )
  })

  it("two trees that share a prefix know nothing of each other", async () => {
    await at("/foo", "register", ...named("http", "a", "h:1"))
    await at("foobar/", "register", ...named("http", "a", "h:2"))
    await at("/foo/bar", "register", ...named("http", "a", "h:3"))
    expect(await list("/foo")).toEqual([{ service: "http/a", location: "h:1", ttl: null }])
    expect(await list("/foobar")).toEqual([{ service: "http/a", location: "h:2", ttl: null }])
    expect((await at("/foo", "unregister", "http", "a")).code).toBe(0)
    expect(Object.keys(await etcd.content())).toEqual(["/foo/bar/service/http/a", "/foobar/service/http/a"])
  })

  it("what etcdctl put is listed; keys that are no service are left alone", async () => {
    await etcd.ctl("put", "/t/service/http/plain", "10.0.0.9:80")
    await etcd.ctl("put", "/t/service/http/odd", "somewhere else")
    await etcd.ctl("put", "/t/service/http/deep/er", "h:1")
    await etcd.ctl("put", "/t/switch/s1", "on")
    expect(await list("/t")).toEqual([
      { service: "http/odd", location: "somewhere else", ttl: null },
      { service: "http/plain", location: "10.0.0.9:80", ttl: null },
    ])
    expect((await at("/t", "weight", "http", "plain", "9")).stdout).toBe("http/plain has weight 9\n")
    const odd = await at("/t", "drain", "http", "odd")
    expect([odd.code, odd.stderr]).toEqual([1, 'meshwork: the location "somewhere else" of http/odd is no host:port: nothing is sent there\n'])
    expect(await etcd.content()).toMatchObject({ "/t/switch/s1": "on", "/t/service/http/plain": "10.0.0.9:80", "/t/service/http/deep/er": "h:1" })
  })

  it("unregistering takes the record along, and says when nothing was there", async () => {
    await at("/t", "register", ...named("http", "a", "h:1"))
    await at("/t", "drain", "http", "a")
    expect(await at("/t", "unregister", ...named("http", "a"))).toEqual({ code: 0, stdout: "", stderr: "service a (http) unregistered\n" })
    expect(await etcd.content()).toEqual({})
    expect(await at("/t", "unregister", ...named("http", "a"))).toEqual({ code: 0, stdout: "", stderr: "service a (http) was not registered\n" })
  })

  it("an operator's wish is kept in a record beside the location, also over a new registration, until it is taken back", async () => {
    await at("/t", "register", ...named("http", "a", "h:1"))
    expect((await at("/t", "drain", "http", "a")).stdout).toBe("http/a is draining\n")
    await at("/t", "weight", "http", "a", "7")
    const record = async () => JSON.parse((await etcd.content())["/t/meshwork/record/http/a"] ?? "{}") as Record<string, unknown>
    expect(await record()).toMatchObject({ service: "http", id: "a", host: "h", port: 1, override: { state: "draining", weight: 7 } })
    expect((await etcd.content())["/t/service/http/a"]).toBe("h:1")
    await at("/t", "register", ...named("http", "a", "h:2"), "--ttl", "60")
    expect(await record()).toMatchObject({ port: 2, override: { state: "draining", weight: 7 } })
    expect((await at("/t", "get", "http", "a")).stdout).toMatch(/location +h:2\n[\s\S]*override +\{"weight":7,"state":"draining"\} by meshwork /)
    expect((await at("/t", "drain", "http", "a", "--undo")).stdout).toBe("http/a is up\n")
    await at("/t", "weight", "http", "a", "--reset")
    expect(await record()).not.toHaveProperty("override")
  })

  it("the ttl of what a discovery server keeps is the one of its record", async () => {
    const lease = /^lease ([0-9a-f]+) granted/.exec(await etcd.ctl("lease", "grant", "600"))?.[1] ?? ""
    const health = { status: "passing", since: 1, reason: "fine", by: "s1" }
    const record = {
      service: "http",
      id: "k",
      host: "h",
      port: 1,
      scheme: "http",
      priority: "med",
      tags: {},
      origin: "api",
      registeredAt: 1,
      health,
      format: 1,
    }
    await etcd.ctl("put", "--lease", lease, "/t/service/http/k", "h:1")
    await etcd.ctl("put", "--lease", lease, "/t/meshwork/record/http/k", JSON.stringify({ ...record, ttlSeconds: 30, keeper: "server-1" }))
    expect(await list("/t")).toEqual([{ service: "http/k", location: "h:1", ttl: 30 }])
    await at("/t", "weight", "http", "k", "3")
    expect(JSON.parse((await etcd.content())["/t/meshwork/record/http/k"] ?? "{}")).toMatchObject({ keeper: "server-1", override: { weight: 3 } })
    await at("/t", "register", ...named("http", "k", "h:1"))
    const taken = JSON.parse((await etcd.content())["/t/meshwork/record/http/k"] ?? "{}") as Record<string, unknown>
    expect([taken["keeper"], taken["ttlSeconds"], taken["origin"]]).toEqual([undefined, 0, "etcd"])
    expect(await list("/t")).toEqual([{ service: "http/k", location: "h:1", ttl: null }])
  })

  it("an instance that is not there is a failure that names it", async () => {
    for (const args of [
      ["get", "http", "x"],
      ["drain", "http", "x"],
      ["weight", "http", "x", "5"],
    ]) {
      const { code, stdout, stderr } = await at("/t", ...args)
      expect([code, stdout, stderr]).toEqual([1, "", `meshwork: http/x is not registered under /t at ${etcd.endpoint}\n`])
    }
  })

  it("keeps a registration up: puts back what was removed or changed, without a write while all is well", async () => {
    const { child, output, ended } = background("register", ...named("http", "kept", "h:1"), "--ttl", "6", "--refresh-every", "1")
    await until(
      () => output.stderr.includes("registered"),
      () => output.stderr,
    )
    const read = async () => JSON.parse(await etcd.ctl("get", "/t/service/http/kept", "--write-out", "json")) as { kvs?: { mod_revision: number }[] }
    const first = (await read()).kvs?.[0]?.mod_revision
    expect(first).toBeGreaterThan(0)
    await new Promise((resolve) => setTimeout(resolve, 2500))
    expect((await read()).kvs?.[0]?.mod_revision).toBe(first)
    expect(await list("/t")).toEqual([{ service: "http/kept", location: "h:1", ttl: expect.toSatisfy((ttl: number) => ttl >= 4) }])
    await etcd.ctl("del", "/t/service/http/kept")
    await until(
      async () => (await etcd.content())["/t/service/http/kept"] === "h:1",
      () => output.stderr,
    )
    await etcd.ctl("put", "/t/service/http/kept", "other:9")
    await until(
      async () => (await etcd.content())["/t/service/http/kept"] === "h:1",
      () => output.stderr,
    )
    child.kill("SIGTERM")
    expect([await ended, output.stdout]).toEqual([0, ""])
    expect(output.stderr).toBe("service kept (http) registered\nservice kept (http) unregistered\n")
    expect(await etcd.content()).toEqual({})
  })

  it("a successor under the same name is left alone at the end", async () => {
    const { child, output, ended } = background("register", ...named("http", "mine", "h:1"), "--ttl", "60", "--refresh-every", "30")
    await until(
      () => output.stderr.includes("registered"),
      () => output.stderr,
    )
    await at("/t", "register", ...named("http", "mine", "h:2"))
    child.kill("SIGINT")
    expect(await ended).toBe(0)
    expect(output.stderr).toContain("belongs to somebody else by now, and stays registered")
    expect(await etcd.content()).toEqual({ "/t/service/http/mine": "h:2" })
  })

  it("a signal that comes while it registers takes it back as well", async () => {
    const context = fakeContext()
    const stderr = context.stderr.write.bind(context.stderr)
    let heard = ""
    context.stderr = { write: (text: string) => ((heard += text), context.signal(), stderr(text)) }
    const staying = ["--etcd-endpoint", etcd.endpoint, "--tree-root", "/t", "--ttl", "60", "--refresh-every", "30"]
    expect(await runCli(["service", "register", ...named("http", "brief", "h:1"), ...staying], context)).toBe(0)
    expect(heard).toBe("service brief (http) registered\nservice brief (http) unregistered\n")
    expect(await etcd.content()).toEqual({})
  })

  it("--keep, and kill -9, leave the key to its lease", async () => {
    const kept = background("register", ...named("http", "kept", "h:1"), "--ttl", "60", "--refresh-every", "20", "--keep")
    const killed = background("register", ...named("http", "killed", "h:2"), "--ttl", "3", "--refresh-every", "1")
    await until(
      async () => Object.keys(await etcd.content()).length === 2,
      () => kept.output.stderr + killed.output.stderr,
    )
    kept.child.kill("SIGTERM")
    killed.child.kill("SIGKILL")
    expect(await kept.ended).toBe(0)
    await until(
      async () => Object.keys(await etcd.content()).length === 1,
      () => "the lease did not run out",
    )
    expect(await etcd.content()).toEqual({ "/t/service/http/kept": "h:1" })
  })

  it("survives an etcd that is away longer than the ttl, says so once, and puts its key back", async () => {
    const { child, output, ended } = background("register", ...named("http", "hardy", "h:1"), "--ttl", "3", "--refresh-every", "1")
    await until(
      () => output.stderr.includes("registered"),
      () => output.stderr,
    )
    await etcd.stop()
    await new Promise((resolve) => setTimeout(resolve, 5000))
    await etcd.start()
    await etcd.ctl("del", "/t/service/http/hardy")
    await until(
      async () => (await etcd.content())["/t/service/http/hardy"] === "h:1",
      () => output.stderr,
    )
    await until(
      () => output.stderr.includes("registered again"),
      () => output.stderr,
    )
    child.kill("SIGTERM")
    expect(await ended).toBe(0)
    const lines = output.stderr.trimEnd().split("\n")
    expect(lines).toHaveLength(4)
    expect(lines[1]).toBe(`meshwork: no etcd at ${etcd.endpoint}: ECONNREFUSED; trying again until it is back`)
  })

  it("watches the tree: what is there, what comes, changes and goes, with why, and goes on after a restart", async () => {
    await at("/t", "register", ...named("http", "a", "h:1"))
    const { child, output, ended } = background("watch", "http")
    const lines = () => output.stdout.trimEnd().split("\n").filter(Boolean)
    const told = (count: number) =>
      until(
        () => lines().length >= count,
        () => JSON.stringify(output),
      )
    await told(1)
    await at("/t", "register", ...named("http", "b", "h:2"), "--ttl", "6")
    await told(2)
    await at("/t", "register", ...named("smtp", "b", "h:2"))
    await at("/t", "weight", "http", "a", "5")
    await told(3)
    await at("/t", "register", ...named("http", "a", "h:9"))
    await told(4)
    await told(5)
    await etcd.stop()
    await until(
      () => output.stderr.includes("trying again"),
      () => output.stderr,
    )
    await etcd.start()
    await at("/t", "unregister", "http", "a")
    await told(6)
    child.kill("SIGINT")
    expect(await ended).toBe(0)
    expect(lines().map((line) => line.replace(/^\S+Z /, ""))).toEqual([
      "present http/a h:1: registered, never expires",
      "added   http/b h:2: registered, on a lease",
      expect.stringMatching(/^changed http\/a h:1: weight 5 by meshwork /),
      "changed http/a h:9: location h:1 -> h:9",
      "removed http/b h:2: its lease ran out or was revoked",
      "removed http/a h:9: its key was removed",
    ])
    expect(output.stderr.match(/trying again/g)).toHaveLength(1)
  })

  it("speaks TLS with the certificates of --ca-bundle, and with no other server", async () => {
    const folder = mkdtempSync(join(tmpdir(), "meshwork-ca-"))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")]
    const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    execFileSync("openssl", ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", cert, ...subject], { stdio: "ignore" })
    const front = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, (socket) => {
      const back = connect(Number(etcd.endpoint.split(":")[1]), "127.0.0.1")
      socket.on("error", () => back.destroy()).pipe(back)
      back.on("error", () => socket.destroy()).pipe(socket)
    })
    await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve))
    onTestFinished(() => void front.close())
    const { port } = front.address() as { port: number }
    const env = { EMPUSA_ETCD_ENDPOINT: `127.0.0.1:${port}`, EMPUSA_ETCD_PROTOCOL: "https", EMPUSA_TREE_ROOT: "/tls" }
    const trusted = await run(["service", "list", "--format", "json"], { env: { ...env, REQUESTS_CA_BUNDLE: cert } })
    expect(trusted).toEqual({ code: 0, stdout: "[]\n", stderr: "" })
    const url = await run([
      "service",
      "list",
      "--etcd-endpoint",
      `https://127.0.0.1:${port}`,
      "--tree-root",
      "/tls",
      "--ca-bundle",
      cert,
      "--format",
      "json",
    ])
    expect([url.code, url.stdout]).toEqual([0, "[]\n"])
    const untrusted = await run(["service", "list"], { env })
    expect([untrusted.code, untrusted.stderr]).toEqual([
      1,
      `meshwork: no etcd at 127.0.0.1:${port}: its certificate is not trusted (DEPTH_ZERO_SELF_SIGNED_CERT): --ca-bundle names certificates to trust\n`,
    ])
    const plain = await run(["service", "list"], { env: { ...env, EMPUSA_ETCD_PROTOCOL: "http" } })
    expect([plain.code, plain.stderr.split("\n").length]).toEqual([1, 2])
  })

  it("uses every endpoint: the next one where one is down or silent", async () => {
    const silent = createServer(() => {})
    await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve))
    onTestFinished(() => void silent.close())
    const { port } = silent.address() as { port: number }
    const endpoints = `127.0.0.1:1 http://127.0.0.1:${port},http://${etcd.endpoint}/`
    const { code, stdout } = await run(["service", "list", "--format", "json", "--tree-root", "/t", "--etcd-endpoint", endpoints])
    expect([code, stdout]).toEqual([0, "[]\n"])
  })
})
