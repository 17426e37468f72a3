/**
 * Requests and ends of waits: pure functions of the plan's node and the state. Input counts before deadlines.
 */
import * as Either from "effect/Either"
import { encodeNow, type Json } from "../Codec.ts"
import * as Decision from "../Decision.ts"
import { cutMessage, type ErrorInfo } from "../ErrorInfo.ts"
import { ChildRunsTooDeep, InvalidInput, InvalidRequest, type NodeFailureName } from "../Errors.ts"
import { childRunId, type NodeKey, storable } from "../Ids.ts"
import * as Millis from "../Millis.ts"
import { areNames, readOptions } from "../NodeOptions.ts"
import * as Pauses from "../Pauses.ts"
import type * as Plan from "../Plan.ts"
import * as Records from "../Records.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunState from "../RunState.ts"
import * as Secrets from "../Secrets.ts"
import { defined } from "../Struct.ts"
import { describe, show } from "../Thrown.ts"
import { digest } from "./digest.ts"
import { canonical, toJson } from "./json.ts"

/** The encoded form of a valid value, or its issues. */
export type Accepted = Either.Either<Json | undefined, ReadonlyArray<string>>

/** The end of a wait. */
export type Ending = Omit<Extract<RunEvent, { readonly _tag: "WaitEnded" }>, "_tag" | "nodeId" | "iteration">

/** An input that does not match. */
export type Refusal =
  | { readonly _tag: "AnswerRefused"; readonly issues: ReadonlyArray<string> }
  | { readonly _tag: "SignalRefused"; readonly signalId: string; readonly issues: ReadonlyArray<string> }

/**
 * Evaluates an open wait, whose deadline may have passed: the inputs to reject, and its end if it ends. `accept` stores what it
 * accepts.
 */
export const judge = (
  node: Plan.Wait,
  key: NodeKey,
  wait: Records.Wait,
  signals: ReadonlyArray<Records.Signal>,
  isOver: boolean,
  accept: (value: unknown) => Accepted,
): {
  readonly refused: ReadonlyArray<Refusal>
  readonly ending: Ending | undefined
  /** `true` if a child run has timed out: it is to be cancelled, and its result awaited. */
  readonly isGivenUp?: boolean
} => {
  const refused: Array<Refusal> = []
  const table = defined({ table: node.table })
  /** Ends the wait with this output, or returns its issues. */
  const take = (how: Ending["reason"], value: unknown, more: Partial<Ending> = {}): Ending | ReadonlyArray<string> => {
    const accepted = accept(value)
    if (Either.isLeft(accepted)) return accepted.left
    const output = defined({ output: accepted.right })
    return { reason: how, status: "finished", ...table, ...output, ...more }
  }
  const fail = (how: Ending["reason"], name: string, message: string, more: Partial<ErrorInfo> = {}): Ending => {
    const error: ErrorInfo = { name, message: cutMessage(message), retryable: false, notRetried: "wait", ...more }
    return { reason: how, status: "failed", error }
  }
  /** Ends the wait with the first of our own forms that matches. If the author's schema matches none, the node fails. */
  const takeOwn = (how: Ending["reason"], forms: ReadonlyArray<unknown>): Ending => {
    let issues: ReadonlyArray<string> = []
    for (const form of forms.toReversed()) {
      const taken = take(how, form)
      if ("reason" in taken) return taken
      issues = taken
    }
    return fail(how, "InvalidOutput", `its output schema does not take what it gives: ${issues.join("; ")}`, { issues })
  }
  const end = (ending: Ending) => ({ refused, ending })
  const { target } = node
  switch (target.kind) {
    case "timer":
      return { refused, ending: isOver ? takeOwn("fired", [undefined]) : undefined }
    case "approval": {
      const { decision } = wait
      if (decision === undefined && !(isOver && (node.onTimeout === "deny" || node.onTimeout === "approve"))) break
      const how = decision === undefined ? "timed-out" : "decided"
      const { approved, selected, note, by }: Omit<Records.WaitDecision, "at"> = decision ?? {
        approved: node.onTimeout === "approve",
      }
      if (!approved && target.onDeny === "fail") {
        const said = note === undefined ? "" : `: ${note}`
        const who = by === undefined ? "" : ` by ${by}`
        if (how === "timed-out")
          return end(fail(how, "ApprovalDenied" satisfies NodeFailureName, "denied: not decided in time", { retryable: true }))
        return end(fail(how, "ApprovalDenied" satisfies NodeFailureName, `denied${who}${said}`, { notRetried: "denied" }))
      }
      if (!approved && target.onDeny === "skip") return end({ reason: how, status: "skipped" })
      const decidedAt = decision === undefined ? null : new Date(decision.at).toISOString()
      const row = { approved, note: note ?? null, decidedBy: by ?? null, decidedAt, timedOut: decision === undefined }
      return end(takeOwn(how, Decision.formsOf(target.options === undefined ? row : { ...row, selected: selected ?? null })))
    }
    case "human":
      for (const { value, by, at: submittedAt } of wait.answers ?? []) {
        const taken = take("answered", value, { submittedAt, ...defined({ by }) })
        if ("reason" in taken) return end(taken)
        refused.push({ _tag: "AnswerRefused", issues: taken })
      }
      break
    case "signal":
      for (const signal of signals) {
        const { id, payload, refusedBy } = signal
        if (!Records.matchesSignal(wait, signal) || refusedBy?.some((refusing) => refusing.key === key) === true) continue
        const taken = take("signalled", payload, { signalId: id })
        if ("reason" in taken) return end(taken)
        refused.push({ _tag: "SignalRefused", signalId: id, issues: taken })
      }
      break
    case "subflow": {
      if (!target.isAttached) return end(takeOwn("started", [{ runId: wait.name }]))
      const { child } = wait
      if (child === undefined) return { refused, ending: undefined, isGivenUp: isOver }
      if (isOver && child.status === "cancelled") break
      if (child.status === "finished") return end(takeOwn("ended", [child.output]))
      if (target.onFail === "continue") return end({ reason: "ended", status: "skipped" })
      const { name, message, ...from } = child.error ?? { name: "RunCancelled", message: "it was cancelled", retryable: false }
      const said = `run "${wait.name}" of workflow "${target.child.name}" ${child.status}: ${message}`
      return end(fail("ended", name, said, { ...from, retryable: false, notRetried: from.notRetried ?? "child" }))
    }
  }
  if (!isOver) return { refused, ending: undefined }
  if (node.onTimeout !== "fail") return end({ reason: "timed-out", status: "skipped" })
  return end(
    fail("timed-out", "WaitTimedOut" satisfies NodeFailureName, `${silences[target.kind]} ${inTime(node, wait)}`, {
      retryable: true,
    }),
  )
}

