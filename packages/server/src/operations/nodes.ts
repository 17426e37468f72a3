/**
 * Reads nodes, transcripts and outputs.
 */
import { AgentJournal, Conversation, ToolCallRecord, TranscriptEntry } from "@smithers/core/AgentJournal"
import { resolveNodeId } from "@smithers/core/Commands"
import { NodeNotFound, NoSuchAttempt } from "@smithers/core/Errors"
import * as Lineage from "@smithers/core/Lineage"
import * as RunAt from "@smithers/core/RunAt"
import { AttemptSummary, RunReader, WaitSummary } from "@smithers/core/RunReader"
import * as RunState from "@smithers/core/RunState"
import { RunStore } from "@smithers/core/RunStore"
import { defined } from "@smithers/core/Struct"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { define } from "./Operation.ts"

const Position = Schema.Int.pipe(Schema.nonNegative())

export const readNode = define({
  name: "read_node",
  title: "Reads a node: its iterations with their outputs, its attempts and waits.",
  scope: "read",
  input: Schema.Struct({
    runId: Schema.String,
    nodeId: Schema.String,
    iteration: Schema.optional(Position),
    frame: Schema.optional(Position),
  }),
  output: Schema.Struct({
    nodes: Schema.Array(RunAt.NodeAt),
    attempts: Schema.Array(AttemptSummary),
    waits: Schema.Array(WaitSummary),
  }),
  run: ({ runId, nodeId: named, iteration, frame }) =>
    Effect.gen(function* () {
      const [reader, store] = [yield* RunReader, yield* RunStore]
      const found = yield* RunAt.read({ ...reader, load: store.load }, runId, frame === undefined ? undefined : { frame })
      const nodeId = resolveNodeId(named, found.nodes)
      const isMeant = (one: { readonly nodeId: string; readonly iteration: number }) =>
        one.nodeId === nodeId && (iteration === undefined || one.iteration === iteration)
      const nodes = found.nodes.filter(isMeant)
      if (nodes.length === 0) {
        const known = [...new Set(found.nodes.map((node) => node.nodeId))]
        return yield* new NodeNotFound({ runId, nodeId, known, ...defined({ iteration }) })
      }
      const { attempts } = yield* reader.inspect(runId)
      const until = frame === undefined ? Number.POSITIVE_INFINITY : (found.at ?? 0)
      return {
        nodes,
        attempts: attempts.filter((one) => isMeant(one) && (one.startedAt ?? 0) <= until),
        waits: found.waits.filter(isMeant),
      }
    }),
})

export const readTranscript = define({
  name: "read_transcript",
  title: "Reads the conversations of a step's agents in one attempt, with the calls of their tools.",
  scope: "read",
  input: Schema.Struct({ runId: Schema.String, nodeId: Schema.String, attempt: Position, iteration: Schema.optional(Position) }),
  output: Schema.Struct({
    conversations: Schema.Array(
      Schema.Struct({
        ...Conversation.fields,
        runId: Schema.String,
        entries: Schema.Array(TranscriptEntry),
        calls: Schema.Array(ToolCallRecord),
      }),
    ),
  }),
  run: ({ runId, nodeId: named, attempt, iteration = 0 }) =>
    Effect.gen(function* () {
      const [store, journal] = [yield* RunStore, yield* AgentJournal]
      const state = yield* store.load(runId)
      const records = RunState.records(state)
      const nodeId = resolveNodeId(named, records)
      const record = records.find((one) => one.nodeId === nodeId && one.iteration === iteration)
      if (record === undefined)
        return yield* new NodeNotFound({ runId, nodeId, iteration, known: [...new Set(records.map((one) => one.nodeId))] })
      const last = record.kind === "step" ? record.attempt : 0
      if (attempt < 1 || attempt > last) {
        const known = Array.from({ length: last }, (_, index) => index + 1)
        return yield* new NoSuchAttempt({ runId, nodeId, iteration, attempt, known })
      }
      const all = yield* Lineage.conversations({ store, journal }, state, { nodeId, iteration })
      const conversations = all.flatMap(({ isCurrent: _, entries, calls, ...conversation }) => {
        const own = entries.filter((entry) => entry.attempt === attempt)
        if (own.length === 0 && conversation.attempt !== attempt) return []
        return [{ ...conversation, entries: own, calls: calls.filter((call) => call.attempt === attempt) }]
      })
      return { conversations }
    }),
})

export const readOutputs = define({
  name: "read_outputs",
  title: "Reads the outputs of a run's steps, of all tables or one.",
  scope: "read",
  input: Schema.Struct({ runId: Schema.String, table: Schema.optional(Schema.String) }),
  output: Schema.Struct({
    rows: Schema.Array(
      Schema.Struct({
        nodeId: Schema.String,
        iteration: Schema.Number,
        table: Schema.NullOr(Schema.String),
        output: Schema.Unknown,
      }),
    ),
  }),
  run: ({ runId, table }) =>
    Effect.gen(function* () {
      const { nodes } = yield* (yield* RunReader).inspect(runId)
      const state = yield* (yield* RunStore).load(runId)
      const rows = nodes.flatMap((node) => {
        if (table !== undefined && node.table !== table) return []
        const output = RunState.step(state, node.nodeId, node.iteration)?.output
        return output === undefined ? [] : [{ nodeId: node.nodeId, iteration: node.iteration, table: node.table, output }]
      })
      return { rows }
    }),
})
