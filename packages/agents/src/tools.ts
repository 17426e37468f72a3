/**
 * The tools that come with the runtime: `read`, `write`, `edit`, `applyPatch`, `grep` and `bash`. They are tools of the AI SDK; loading them does not load it.
 */
export { bash } from "./tools/bash.ts"
export { applyPatch, edit, read, write } from "./tools/files.ts"
export { grep } from "./tools/grep.ts"
