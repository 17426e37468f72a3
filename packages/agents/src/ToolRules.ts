/**
 * Rules of tools: whether a call changes anything, what becomes of a call that a crash has cut off, and which calls a person approves. `defineTool` puts them
 * on the tool under a symbol, which the AI SDK passes by; whoever wraps tools reads them by {@link of}.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import type { Json } from "@smithers/core/Codec"
import type { LimitName } from "@smithers/core/Limits"
import * as Thrown from "@smithers/core/Thrown"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Keeps } from "./Results.ts"

/** A call of a tool. */
export interface Call<Input> {
  /** The name of the tool, as the agent has it. */
  readonly tool: string
  readonly input: Input
}

/** A call that began before a crash, and whose outcome was not recorded. */
export interface InterruptedCall<Input> extends Call<Input> {
  readonly toolCallId: string
  /** The answer of the tool's `snapshot`, stored before the call began. `undefined` where it has none. */
  readonly snapshot: Json | undefined
}

/**
 * What becomes of a call that a crash has cut off: `"rerun"` makes it again; `"unknown"` tells the model that its outcome is not known; `"ask"` lets a
 * person decide between the two; an `output` is the answer of the call, which is found to have taken place.
 */
export type Recovery<A> = "rerun" | "unknown" | "ask" | { readonly output: A }

/** A function that answers with a value, a promise or an Effect. */
export type Answer<A> = A | PromiseLike<A> | Effect.Effect<A, unknown>

/** The request for the approval of a call. */
export interface CallApproval {
  /** Default: the name of the tool. */
  readonly title?: string | undefined
  readonly summary?: string | undefined
  readonly details?: Json | undefined
  /** Time to decide in, from the request. Default: no limit. */
  readonly timeout?: Duration.DurationInput | undefined
  /**
   * Reaction to the timeout: the model is told that it was not allowed, it is made, or the step fails.
   * Default: `"deny"`.
   */
  readonly onTimeout?: "deny" | "approve" | "fail" | undefined
}

const lateDecisions: ReadonlySet<unknown> = new Set(["deny", "approve", "fail", undefined])

/** The approval that an author asks for. Throws for a time or a default that is none. */
const approvalOf = (needed: boolean | CallApproval): CallApproval | undefined => {
  if (typeof needed === "boolean") return needed ? {} : undefined
  if (!lateDecisions.has(needed.onTimeout) || (needed.timeout !== undefined && Duration.toMillis(needed.timeout) <= 0))
    throw new TypeError("an approval with a time limit has a positive time, and deny, approve or fail as its default")
  return needed
}

/** Rules of a tool, as its author gives them. */
export interface ToolRulesOptions<Input, A> {
  /** `true` for a tool that changes nothing. Steps that may only read can call it. Default: `false`. */
  readonly isReadOnly?: boolean | undefined
  /**
   * `true` for a tool that works with the files below the root of its session. The conversation then begins again where those have
   * changed since its last call. Default: `false`.
   */
  readonly usesWorkspace?: boolean | undefined
  /**
   * `true` for a tool that holds itself to the rights of the step, as commands are held by their isolation: steps that may only read can call it too.
   * Default: `false`.
   */
  readonly isConfined?: boolean | undefined
  /** The part of a result that a model gets where it is too long: its beginning, or its beginning and its end. Default: `"head"`. */
  readonly keeps?: Keeps | undefined
  /** Most bytes of a result that a model gets; `Infinity` for no limit. Default: that of the runtime, otherwise 40,000. */
  readonly maxResultBytes?: number | undefined
  /** `true` for a tool that is called with the same input until its answer changes: such calls are no sign of a stalled agent. Default: `false`. */
  readonly isPolling?: boolean | undefined
  /**
   * The text by which calls are the same when repetitions are counted; `undefined` for a call that may be repeated. For inputs that
   * hold a time or a random number. Default: the input.
   */
  readonly loopKey?: ((call: Call<Input>) => string | undefined) | undefined
  /**
   * What becomes of a call that a crash has cut off, or a function that finds out. A function that fails counts as `"unknown"`.
   * Default: `"rerun"` for a tool that is read-only, `"unknown"` for others.
   */
  readonly afterCrash?: "rerun" | "unknown" | "ask" | ((call: InterruptedCall<Input>) => Answer<Recovery<A>>) | undefined
  /** Describes what a call is about to change, for `afterCrash`. Stored before the call begins. Must change nothing. */
  readonly snapshot?: ((call: Call<Input>) => Answer<Json | undefined>) | undefined
  /**
   * A limit of the runtime, by its name or as `{ name, key }`, or a function of the call that returns it. A call is made once it holds a
   * slot of it. Default: none.
   */
  readonly limit?: LimitName | ((call: Call<Input>) => LimitName) | undefined
  /** Tells which calls a person approves before they are made, and under which title. One that fails needs approval. Default: none. */
  readonly needsApproval?: ((call: Call<Input>) => boolean | CallApproval) | undefined
}

/**
 * Rules of a tool, complete. Inputs are as the model gave them: they are decoded by the schema of the tool before its author's functions see them.
 */
