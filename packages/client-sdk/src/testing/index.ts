export { ManualClock, seededRandom } from "@meshwork/contract/testing"
export { fakeInstance } from "./fake-instance.ts"
export { ScriptedTransport } from "./scripted-transport.ts"
export type { ScriptedSend, ScriptStep } from "./scripted-transport.ts"