const inTime = ({ deadline, timeoutMs }: Plan.Wait, wait: Records.Wait): string => {
  const at = wait.deadline ?? wait.since
  return deadline === undefined ? `within ${timeoutMs ?? at - wait.since} ms` : `by ${new Date(at).toISOString()}`
}

/** The time of a wait's first input that was not refused, or its deadline; `Infinity` without either. */
export const since = (
  key: NodeKey,
  wait: Records.Wait,
  signals: ReadonlyArray<Records.Signal>,
  now: Millis.Millis,
  isTicking: boolean,
): number => {
  const { kind, decision, answers, child, deadline } = wait
  const isFor = (sent: Records.Signal): boolean =>
    Records.matchesSignal(wait, sent) && sent.refusedBy?.some((refusing) => refusing.key === key) !== true
  const signal = kind === "signal" && signals.length > 0 ? signals.find(isFor) : undefined
  const came = decision?.at ?? answers?.[0]?.at ?? signal?.at ?? (child === undefined ? undefined : now)
  const over = isTicking && deadline !== undefined && deadline <= now ? deadline : undefined
  return Math.min(came ?? Number.POSITIVE_INFINITY, over ?? Number.POSITIVE_INFINITY)
}

/** The missing input, by kind, for timeouts. A timer has none. */
const silences: { readonly [Kind in Plan.WaitTarget["kind"]]: string } = {
  approval: "not decided",
  human: "not answered",
  signal: "not sent",
  subflow: "it did not end",
  timer: "",
  continuation: "",
}

/** Encodes an input, or says what is wrong with it. */
export type EncodeInput = (value: unknown) => Either.Either<Json | undefined, ReadonlyArray<string>>

