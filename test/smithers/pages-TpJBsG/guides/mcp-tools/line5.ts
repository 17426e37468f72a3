import { createAgent, mcpServer } from "smithers-orchestrator/agents"

const notes = mcpServer({ name: "notes", command: "bunx", args: ["notes-server"], tools: ["search", "append"] })
const tickets = mcpServer({ name: "tickets", url: "https://tickets.example.com/mcp", headers: { authorization: "Bearer …" } })

const clerk = createAgent({ name: "clerk", model: "anthropic/claude-sonnet-4.5", mcp: [notes, tickets] })
console.log(clerk.name, notes.name, tickets.name)
