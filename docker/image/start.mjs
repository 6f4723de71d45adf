// What an image runs: the app it was built for. Arguments and variables are those of the command line.
import { existsSync, readFileSync } from "node:fs"
import { ownAddress } from "./address.mjs"

const { MESHWORK_APP: app, MESHWORK_TOKEN, MESHWORK_TOKEN_FILE: tokenFile } = process.env

if (app === "orders" || app === "payment") {
  process.env.HOST ??= ownAddress
  process.env.PORT ??= "3000"
  if (!MESHWORK_TOKEN && tokenFile && existsSync(tokenFile)) process.env.MESHWORK_TOKEN = readFileSync(tokenFile, "utf8").trim()
  await import(`../dist/${app}.js`)
} else {
  if (app !== "cli") process.argv.splice(2, 0, app)
  await import(new URL("../bin/meshwork.js", import.meta.url))
}
