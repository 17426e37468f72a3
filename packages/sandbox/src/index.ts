/**
 * Isolation of commands: bubblewrap on Linux, sandbox-runtime on macOS, the container around the process, or none, each by name; and the runner of commands with their bounds.
 */
export * as Bubblewrap from "./Bubblewrap.ts"
export * as Command from "./Command.ts"
export * as DomainProxy from "./DomainProxy.ts"
export * as Runner from "./Runner.ts"
export * as Sandboxes from "./Sandboxes.ts"
export * as SandboxRuntime from "./SandboxRuntime.ts"
export * as Unisolated from "./Unisolated.ts"
