export { type AgentSettings, createAgent, type ToolContext } from "./createAgent.ts"
