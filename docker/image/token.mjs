// Makes the token that containers of one project share, once: `MESHWORK_TOKEN` where it is set, else 32 bytes of chance. It never leaves the volume.
import { randomBytes } from "node:crypto"
import { existsSync, renameSync, writeFileSync } from "node:fs"

const [file] = process.argv.slice(2)
const { MESHWORK_TOKEN: given } = process.env
if (given || !existsSync(file)) {
  writeFileSync(`${file}.new`, `${given || randomBytes(32).toString("base64url")}\n`, { mode: 0o400, flag: "w" })
  renameSync(`${file}.new`, file)
}
