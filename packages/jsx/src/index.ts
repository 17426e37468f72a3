export * as Ctx from "./Ctx.ts"
export * as Mdx from "./Mdx.ts"
