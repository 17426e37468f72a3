/**
 * The agents of the workflows, and what they run on. The first of these that is there:
 *
 * 1. what SMITHERS_AGENT names: a program such as "claude", a model such as "anthropic/claude-sonnet-4.5", or "stand-in"
 * 2. a model, where the environment has a key for it
 * 3. a program that is installed and logged in: Claude Code, Codex and others, as `smithers agents` lists them
 * 4. stand-ins. They ask nobody, and answer with the examples of the schemas.
 *
 * Tests get stand-ins, so that they cost nothing and give the same each time.
 */
import type { Agent } from "smithers-orchestrator"
import * as Agents from "smithers-orchestrator/agents"
import { bash, edit, grep, read, write } from "smithers-orchestrator/tools"

/** Programs that have a login of their own, in the order in which they are looked for. */
const programs = {
  claude: Agents.ClaudeCodeAgent,
  codex: Agents.CodexAgent,
  gemini: Agents.GeminiAgent,
  opencode: Agents.OpenCodeAgent,
  kimi: Agents.KimiAgent,
  pi: Agents.PiAgent,
}

/** Models by the variable that has their key. */
const models = {
  AI_GATEWAY_API_KEY: async () => "anthropic/claude-sonnet-4.5",
  ANTHROPIC_API_KEY: async () => (await import("@ai-sdk/anthropic")).anthropic("claude-sonnet-4-5"),
  OPENAI_API_KEY: async () => (await import("@ai-sdk/openai")).openai("gpt-5"),
}

interface Role {
  readonly name: string
  readonly instructions: string
  /** `true` for a role that changes files and runs commands. */
  readonly writes?: boolean
}

type Maker = (role: Role) => Agent

const standIns: Maker = ({ name }) => ({
  name: `${name} (stand-in)`,
  wantsContext: true,
  generate: async ({ context }) => {
    const examples: unknown = context?.outputSchema?.examples
    if (!Array.isArray(examples))
      throw new Error(`The schema of step "${context?.stepId}" has no examples: add .meta({ examples: […] })`)
    // A step in a loop gets the next one in each round.
    const answer: unknown = examples[Math.min(context?.iteration ?? 0, examples.length - 1)]
    return { text: typeof answer === "string" ? answer : JSON.stringify(answer) }
  },
})

const find = async (): Promise<Maker> => {
  const { NODE_ENV, SMITHERS_AGENT: named, SMITHERS_MODEL } = process.env
  const isProgram = (name: string): name is keyof typeof programs => name in programs
  const key = Object.entries(models).find(([variable]) => process.env[variable])
  const quiet = NODE_ENV === "test" || named === "stand-in"
  const model = quiet ? undefined : named && !isProgram(named) ? named : named ? undefined : (SMITHERS_MODEL ?? (await key?.[1]()))
  if (model !== undefined)
    return ({ writes, ...role }) =>
      Agents.createAgent({ ...role, model, tools: writes ? { read, grep, edit, write, bash } : { read, grep } })
  const program = quiet ? undefined : named && isProgram(named) ? named : await Agents.loggedInAgent()
  if (program !== undefined) return ({ name, instructions }) => programs[program]({ name: `${name} (${program})`, instructions })
  if (!quiet) console.warn("Agents are stand-ins, since there is no key of a model and no program that is logged in: see agents.ts")
  return standIns
}

const make = await find()

export const analyst = make({
  name: "analyst",
  instructions: "You look into a question before anybody works on it. Say what you have found and where, and what you do not know.",
})

export const engineer = make({
  name: "engineer",
  instructions: "You change code. Change as little as the task needs, run its tests, and say honestly what you have not done.",
  writes: true,
})

export const reviewer = make({
  name: "reviewer",
  instructions:
    "You review the work of others. Look at the files themselves. Approve only what does the whole task, and be specific.",
})
