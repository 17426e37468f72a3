/**
 * The tools that come with the runtime: `read`, `write`, `edit`, `grep` and `bash`. They are tools of the AI SDK; loading them does not load it.
 */
export { bash } from "./tools/bash.ts"
export { edit, read, write } from "./tools/files.ts"
export { grep } from "./tools/grep.ts"