/** Computes the input of the run that a run goes on as. Throws the errors of its author's function, and for an invalid input. */
export const continuationInput = (
  { input }: Extract<Plan.WaitTarget, { readonly kind: "continuation" }>,
  context: Record<string, unknown>,
  state: RunState.RunState,
  noteRead: Plan.NoteRead,
  encode: EncodeInput = (value) => Either.mapLeft(toJson(value), ({ path, problem }) => [`it must be JSON: ${path} ${problem}`]),
): Json | undefined => {
  const stored = Either.getOrThrowWith(
    encode(input(context, state, noteRead)),
    (issues) => new TypeError(`it is no input of this workflow: ${issues.join("; ")}`),
  )
  const found = Secrets.problemIn(stored)
  if (found !== undefined) throw new InvalidInput({ workflow: state.workflow, issues: [found.problem], secret: found.secret })
  return stored
}

/** The request of a wait. */
export interface Request {
  readonly request?: Json
  readonly digest?: string
  readonly name?: string
  readonly correlation?: string
  /** Time at which a timer fires. */
  readonly due?: Millis.Millis
}

/** Computes the request of a wait. Throws the errors of its author's functions, and for results that cannot be stored. */
export const requestOf = (
  node: Plan.Wait,
  context: Record<string, unknown>,
  now: Millis.Millis,
  state: RunState.RunState,
  iteration: number,
  noteRead: Plan.NoteRead,
): Request => {
  const { target } = node
  switch (target.kind) {
    // It waits for nothing.
    case "continuation":
      return {}
    case "timer": {
      const due = dueOf(node.id, target, context, now, state, noteRead)
      return target.isTimeout === true ? { due, name: Pauses.timeout } : { due }
    }
    case "signal": {
      const correlation = target.correlation?.(context, state, noteRead)
      const named = { name: storable(target.name), ...(target.isTransient === true ? { request: Records.transientRequest } : {}) }
      if (correlation === undefined || correlation === null) return named
      if (typeof correlation !== "string" && typeof correlation !== "number")
        throw new InvalidRequest({ nodeId: node.id, problem: `its "correlation" gave ${show(correlation)}, and must give text` })
      return { ...named, correlation: storable(String(correlation)) }
    }
    case "subflow": {
      const { maxDepth } = target
      if (state.depth >= maxDepth) throw new ChildRunsTooDeep({ nodeId: node.id, workflow: target.child.name, maxDepth })
      const stored = Either.getOrThrowWith(
        encodeNow(target.child.input, target.input(context, state, noteRead)),
        (issues) => new TypeError(`it is no input of workflow "${target.child.name}": ${issues.join("; ")}`),
      )
      const found = Secrets.problemIn(stored)
      if (found !== undefined)
        throw new InvalidInput({ workflow: target.child.name, issues: [found.problem], secret: found.secret })
      const input = defined({ input: stored })
      return {
        request: { workflow: target.child.name, ...input },
        name: childRunId(state.runId, node.id, iteration, RunState.step(state, node.id, iteration)?.generation),
      }
    }
    case "approval":
    case "human": {
      const content =
        target.kind === "approval"
          ? {
              ...requested(node.id, target.request(context, state, noteRead)),
              ...optionsOf(node.id, target.options, context, state, noteRead),
            }
          : { prompt: question(node.id, target.prompt(context, state, noteRead)), schema: node.codec.inputSchema ?? null }
      const copied = toJson(content)
      if (Either.isLeft(copied)) throw new TypeError(`a request must be JSON: ${copied.left.path} ${copied.left.problem}`)
      // The request includes the approvers, so that a client can show them.
      const approvers = target.kind === "approval" ? namesOf(node.id, target.approvers, context, state, noteRead) : {}
      // What is shown is what the digest is of.
      const request = { ...(Secrets.value(copied.right) as { readonly [key: string]: Json }), ...approvers }
      return { request, digest: digest(canonical(request)) }
    }
  }
}

/** The time at which a timer fires. */
const dueOf = (
  nodeId: string,
  { due, isSpan, isTimeout }: Extract<Plan.WaitTarget, { readonly kind: "timer" }>,
  context: Record<string, unknown>,
  now: Millis.Millis,
  state: RunState.RunState,
  noteRead: Plan.NoteRead,
): Millis.Millis => {
  if (typeof due === "number") return Millis.after(now, due)
  const value = due(context, state, noteRead)
  if (isSpan !== true) return timeOf(nodeId, "until", value)
  return Millis.after(now, spanOf(nodeId, isTimeout === true ? "timeout" : "duration", value))
}

