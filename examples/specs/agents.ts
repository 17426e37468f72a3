/**
 * The agents of the specifications in this folder. They stand in for models, and answer at once, by a function of the prompt. Put agents of
 * `createAgent` in their place.
 */
import type { Agent } from "smithers-orchestrator"

/** Stands in for an agent. */
const standIn = (name: string, answer: (prompt: string) => unknown): Agent => ({
  name,
  generate: async ({ prompt = "" }) => {
    const reply = answer(prompt)
    return { text: typeof reply === "string" ? reply : JSON.stringify(reply) }
  },
})

const constant = (name: string, reply: unknown): Agent => standIn(name, () => reply)

/* Triage */
export const classifier = standIn("classifier", (prompt) =>
  /crash/.test(prompt) ? { category: "bug", confidence: 0.9 } : { category: "question", confidence: /\?/.test(prompt) ? 0.8 : 0.2 },
)
export const reproducer = standIn("reproducer", () => ({ answer: "reproduced with an empty file" }))
export const librarian = standIn("librarian", () => ({ answer: "see the guide to loops" }))

/* Release */
export const notesWriter = standIn("writer", (prompt) =>
  prompt.includes("breaking") ? "Adds patterns. Nothing is breaking." : "Adds patterns.",
)
export const notesEditor = standIn("editor", (prompt) => ({
  approved: prompt.includes("is breaking"),
  feedback: "say what is breaking",
}))

/* Migration */
export const scanner = standIn("scanner", () => ({
  issues: [
    { id: "cart", uses: 2 },
    { id: "login", uses: 1 },
    { id: "legacy", uses: 9 },
  ],
}))
export const rewriter = standIn("rewriter", (prompt) => ({ diff: prompt.includes("did not hold") ? "all uses" : "first use" }))
export const tester = standIn("tester", (prompt) => {
  const fixed = !prompt.includes("legacy") && (prompt.includes("all uses") || prompt.includes("login"))
  return { fixed, why: fixed ? "tests pass" : "uses are left" }
})

/* Support desk */
export const small = standIn("small", (prompt) => ({ text: "Turn it off and on.", refund: 0, isSure: prompt.includes("slow") }))
export const large = standIn("large", (prompt) => ({
  text: "We are sorry.",
  refund: prompt.includes("500") ? 500 : 20,
  isSure: prompt.includes("broken"),
}))

/* Incident */
export const logs = constant("logs", { text: "errors since noon" })
export const deploys = constant("deploys", { text: "a deploy at noon" })
export const analyst = standIn("analyst", (prompt) => ({
  cause: prompt.includes("deploy at noon") ? "the deploy at noon" : "unknown",
  fix: prompt.includes("Missing sources") ? "roll back, and repair the metrics" : "roll back",
}))
export const metrics = standIn("metrics", () => {
  throw new Error("the metrics are down")
})

/* Research report */
export const papers = constant("papers", { text: "yes" })
export const web = constant("web", { text: "no" })
export const searcher = standIn("searcher", (prompt) => ({
  text: "two sources",
  isDisputed: prompt.includes("yes") && prompt.includes("no"),
}))
export const proposer = constant("proposer", { text: "proposer has data" })
export const opponent = constant("opponent", { text: "opponent has data" })
export const judge = standIn("judge", (prompt) => ({ winner: prompt.includes("proposer has data") ? "proposer" : "undecided" }))
export const writer = standIn("writer", (prompt) => (prompt.includes("missing") ? "It holds [1][2]." : "It holds."))
export const editor = standIn("editor", (prompt) => ({ approved: prompt.includes("[1]"), missing: "citations" }))

/* Data clean-up */
export const repairer = standIn("repairer", (prompt) => {
  const [, id = "", email = ""] = /"id": "(.*?)",\s+"email": "(.*?)"/.exec(prompt) ?? []
  return { id, email: email.replace(" at ", "@") }
})

/* On call */
export const guide = standIn("guide", (prompt) => ({ steps: [`restart it, ${/Hello (\w+)/.exec(prompt)?.[1]}`] }))

/* Hiring loop */
const reader = (name: string, wants: string) => standIn(name, (prompt) => ({ vote: prompt.includes(wants) ? "yes" : "no" }))
export const panelists = {
  coder: reader("coder", "types"),
  writer: reader("writer", "docs"),
  operator: reader("operator", "databases"),
}

/* Content */
export const planner = constant("planner", { text: "an outline" })
export const drafter = constant("drafter", { text: "a draft" })
export const contentEditor = standIn("editor", (prompt) => {
  if (prompt.includes("secret")) throw new Error("this must not be published")
  return { text: "a text" }
})
export const copywriter = standIn("copywriter", (prompt) => ({
  headline: prompt.includes("best so far") ? "Nine cats you must see" : "Cats",
}))
export const scorer = standIn("scorer", (prompt) => ({ score: prompt.includes("Nine") ? 30 : 4 }))
