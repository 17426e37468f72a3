/**
 * Agents of the AI SDK (`ai`), which this subpath alone names in its types, and agents that are programs.
 */
export {
  AcpAgent,
  type AcpPresetSettings,
  type AcpSettings,
  ClaudeCodeAgent,
  type ClaudeCodeSettings,
  CliAgent,
  type CliSettings,
  CodexAgent,
  type CodexSettings,
  GeminiAgent,
  KimiAgent,
  OpenCodeAgent,
  PiAgent,
  type PiSettings,
} from "@smithers/agents/commandLine/agents"
export type { CommandLineAgent, CommandLineFailure, CommonSettings } from "@smithers/agents/commandLine/CommandLineAgent"
export type { AgentEvent } from "@smithers/agents/commandLine/Dialect"
export * as CommandLineError from "@smithers/agents/commandLine/Errors"
export { type AgentSettings, createAgent, type ToolContext } from "@smithers/agents/createAgent"
export { type CommandServer, type HttpServer, type McpServer, mcpServer } from "@smithers/agents/McpServer"
export type { Agent, AgentReply, AgentRequest, AgentUsage, AnyAgent } from "@smithers/core/Agent"
export { type AgentName, loggedInAgent } from "./loggedInAgent.ts"
