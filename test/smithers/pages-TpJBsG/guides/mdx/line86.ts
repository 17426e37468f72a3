import { mdx } from "smithers-orchestrator/mdx"

Bun.plugin(mdx({ declarations: true }))
