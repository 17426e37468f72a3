/**
 * Agents of the AI SDK (`ai`), which this subpath alone names in its types.
 */
export { type AgentSettings, createAgent, type ToolContext } from "@smithers/agents/createAgent"
export type { Agent, AgentReply, AgentRequest, AgentUsage, AnyAgent } from "@smithers/core/Agent"
