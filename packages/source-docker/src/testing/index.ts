export { FakeEngine } from "./fake-engine.ts"
export { sampleContainer } from "./sample-container.ts"
export { sampleSummary } from "./sample-summary.ts"
export { ScriptedDocker } from "./scripted-docker.ts"
