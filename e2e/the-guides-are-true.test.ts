import { it } from "vitest"
import { followGuide } from "./support/guide.ts"

it("five minutes lead from an empty folder to a service behind the gateway", () => followGuide("docs/guides/five-minutes.md"))
