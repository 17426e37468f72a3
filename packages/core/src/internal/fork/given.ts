/**
 * What a fork is given from outside: another input, outputs of steps, and the signals that the original got after the cut.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { decodeShared, type Json } from "../../Codec.ts"
import type { Definition } from "../../Definition.ts"
import { InvalidFork, InvalidInput, NodeNotFound } from "../../Errors.ts"
import { compositeKey, nodeKey, storable } from "../../Ids.ts"
import type { Command, InboxMessage, Response } from "../../Inbox.ts"
import type * as Millis from "../../Millis.ts"
import type { LoggedEvent } from "../../RunReader.ts"
import * as RunState from "../../RunState.ts"
import * as Secrets from "../../Secrets.ts"
import { defined } from "../../Struct.ts"
import { toJson } from "../json.ts"
import * as View from "../view.ts"
import type { Draft } from "./draft.ts"
import { type ForkedNode, stepsOf } from "./lists.ts"

/** Another input, as it is stored. */
export const inputOf = (definition: Definition<unknown>, workflow: string, value: unknown) =>
  Effect.gen(function* () {
    const stored = yield* Effect.mapError(definition.input.encode(value), (issues) => new InvalidInput({ workflow, issues }))
    const found = Secrets.problemIn(stored)
    if (found !== undefined) return yield* new InvalidInput({ workflow, issues: [found.problem], secret: found.secret })
    return stored
  })

/** Resets steps with everything that has read them, and gives them outputs: JSON in the stored form of their schemas. */
export const setOutputs = (draft: Draft, from: string, outputs: { readonly [nodeId: string]: unknown }) =>
  Effect.gen(function* () {
    const invalid = (problem: string) => new InvalidFork({ runId: from, problem })
    const wanted = Object.entries(outputs).map(([name, value]) => [storable(name), value] as const)
    if (wanted.length === 0) return []
    const begun = new Set(stepsOf(draft.state(), ({ attempt }) => attempt > 0).map(({ nodeId }) => nodeId))
    const again = wanted.flatMap(([nodeId]) => (begun.has(nodeId) ? [nodeId] : []))
    if (again.length > 0) yield* draft.rerun(again)
    const plan = yield* draft.plan
    const values = { input: undefined, outputs: draft.outputs }
    const view = View.make({ plan, values, state: draft.state, armOf: () => -1 })
    const set: Array<ForkedNode> = []
    for (const [nodeId, value] of wanted) {
      const node = plan.find(nodeId)
      if (node === undefined) {
        const known = plan.nodes.flatMap((one) => (one._tag === "Step" ? [one.id] : []))
        return yield* new NodeNotFound({ runId: from, nodeId, known })
      }
      if (node._tag !== "Step" || node.table === undefined)
        return yield* invalid(
          `"${nodeId}" is no step, so it has no output to set; what it waits for can be given once the fork asks`,
        )
      const iteration = view.iterationOf(plan.positions.get(nodeId) ?? -1)
      const json = toJson(value)
      if (Either.isLeft(json))
        return yield* invalid(`the value of "${nodeId}" must be JSON: ${json.left.path} ${json.left.problem}`)
      const secret = Secrets.problemIn(json.right)
      if (secret !== undefined) return yield* invalid(`the value of "${nodeId}": ${secret.problem}`)
      const decoded = yield* Effect.mapError(decodeShared(node.codec, json.right), (issues) =>
        invalid(`the value of "${nodeId}" does not match its schema: ${issues.join("; ")}`),
      )
      const attempt = (RunState.step(draft.state(), nodeId, iteration)?.attempt ?? 0) + 1
      draft.append({ _tag: "AttemptStarted", nodeId, iteration, attempt })
      draft.append({
        _tag: "AttemptSucceeded",
        ...{ nodeId, iteration, attempt, table: node.table, output: json.right },
        isSet: true,
      })
      draft.outputs.set(nodeKey(nodeId, iteration), decoded)
      set.push({ nodeId, iteration, kind: "step" })
    }
    return set
  })

/** The signals that a run got after an event, as commands to a fork of it. */
export const signalsAfter = (
  { runId: from, seq }: Pick<RunState.RunState, "runId" | "seq">,
  events: ReadonlyArray<LoggedEvent>,
  runId: string,
  at: Millis.Millis,
): ReadonlyArray<InboxMessage<Exclude<Command, Response>>> =>
  events.flatMap((logged) => {
    if (logged.seq <= seq || logged.event._tag !== "SignalReceived") return []
    const { id, name, correlation, payload } = logged.event
    const command = {
      _tag: "Signal",
      id,
      name,
      ...defined({ correlation }),
      ...(payload === undefined ? {} : { payload: payload as Json }),
    } as const
    return [{ id: compositeKey("fork", from, id), runId, at, command }]
  })
