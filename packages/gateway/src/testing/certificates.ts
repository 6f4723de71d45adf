import { execFileSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { onTestFinished } from "vitest"
import type { KeyPair } from "../data-port.ts"

/** An authority of a test, which issues certificates with openssl. */
export interface TestAuthority {
  /** Its own certificate. */
  readonly ca: string
  /** @param names such as `DNS:shop.test` or `IP:127.0.0.1` */
  readonly issue: (...names: string[]) => KeyPair
}

/** Makes an authority that is gone with the test. */
export function testAuthority(): TestAuthority {
  const folder = mkdtempSync(join(tmpdir(), "meshwork-certificates-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: folder, stdio: "ignore" })
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.pem", "-days", "30", "-subj", "/CN=test authority")
  const read = (file: string): string => readFileSync(join(folder, file), "utf8")
  let serial = 0
  return {
    ca: read("ca.pem"),
    issue(...names) {
      const own = `leaf-${++serial}`
      writeFileSync(join(folder, `${own}.ext`), `subjectAltName=${names.join(",")}\n`)
      openssl("req", ...key, "-keyout", `${own}.key`, "-out", `${own}.csr`, "-subj", `/CN=${own}`)
      const issuer = ["-CA", "ca.pem", "-CAkey", "ca.key", "-set_serial", String(serial)]
      openssl("x509", "-req", "-in", `${own}.csr`, ...issuer, "-days", "30", "-extfile", `${own}.ext`, "-out", `${own}.pem`)
      return { cert: read(`${own}.pem`), key: read(`${own}.key`) }
    },
  }
}
