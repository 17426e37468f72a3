/// <reference path="./mdx-modules.d.ts" preserve="true" />
import "./copies.ts"

export {
  AcpAgent,
  ClaudeCodeAgent,
  CliAgent,
  CodexAgent,
  GeminiAgent,
  KimiAgent,
  OpenCodeAgent,
  PiAgent,
} from "@smithers/agents/commandLine/agents"
export { createAgent } from "@smithers/agents/createAgent"
export { defineTool } from "@smithers/agents/defineTool"
export { applyPatch, bash, edit, grep, read, write } from "@smithers/agents/tools"
export type { Agent, AnyAgent } from "@smithers/core/Agent"
export type { RunResult } from "@smithers/core/RunResult"
export type { OpenSandbox, Patch, SandboxProvider, SandboxRequest, SandboxResult } from "@smithers/core/Sandboxes"
export type { Ctx, TaskCtx } from "@smithers/jsx/Ctx"
export {
  Approval,
  ApprovalGate,
  Aspects,
  Branch,
  Budget,
  ContinueAsNew,
  ForEach,
  HumanTask,
  Loop,
  MergeQueue,
  Parallel,
  Race,
  Ralph,
  Saga,
  Sandbox,
  Scope,
  Sequence,
  Signal,
  Subflow,
  Task,
  Timer,
  TryCatchFinally,
  useCtx,
  WaitForEvent,
  Workflow,
  Worktree,
} from "@smithers/jsx/components"
export { dedent } from "@smithers/jsx/Dedent"
export { type RenderedPlan, type RenderOptions, renderPlan } from "@smithers/jsx/renderPlan"
export { createSmithers, type JsxWorkflow } from "@smithers/jsx/Workflow"
export { make as sandboxProvider, type ProviderParts } from "@smithers/sandbox/Provider"
export { make as commandRunner } from "@smithers/sandbox/Runner"
export { mdxPlugin } from "./mdx-plugin.ts"
export { type RunWorkflowOptions, runWorkflow } from "./runWorkflow.ts"
export * as Smithers from "./Smithers.ts"
