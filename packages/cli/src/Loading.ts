/** The program of commands that load workflows: where it is bundled it shares everything with what they import. */
export { run } from "./Program.ts"
