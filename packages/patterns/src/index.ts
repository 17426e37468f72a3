/**
 * Named patterns of agents: components over the components that any workflow has. Each can be copied into a project and changed.
 */
export * from "./ClassifyAndRoute.tsx"
export * from "./Debate.tsx"
export * from "./EscalationChain.tsx"
export * from "./GatherAndSynthesize.tsx"
export * from "./Kanban.tsx"
export * from "./Optimizer.tsx"
export * from "./Panel.tsx"
export * from "./Participant.tsx"
export * from "./Poller.tsx"
export * from "./ReviewLoop.tsx"
export * from "./ScanFixVerify.tsx"
export * from "./Supervisor.tsx"
