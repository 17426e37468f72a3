/**
 * The package that is published, as its own code names it: in messages, pragmas and templates. `bun run docs` writes this from
 * `packages/smithers/package.json`, where the two are set, and brings everything else that names the package in step.
 */

/** Name that users install and import. */
export const name = "smithers-orchestrator"

/** The version of the package, of the command, and of everything that comes with them. */
export const version = "0.1.0"