/** Tells whether the current request of a wait is the one it began with; the time of a timer never changes. */
export const isSame = (begun: Records.Wait, asked: Pick<Records.Wait, "digest" | "name" | "correlation" | "request">): boolean => {
  if (begun.digest !== asked.digest) return false
  if (begun.kind !== "signal") return true
  const isTransient = Records.isTransient({ kind: begun.kind, request: asked.request })
  return begun.name === asked.name && begun.correlation === asked.correlation && Records.isTransient(begun) === isTransient
}

/** Checks the content of a request to people. */
const requested = (nodeId: string, value: unknown): object => {
  const refuse = (what: string): never => {
    throw new InvalidRequest({ nodeId, problem: `its "request" gave ${what}, and must give an object with a "title"` })
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return refuse(show(value))
  const title: unknown = "title" in value ? value.title : undefined
  return typeof title === "string" ? value : refuse(title === undefined ? "no title" : `a title that is ${show(title)}`)
}

/** Reads the options to select one of. */
const optionsOf = (
  nodeId: string,
  options: ReadonlyArray<Decision.SelectOption> | Plan.Computation | undefined,
  context: Record<string, unknown>,
  state: RunState.RunState,
  noteRead: Plan.NoteRead,
): { readonly options?: ReadonlyArray<Decision.SelectOption> } => {
  if (typeof options !== "function") return defined({ options })
  const refuse = (what: string): never => {
    throw new InvalidRequest({ nodeId, problem: `its "options" ${what}` })
  }
  let value: unknown
  try {
    value = options(context, state, noteRead)
  } catch (thrown) {
    refuse(`threw: ${describe(thrown).message}`)
  }
  return { options: Either.getOrElse(readOptions(value), (problem) => refuse(problem)) }
}

/** Reads the names of the approvers. */
const namesOf = (
  nodeId: string,
  approvers: ReadonlyArray<string> | Plan.Computation | undefined,
  context: Record<string, unknown>,
  state: RunState.RunState,
  noteRead: Plan.NoteRead,
): { readonly approvers?: ReadonlyArray<string> } => {
  if (typeof approvers !== "function") return defined({ approvers })
  const refuse = (what: string): never => {
    throw new InvalidRequest({ nodeId, problem: `its "approvers" ${what}` })
  }
  let value: unknown
  try {
    value = approvers(context, state, noteRead)
  } catch (thrown) {
    refuse(`threw: ${describe(thrown).message}`)
  }
  const names = toJson(value)
  if (Either.isLeft(names) || !areNames(names.right))
    return refuse(`gave ${show(value)}, and must give an array of at least one name`)
  return { approvers: names.right }
}

/** The deadline of a wait that begins. Throws the errors of its author's function, and for results that are no times. */
export const limitOf = (
  { id, timeoutMs, computeTimeout, deadline }: Plan.Wait,
  context: () => Record<string, unknown>,
  now: Millis.Millis,
  state: RunState.RunState,
  noteRead: Plan.NoteRead,
): Millis.Millis | undefined => {
  if (timeoutMs !== undefined) return Millis.after(now, timeoutMs)
  if (computeTimeout !== undefined) return Millis.after(now, spanOf(id, "timeout", computeTimeout(context(), state, noteRead)))
  return typeof deadline === "function" ? timeOf(id, "deadline", deadline(context(), state, noteRead)) : deadline
}

const question = (nodeId: string, value: unknown): string => {
  if (typeof value === "string") return value
  throw new InvalidRequest({ nodeId, problem: `its "prompt" gave ${show(value)}, and must give text` })
}

const spanOf = (nodeId: string, option: string, value: unknown): Millis.Millis =>
  Either.getOrThrowWith(Millis.positiveDuration(value), ({ received, problem }) => {
    const example = problem === "is not a duration" ? ` such as "30s" or "2 minutes"` : ""
    return new InvalidRequest({ nodeId, problem: `its "${option}" gave ${received}, which ${problem}${example}` })
  })

const timeOf = (nodeId: string, option: string, value: unknown): Millis.Millis =>
  Either.getOrThrowWith(Millis.instant(value), (shown) => {
    const problem = `its "${option}" gave ${shown}, and must give a Date or epoch milliseconds`
    return new InvalidRequest({ nodeId, problem })
  })
