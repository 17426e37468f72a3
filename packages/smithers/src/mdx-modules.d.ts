/** A prompt file without a declaration beside it. With one (`prompt.d.mdx.ts`), TypeScript takes that instead of this. */
declare module "*.mdx" {
  const Prompt: (props: { readonly [name: string]: unknown }) => import("react").ReactElement
  export default Prompt
  export const frontmatter: { readonly [name: string]: unknown }
}

/** A prompt in plain Markdown: braces and tags in it are text. */
declare module "*.md" {
  const Prompt: (props: { readonly [name: string]: unknown }) => import("react").ReactElement
  export default Prompt
  export const frontmatter: { readonly [name: string]: unknown }
}
