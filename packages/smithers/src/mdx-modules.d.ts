/**
 * A prompt file without a declaration beside it. With one (`prompt.d.mdx.ts`), TypeScript uses that instead.
 */
declare module "*.mdx" {
  const Prompt: (props: { readonly [name: string]: unknown }) => import("react").ReactElement
  export default Prompt
  export const frontmatter: { readonly [name: string]: unknown }
}

/** A prompt in plain Markdown, where braces and tags are text. */
declare module "*.md" {
  const Prompt: (props: { readonly [name: string]: unknown }) => import("react").ReactElement
  export default Prompt
  export const frontmatter: { readonly [name: string]: unknown }
}
