const suspicious = /[^\x21-\x7e\x80-\xff]|[\\#%]|\/\./
const badEscape = /%(?![0-9a-f]{2})/i
const badByte = /%(?:[01][0-9a-f]|7f|5c)/i
const dot = /%(?:2e|c0%ae|e0%80%ae|f0%80%80%ae)/gi
const slash = /%(?:2f|c0%af|e0%80%af|f0%80%80%af)/gi
const dotSegment = /\/\.{1,2}(?:\/|$)/

/** Why a path, without its query, must not be passed on; undefined when it may. Overlong UTF-8 counts as what lax decoders make of it. */
export function pathFault(path: string): string | undefined {
  if (!suspicious.test(path)) return undefined
  if (/[\0-\x20\x7f]/.test(path)) return "the path has a blank or a control character"
  if (/[^\0-\xff]/.test(path)) return "the path has a character that is not a byte"
  if (path.includes("#")) return "the target has a fragment (#)"
  if (path.includes("\\")) return "the path has a backslash"
  if (badEscape.test(path)) return "the path has a % that is not followed by two hexadecimal digits"
  if (badByte.test(path)) return "the path has an encoded control character or backslash"
  if (dotSegment.test(path.includes("%") ? path.replace(dot, ".").replace(slash, "/") : path)) return "the path has a dot segment"
  return undefined
}
