/**
 * The tools that come with the runtime: `read`, `write`, `edit`, `grep` and `bash`. They are tools of the AI SDK; loading them does not load it.
 */
export { bash } from "./bash.ts"
export { edit, read, write } from "./files.ts"
export { grep } from "./grep.ts"
