/**
 * Journals for calls of agents outside of runs.
 */
import type {
  AttemptDecision,
  AttemptJournal,
  Conversation,
  JournalWrite,
  ToolCallRecord,
  TranscriptEntry,
} from "@smithers/core/AgentJournal"
import * as Effect from "effect/Effect"

/** What attempts have stored. */
export interface Stored {
  readonly conversations: Map<number, Conversation>
  readonly entries: Array<TranscriptEntry>
  readonly calls: Map<string, ToolCallRecord>
}

export const empty = (): Stored => ({ conversations: new Map(), entries: [], calls: new Map() })

/** The journal of an attempt at one step, on what earlier attempts have stored. */
export const make = (stored: Stored = empty(), attempt = 1, decision?: AttemptDecision): AttemptJournal => ({
  attempt: { nodeId: "s", iteration: 0, attempt },
  decision,
  slot: () => Effect.succeed(() => {}),
  onIdle: () => {},
  record: ({ conversations = [], entries = [], calls = [] }: Pick<JournalWrite, "conversations" | "entries" | "calls">) =>
    Effect.sync(() => {
      for (const each of conversations) stored.conversations.set(each.conversation, each)
      stored.entries.push(...entries)
      for (const each of calls) stored.calls.set(JSON.stringify([each.conversation, each.ordinal, each.index]), each)
    }),
  budgets: [],
  reserve: () => Effect.succeed({ _tag: "Granted", until: undefined }),
  conversations: Effect.sync(() =>
    [...stored.conversations.values()].map((each) => ({
      ...each,
      entries: stored.entries.filter(({ conversation }) => conversation === each.conversation),
      calls: [...stored.calls.values()].filter(({ conversation }) => conversation === each.conversation),
      isCurrent: true,
    })),
  ),
})
