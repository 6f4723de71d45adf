import { appendFileSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { crc32 } from "node:zlib"
import { describe, expect, it, onTestFinished } from "vitest"
import { eventually } from "./support/eventually.ts"
import { getOk } from "./support/mesh.ts"
import { freePorts, meshwork, type Program, scratchFolder } from "./support/programs.ts"
import { smallDisk, smallDisksMissing } from "./support/small-disk.ts"

interface Server {
  program: Program
  url: string
  /** Registers for ever; the answer's status, and its body where it was refused. */
  register(id: string, tags?: object): Promise<{ status: number; problem?: { code: string; detail: string }; retryAfter: string | null }>
  ids(): Promise<string[]>
  kill(): Promise<void>
}

/** A discovery server on this storage; resolves when it is ready, or listens at least. */
async function serve(spec: string): Promise<Server> {
  const [port] = await freePorts(1)
  const url = `http://127.0.0.1:${port}`
  const program = meshwork("discovery", ["discovery", "--port", String(port), "--storage", spec])
  await eventually("it answers", 15_000, () => getOk(`${url}/v1/services`))
  return {
    program,
    url,
    async register(id, tags = {}) {
      const answer = await fetch(`${url}/v1/services/s/instances/${id}`, {
        method: "PUT",
        headers: { "content-type": "application/json" },
        body: JSON.stringify({ host: "127.0.0.1", port: 9, ttlSeconds: 0, tags }),
      })
      const body = (await answer.json()) as { code: string; detail: string }
      return { status: answer.status, retryAfter: answer.headers.get("retry-after"), ...(answer.ok ? {} : { problem: body }) }
    },
    async ids() {
      const { instances } = (await getOk(`${url}/v1/services/s/instances`)) as { instances: { id: string }[] }
      return instances.map(({ id }) => id).sort()
    },
    async kill() {
      program.kill("SIGKILL")
      await program.ended
    },
  }
}

/** What a server says that does not start on this storage, and its exit code. */
async function refused(spec: string): Promise<{ code: number | string; said: string }> {
  const [port] = await freePorts(1)
  const program = meshwork("refused", ["discovery", "--port", String(port), "--storage", spec])
  const patience = setTimeout(() => program.kill("SIGKILL"), 10_000)
  onTestFinished(() => clearTimeout(patience))
  return { code: await program.ended, said: program.stderr() }
}

/** A file with the instances 1, 2 and 3 of service s, whose server was killed. */
async function filled(spec: string): Promise<void> {
  const server = await serve(spec)
  for (const id of ["1", "2", "3"]) expect(await server.register(id)).toMatchObject({ status: 201 })
  await server.kill()
}

const line = (entry: unknown) => {
  const text = JSON.stringify(entry)
  return `${crc32(text).toString(16).padStart(8, "0")} ${text}\n`
}

function inDatabase(path: string, sql: string): unknown[] {
  const database = new DatabaseSync(path)
  try {
    return database.prepare(sql).all()
  } finally {
    database.close()
  }
}

describe.each([
  {
    kind: "file",
    tear: (path: string) => appendFileSync(path, line({ put: 9, key: ["s", "torn"] }).slice(0, 20)),
    spoilSecond: (path: string) => writeFileSync(path, readFileSync(path, "latin1").replace(/(?<="id":"2".{30})../, "##"), "latin1"),
    fromTheFuture: (path: string) => {
      const put = readFileSync(path, "utf8")
        .split("\n")
        .find((text) => text.includes('"id":"2"'))
      const entry = JSON.parse((put ?? "").slice(9)) as { put: number; record: object }
      appendFileSync(path, line({ ...entry, put: entry.put + 100, record: { ...entry.record, format: 99, novelty: "kept" } }))
    },
    stored: (path: string) => readFileSync(path, "utf8"),
    destroy: (path: string) => writeFileSync(path, Buffer.alloc(64_000, "x")),
  },
  {
    kind: "sqlite",
    tear: (path: string) => appendFileSync(`${path}-wal`, Buffer.alloc(2000, 7)),
    spoilSecond: (path: string) => void inDatabase(path, `UPDATE records SET record = '{"host":' WHERE id = '2'`),
    fromTheFuture: (path: string) =>
      void inDatabase(path, `UPDATE records SET record = json_set(record, '$.format', 99, '$.novelty', 'kept') WHERE id = '2'`),
    stored: (path: string) => JSON.stringify(inDatabase(path, "SELECT record FROM records")).replaceAll("\\", ""),
    destroy: (path: string) => {
      writeFileSync(path, Buffer.alloc(64_000, "x"))
      writeFileSync(`${path}-wal`, "")
    },
  },
])("a storage of kind $kind", ({ kind, tear, spoilSecond, fromTheFuture, stored, destroy }) => {
  const place = () => {
    const path = join(scratchFolder(), "registry")
    return { path, spec: `${kind}:${path}` }
  }

  it("whose last record is torn serves everything that was acknowledged, and takes more", async () => {
    const { path, spec } = place()
    await filled(spec)
    tear(path)
    const server = await serve(spec)
    expect(await server.ids()).toEqual(["1", "2", "3"])
    expect(await server.register("4")).toMatchObject({ status: 201 })
    await server.kill()
    expect(await (await serve(spec)).ids()).toEqual(["1", "2", "3", "4"])
  })

  it("with a damaged record in the middle serves the others, says which one, and leaves it in place", async () => {
    const { path, spec } = place()
    await filled(spec)
    spoilSecond(path)
    for (const _ of ["first", "second"]) {
      const server = await serve(spec)
      expect(await server.ids()).toEqual(["1", "3"])
      const ready = (await fetch(`${server.url}/ready`).then((answer) => answer.json())) as { reasons: string[] }
      expect(ready.reasons.join()).toMatch(/stored record s\/2 was skipped: .*(damaged|not JSON|cannot be read)/)
      expect(server.program.stderr()).toMatch(/a stored record was skipped/)
      await server.kill()
    }
  })

  it("that is no registry at all is refused by name, and left alone", async () => {
    const { path, spec } = place()
    await filled(spec)
    destroy(path)
    const { code, said } = await refused(spec)
    expect(code).not.toBe(0)
    expect(code).not.toBe("SIGKILL")
    expect(said).toContain(path)
    expect(said).toMatch(/is not a|is no /)
    expect(readFileSync(path).equals(Buffer.alloc(64_000, "x"))).toBe(true)
  })

  it("that was emptied is refused by name", async () => {
    const { path, spec } = place()
    await filled(spec)
    writeFileSync(path, "")
    const { code, said } = await refused(spec)
    expect([code === 0, code === "SIGKILL"]).toEqual([false, false])
    expect(said).toContain(path)
    expect(said).toMatch(/is empty, and no file of a registry ever is/)
  })

  it("that another process uses is refused by name, and the first one goes on", async () => {
    const { path, spec } = place()
    const first = await serve(spec)
    expect(await first.register("1")).toMatchObject({ status: 201 })
    const { code, said } = await refused(spec)
    expect([code === 0, code === "SIGKILL"]).toEqual([false, false])
    expect(said).toContain(path)
    expect(said).toMatch(/is used by (another process|process \d+)/)
    expect(await first.register("2")).toMatchObject({ status: 201 })
    await first.kill()
    expect(await (await serve(spec)).ids()).toEqual(["1", "2"])
  })

  it("with a record of a newer version serves it, never rewrites it, and hands it on", async () => {
    const { path, spec } = place()
    await filled(spec)
    fromTheFuture(path)
    const server = await serve(spec)
    expect(await server.ids()).toEqual(["1", "2", "3"])
    const patched = await fetch(`${server.url}/v1/services/s/instances/2`, {
      method: "PATCH",
      headers: { "content-type": "application/merge-patch+json" },
      body: JSON.stringify({ weight: 7 }),
    })
    expect([patched.status, ((await patched.json()) as { detail: string }).detail]).toEqual([409, expect.stringMatching(/newer version/)])
    await server.kill()
    const again = await serve(spec)
    expect(await again.ids()).toEqual(["1", "2", "3"])
    await again.kill()
    expect(stored(path)).toMatch(/"id":"2",[^\n]*"format":99,[^\n]*"novelty":"kept"/)
  })

  it.skipIf(smallDisksMissing !== undefined)("on a disk that fills up refuses with a reason, and keeps what it acknowledged", async () => {
    const disk = smallDisk("1m")
    const path = join(disk.folder, "registry")
    const spec = `${kind}:${path}`
    const server = await serve(spec)
    const acknowledged: string[] = []
    let refusal: Awaited<ReturnType<Server["register"]>> | undefined
    for (let turn = 100; turn < 400 && refusal === undefined; turn++) {
      const answer = await server.register(`i${turn}`, { filling: "x".repeat(10_000) })
      if (answer.status === 201) acknowledged.push(`i${turn}`)
      else refusal = answer
    }
    expect(refusal).toMatchObject({ status: 503, problem: { code: "storage_unavailable", detail: expect.stringMatching(/full|no space/i) } })
    expect(Number(refusal?.retryAfter)).toBeGreaterThanOrEqual(1)
    expect(acknowledged.length).toBeGreaterThan(10)
    expect(await server.ids()).toEqual(acknowledged)
    expect((await fetch(`${server.url}/ready`)).status).toBe(503)
    await server.kill()
    disk.resize("20m")
    const again = await serve(spec)
    expect((await again.ids()).filter((id) => acknowledged.includes(id))).toEqual(acknowledged)
    expect(await again.register("more", { filling: "x".repeat(10_000) })).toMatchObject({ status: 201 })
    await again.kill()
  })

  it.skipIf(smallDisksMissing !== undefined)("on a disk that has room again takes registrations again, without a restart", async () => {
    const disk = smallDisk("1m")
    const server = await serve(`${kind}:${join(disk.folder, "registry")}`)
    let count = 0
    while ((await server.register(`i${count}`, { filling: "x".repeat(10_000) })).status === 201) count++
    disk.resize("20m")
    await eventually("registrations are taken again", 10_000, async () => expect(await server.register("more")).toMatchObject({ status: 201 }))
    expect(await server.ids()).toHaveLength(count + 1)
    await eventually("it is ready", 5000, () => getOk(`${server.url}/ready`))
    await server.kill()
  })

  it.skipIf(smallDisksMissing !== undefined)("on a disk that is read-only is refused by name, or says why it takes nothing", async () => {
    const disk = smallDisk("4m")
    const path = join(disk.folder, "registry")
    const spec = `${kind}:${path}`
    await filled(spec)
    disk.readOnly(true)
    const { code, said } = await refused(spec)
    expect([code === 0, code === "SIGKILL"]).toEqual([false, false])
    expect(said).toContain(path)
    expect(said).toMatch(/read-only|EROFS/)
    disk.readOnly(false)
    const server = await serve(spec)
    expect(await server.ids()).toEqual(["1", "2", "3"])
    await server.kill()
  })
})
