export * as Smithers from "./Smithers.ts"
