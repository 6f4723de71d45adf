import { deviations } from "./deviations.ts"
import type { EdgeCase } from "./edge-case.ts"
import { passed, refused } from "./edge-corpus.ts"
import { forged } from "./forged-corpus.ts"
import { obfuscated } from "./obfuscation-corpus.ts"
import { odd } from "./odd-corpus.ts"
import { smuggled } from "./smuggling-corpus.ts"

const families = [smuggled, obfuscated, refused, forged, passed, odd, deviations]

/** Every request the edge is tried with, each once: where families meet, the first one has it. */
export const corpus: readonly EdgeCase[] = [
  ...new Map(
    families
      .flat()
      .toReversed()
      .map((each) => [each.bytes.toString("latin1"), each]),
  ).values(),
].toReversed()
