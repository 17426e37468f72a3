export * as AgentProgram from "./AgentProgram.ts"
export { type AgentSettings, createAgent, type ToolContext } from "./createAgent.ts"
