/**
 * Tools of agents: `read`, `write`, `edit`, `applyPatch`, `grep` and `bash`, and `defineTool` for tools of one's own.
 */
export { defineTool, type ToolCall, type ToolDefinition } from "@smithers/agents/defineTool"
export type { CallApproval, InterruptedCall, Recovery, ToolRulesOptions } from "@smithers/agents/ToolRules"
export { applyPatch, bash, edit, grep, read, write } from "@smithers/agents/tools"
