/// <reference path="./mdx-modules.d.ts" preserve="true" />
/**
 * Makes `.mdx` and `.md` files importable as components; in `.md`, braces and tags are text. Import this module or name it in
 * `bunfig.toml`: it registers a Bun plugin for the process. The compiler is loaded with the first prompt, so programs without
 * prompts do not pay for it.
 *
 * ```toml
 * preload = ["smithers-orchestrator/mdx"]
 * ```
 */
import { mdxPlugin } from "./mdx-plugin.ts"

export { PromptInputError } from "@smithers/jsx/PromptInput"
export { type MdxOptions, type MdxPlugin, mdx } from "./mdx-plugin.ts"

/** The plugin without options. */
export default mdxPlugin()
