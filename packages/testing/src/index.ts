export * as TestRuntime from "./TestRuntime.ts"
export { timeline } from "./Timeline.ts"
