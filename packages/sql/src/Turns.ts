/**
 * Turns of agents in an attempt, as columns that can be queried: the full prompt, the last reply, and the tokens of all turns. Most
 * attempts have one turn, which the columns hold except for the agent's name. Several turns are stored as JSON beside them. Prompts
 * and replies are stored once each, by their hash.
 */
import type { AgentTurn } from "@smithers/core/Agent"

/** Long texts, stored once each. */
export interface Texts {
  /** Stores a text unless it exists, and returns its hash. */
  readonly keep: (text: string) => string
  readonly read: (hash: string) => string
}

/** prompt_hash, reply_hash, model, finish_reason, input_tokens, output_tokens, turns */
export type Row = [
  prompt: string | null,
  reply: string | null,
  model: string | null,
  finishReason: string | null,
  inputTokens: number | null,
  outputTokens: number | null,
  turns: string | null,
]

export const columns = ["prompt_hash", "reply_hash", "model", "finish_reason", "input_tokens", "output_tokens", "turns"] as const

/** A turn in JSON, with hashes in place of texts. */
type Kept = Omit<AgentTurn, "prompt" | "reply"> & { readonly prompt?: string; readonly reply?: string }

const sum = (turns: ReadonlyArray<AgentTurn>, field: "inputTokens" | "outputTokens"): number | null => {
  const counted = turns.flatMap((turn) => turn[field] ?? [])
  return counted.length === 0 ? null : counted.reduce((left, right) => left + right)
}

/** Returns the fields of a single turn that have no column. */
const rest = ({
  prompt: _,
  reply: __,
  model: ___,
  finishReason: ____,
  inputTokens: _____,
  outputTokens: ______,
  ...turn
}: AgentTurn) => turn

/** Encodes turns as columns. */
export const row = (turns: ReadonlyArray<AgentTurn>, texts: Texts): Row => {
  const last = turns.at(-1)
  const hashed = (text: string | undefined): string | null => (text === undefined ? null : texts.keep(text))
  const kept =
    turns.length === 1
      ? turns.map(rest)
      : turns.map((turn) => ({
          ...turn,
          prompt: hashed(turn.prompt),
          ...(turn.reply === undefined ? {} : { reply: hashed(turn.reply) }),
        }))
  const { reply, model = null, finishReason = null } = last ?? {}
  // A correction contains only the problem.
  const { prompt } = turns[0] ?? {}
  const tokens = [sum(turns, "inputTokens"), sum(turns, "outputTokens")] as const
  return [hashed(prompt), hashed(reply), model, finishReason, ...tokens, JSON.stringify(kept)]
}

/** Decodes turns. */
export const read = (
  [promptHash, replyHash, model, finishReason, inputTokens, outputTokens, turns]: Row,
  texts: Texts,
): ReadonlyArray<AgentTurn> => {
  if (turns === null) return []
  const kept = JSON.parse(turns) as ReadonlyArray<Kept>
  const text = (hash: string | null | undefined): string | null => (hash === null || hash === undefined ? null : texts.read(hash))
  const [only] = kept
  if (kept.length !== 1 || only === undefined)
    return kept.map((turn) => {
      const [prompt, reply] = [text(turn.prompt), text(turn.reply)]
      return { ...turn, prompt: prompt ?? "", ...(reply === null ? {} : { reply }) } as AgentTurn
    })
  const columns = { prompt: text(promptHash), reply: text(replyHash), model, finishReason, inputTokens, outputTokens }
  const present = Object.entries(columns).filter(([, value]) => value !== null)
  return [{ ...only, ...Object.fromEntries(present) } as AgentTurn]
}
