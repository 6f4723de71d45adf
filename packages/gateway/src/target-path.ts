const suspicious = /[^\x21-\x7e\x80-\xff]|[\\#%]|\/\./
const badEscape = /%(?![0-9a-f]{2})/i
const badByte = /%(?:[01][0-9a-f]|7f|5c)/i
const dot = /%2e/gi
const slash = /%2f/gi
/** ASCII in UTF-8 of more bytes than it needs, in two to four of them; the last two carry it. */
const overlong = /%(?:c[01]|e0%8[01]|f0%80%8[01])%[89ab][0-9a-f]/gi
const dotSegment = /\/\.{1,2}(?:\/|$)/

/** Why a path, without its query, must not be passed on; undefined when it may. Overlong UTF-8 counts as what lax decoders make of it. */
export function pathFault(path: string): string | undefined {
  if (!suspicious.test(path)) return undefined
  if (/[\0-\x20\x7f]/.test(path)) return "the path has a blank or a control character"
  if (/[^\0-\xff]/.test(path)) return "the path has a character that is not a byte"
  if (path.includes("#")) return "the target has a fragment (#)"
  if (path.includes("\\")) return "the path has a backslash"
  if (badEscape.test(path)) return "the path has a % that is not followed by two hexadecimal digits"
  const plain = path.replace(overlong, shortened)
  if (badByte.test(plain)) return "the path has an encoded control character or backslash"
  if (dotSegment.test(plain.replace(dot, ".").replace(slash, "/"))) return "the path has a dot segment"
  return undefined
}

function shortened(escapes: string): string {
  const [upper = 0, lower = 0] = escapes
    .slice(1)
    .split("%")
    .slice(-2)
    .map((byte) => Number.parseInt(byte, 16))
  return `%${(((upper & 1) << 6) | (lower & 0x3f)).toString(16).padStart(2, "0")}`
}
