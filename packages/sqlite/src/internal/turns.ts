/**
 * What was said to agents in an attempt, as columns that can be queried: the whole prompt, the last reply, and the tokens of all turns. Most
 * attempts have one turn, which the columns hold in full but for the agent's name; all turns of the others are kept as JSON beside them.
 */
import type { AgentTurn } from "@smithers/core/Agent"

/** prompt, reply, model, finish_reason, input_tokens, output_tokens, turns */
export type Row = [
  prompt: string | null,
  reply: string | null,
  model: string | null,
  finishReason: string | null,
  inputTokens: number | null,
  outputTokens: number | null,
  turns: string | null,
]

const sum = (turns: ReadonlyArray<AgentTurn>, field: "inputTokens" | "outputTokens"): number | null => {
  const counted = turns.flatMap((turn) => turn[field] ?? [])
  return counted.length === 0 ? null : counted.reduce((left, right) => left + right)
}

/** What a single turn holds beyond the columns. */
const rest = ({
  prompt: _,
  reply: __,
  model: ___,
  finishReason: ____,
  inputTokens: _____,
  outputTokens: ______,
  ...turn
}: AgentTurn) => turn

/** Turns as columns. */
export const row = (turns: ReadonlyArray<AgentTurn>): Row => {
  const last = turns.at(-1)
  const kept = turns.length === 1 ? turns.map(rest) : turns
  const { reply = null, model = null, finishReason = null } = last ?? {}
  // A correction says only what was wrong.
  const { prompt = null } = turns[0] ?? {}
  return [prompt, reply, model, finishReason, sum(turns, "inputTokens"), sum(turns, "outputTokens"), JSON.stringify(kept)]
}

/** Columns as turns. */
export const read = ([prompt, reply, model, finishReason, inputTokens, outputTokens, turns]: Row): ReadonlyArray<AgentTurn> => {
  if (turns === null) return []
  const kept = JSON.parse(turns) as ReadonlyArray<AgentTurn>
  const [only] = kept
  if (kept.length !== 1 || only === undefined) return kept
  const columns = { prompt, reply, model, finishReason, inputTokens, outputTokens }
  const present = Object.entries(columns).filter(([, value]) => value !== null)
  return [{ ...only, ...Object.fromEntries(present) } as AgentTurn]
}