export interface ToolRules {
  readonly isReadOnly: boolean
  readonly usesWorkspace: boolean
  readonly isConfined: boolean
  readonly keeps: Keeps
  /** Most bytes of a result that a model gets, if the tool says. */
  readonly maxResultBytes: number | undefined
  readonly isPolling: boolean
  /** The key of a call for the count of repetitions; `undefined` itself for a tool without one. A function that fails gives `undefined`. */
  readonly loopKey: ((call: Call<unknown>) => Effect.Effect<string | undefined>) | undefined
  /** The rule by name: `"probe"` where a function finds out. */
  readonly afterCrash: "rerun" | "unknown" | "ask" | "probe"
  /** Decides about a call that a crash has cut off. Never fails: what cannot be found out is `"unknown"`. */
  readonly recover: (call: InterruptedCall<unknown>) => Effect.Effect<Recovery<unknown>>
  /** Describes what a call is about to change; `undefined` for a tool without `snapshot`. An effect that fails gives `undefined`. */
  readonly snapshot: ((call: Call<unknown>) => Effect.Effect<Json | undefined>) | undefined
  /** The limit that a call needs a slot of, as its author gives it; rejects where the author's function throws. `undefined` for none. */
  readonly limit: ((call: Call<unknown>) => Promise<LimitName>) | undefined
  /** The limit that the tool names, as its author gives it. */
  readonly limitName: unknown
  /** The approval that a call needs, `undefined` for none; `undefined` itself for a tool without such a rule. */
  readonly needsApproval: ((call: Call<unknown>) => Effect.Effect<CallApproval | undefined>) | undefined
}

/** The key under which a tool holds its rules. The same in every copy of this package. */
export const key: unique symbol = Symbol.for("@smithers/agents/ToolRules")

const unknown = Effect.succeed("unknown" as const)

/** Rules of a tool that declares none: it may change anything, and nothing is known of a call that was cut off. */
export const undeclared: ToolRules = {
  isReadOnly: false,
  usesWorkspace: false,
  isConfined: false,
  keeps: "head",
  maxResultBytes: undefined,
  isPolling: false,
  loopKey: undefined,
  afterCrash: "unknown",
  recover: () => unknown,
  snapshot: undefined,
  limit: undefined,
  limitName: undefined,
  needsApproval: undefined,
}

/** Least of `maxResultBytes`: a shorter result could not say what is left out. */
export const leastResultBytes = 100

const hasRules = (tool: object): tool is { readonly [key]: ToolRules } => key in tool

/** The rules of a tool. A tool that is not made by `defineTool` declares none. */
export const of = (tool: object): ToolRules => (hasRules(tool) ? tool[key] : undeclared)

/** Runs a function that answers with a value, a promise or an Effect, and fails with what it throws. */
export const answer = <A>(give: () => Answer<A>): Effect.Effect<A, unknown> =>
  Effect.suspend(() => {
    const result = give()
    return Effect.isEffect(result) ? result : Effect.tryPromise({ try: async () => await result, catch: (thrown) => thrown })
  }).pipe(Effect.catchAllDefect(Effect.fail))

/** Calls a function in the asynchronous context of now: a fiber that has waited may go on in that of another one. */
const bind = (): (<R>(act: () => R) => R) => AsyncLocalStorage.snapshot()

/** Completes the rules of a tool whose inputs are decoded by `decode`. Its functions find the tool session of the one who calls them. */
export const make = <Input, A>(
  options: ToolRulesOptions<Input, A>,
  decode: (input: unknown) => Effect.Effect<Input, unknown>,
): ToolRules => {
  const {
    isReadOnly = false,
    usesWorkspace = false,
    isConfined = false,
    keeps = "head",
    maxResultBytes,
    isPolling = false,
    snapshot,
    needsApproval,
    loopKey,
    limit,
  } = options
  if (maxResultBytes !== undefined && !(maxResultBytes >= leastResultBytes))
    throw new TypeError(
      `"maxResultBytes" of a tool is a number of at least ${leastResultBytes}, or Infinity, and not ${String(maxResultBytes)}.`,
    )
  const { afterCrash = isReadOnly ? "rerun" : "unknown" } = options
  if (typeof afterCrash !== "function" && afterCrash !== "rerun" && afterCrash !== "unknown" && afterCrash !== "ask")
    throw new TypeError(
      `"afterCrash" of a tool is "rerun", "unknown", "ask" or a function that finds out, and not ${Thrown.show(afterCrash)}.`,
    )
  return {
    isReadOnly,
    usesWorkspace,
    isConfined,
    keeps,
    maxResultBytes,
    isPolling,
    loopKey:
      loopKey === undefined
        ? undefined
        : (call) =>
            Effect.flatMap(decode(call.input), (input) => Effect.try(() => loopKey({ ...call, input }))).pipe(
              Effect.catchAll(() => Effect.succeed(undefined)),
            ),
    afterCrash: typeof afterCrash === "function" ? "probe" : afterCrash,
    recover: (call) => {
      if (typeof afterCrash !== "function") return Effect.succeed(afterCrash)
      const within = bind()
      return Effect.flatMap(decode(call.input), (input) => answer(() => within(() => afterCrash({ ...call, input })))).pipe(
        Effect.catchAll(() => unknown),
      )
    },
    snapshot:
      snapshot === undefined
        ? undefined
        : (call) => {
            const within = bind()
            return Effect.flatMap(decode(call.input), (input) => answer(() => within(() => snapshot({ ...call, input })))).pipe(
              Effect.catchAll(() => Effect.succeed(undefined)),
            )
          },
    limitName: limit,
    limit:
      limit === undefined
        ? undefined
        : async (call) =>
            typeof limit === "function" ? limit({ ...call, input: await Effect.runPromise(decode(call.input)) }) : limit,
    needsApproval:
      needsApproval === undefined
        ? undefined
        : (call) =>
            Effect.flatMap(decode(call.input), (input) => Effect.try(() => needsApproval({ ...call, input }))).pipe(
              Effect.flatMap((needed) => Effect.try(() => approvalOf(needed))),
              Effect.catchAll(() => Effect.succeed({})),
            ),
  }
}
