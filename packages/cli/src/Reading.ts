/** The program of commands that load no workflow: where it is bundled it has everything in it, Effect too. */
export { run } from "./Program.ts"
