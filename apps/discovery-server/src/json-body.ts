import { MeshError } from "@meshwork/contract"

/** How deep objects and arrays may nest in a body; every rule that walks one relies on it. */
export const maxJsonDepth = 64

/** Reads a request body; undefined for an empty one. Throws `invalid_request` that says what is wrong and where. */
export function parseJsonBody(text: string): unknown {
  if (text === "") return undefined
  if (mayNestDeeper(text) && depthOf(text) > maxJsonDepth) throw new MeshError("invalid_request", `the body nests deeper than ${maxJsonDepth} levels`)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new MeshError("invalid_request", `the body is not JSON: ${error instanceof Error ? error.message : String(error)}`)
  }
  // An escape can spell the key too, so that its presence alone asks for the walk.
  if (text.includes("__proto__") || text.includes("\\u")) refuseProto(value, "")
  return value
}

function refuseProto(value: unknown, path: string): void {
  if (typeof value !== "object" || value === null) return
  for (const [key, inner] of Object.entries(value)) {
    const here = path === "" ? key : `${path}.${key}`
    if (key === "__proto__") throw new MeshError("invalid_request", `${here}: a field may not be called __proto__`)
    refuseProto(inner, here)
  }
}

/** Whether there are brackets enough for it at all, which is told faster than how they nest. */
function mayNestDeeper(text: string): boolean {
  let brackets = 0
  for (const bracket of ["{", "["]) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) if (++brackets > maxJsonDepth) return true
  }
  return false
}

const quote = 0x22
const backslash = 0x5c

/** Deepest nesting of brackets outside strings; gives up at the limit, since more does not matter. */
function depthOf(text: string): number {
  let depth = 0
  let deepest = 0
  let inString = false
  for (let index = 0; index < text.length && deepest <= maxJsonDepth; index++) {
    const code = text.charCodeAt(index)
    if (inString) {
      if (code === backslash) index++
      else if (code === quote) inString = false
    } else if (code === quote) inString = true
    else if (code === 0x7b || code === 0x5b) deepest = Math.max(deepest, ++depth)
    else if (code === 0x7d || code === 0x5d) depth--
  }
  return deepest
}
