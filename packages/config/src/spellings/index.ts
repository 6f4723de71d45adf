import { meshworkSpelling } from "./meshwork.ts"
import { rgateSpelling } from "./rgate.ts"
import { serverpySpelling } from "./serverpy.ts"
import type { Spelling } from "./spelling.ts"

/** Every spelling, the most particular shape first; the last one also judges what none recognises. One line each. */
export const spellings: readonly Spelling[] = [serverpySpelling, rgateSpelling, meshworkSpelling]
