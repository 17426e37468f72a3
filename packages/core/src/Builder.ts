/**
 * How a workflow is written down in code: `$` makes the nodes of a plan, typed from their schemas, so that a step's needs, its
 * output and the services it asks for all reach the type of the workflow.
 */

import type { StandardSchemaV1 } from "@standard-schema/spec"
import type * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Codec from "./Codec.ts"
import { Decision } from "./Decision.ts"
import type { Engine } from "./Engine.ts"
import type { ErrorInfo } from "./ErrorInfo.ts"
import { InvalidWorkflow } from "./Errors.ts"
import { idRule, isNodeId, keptId, shownId } from "./Ids.ts"
import * as ComposedCodec from "./internal/composedCodec.ts"
import type { Caught } from "./internal/view.ts"
import * as Millis from "./Millis.ts"
import * as Plan from "./Plan.ts"
import * as RetryPolicy from "./RetryPolicy.ts"
import type { Definition } from "./RunDriver.ts"
import type { StepContext } from "./StepProgram.ts"

export { type Caught, caughtOf } from "./internal/view.ts"

declare const Typed: unique symbol

/** A part of a workflow whose value is an `A` and whose steps ask for the services `R`. */
export interface Node<out A, out R = never> {
  readonly [Typed]?: { readonly output: A; readonly services: R }
  readonly plan: Plan.Node
}

/** A step; its id is part of its type. */
export interface Step<Id extends string, out A, out R = never> extends Node<A, R> {
  readonly id: Id
}

/** A need that is more than a node: made by `$.previous`, `$.maybe` and `$.caught`. */
export interface Reference<out A> {
  readonly [Typed]?: { readonly output: A; readonly services: never }
  readonly need: Omit<Plan.Need, "name">
}

type AnyNode = Node<unknown, unknown>

/** The value of a node. */
export type Value<N> = N extends { readonly [Typed]?: { readonly output: infer A } } ? A : never

/** The services that the steps of a node ask for. */
export type Services<N> = N extends { readonly [Typed]?: { readonly services: infer R } } ? R : never

/** Needs by the names under which they are received. */
export interface Needs {
  readonly [name: string]: AnyNode | Reference<unknown>
}

/** What is received for needs. */
export type NeedValues<N extends Needs> = { readonly [K in keyof N]: Value<N[K]> }

/** What a step's code is called with. */
export type RunContext<Input, N extends Needs> = StepContext<Input> & NeedValues<N>

/** What `when` and `skipIf` are called with. They must be pure: they are asked again after a restart. */
export type Condition<Input, N extends Needs> = { readonly input: Input } & NeedValues<N>

/** What a step's code may return. Its errors need no declaring: the run fails with `StepFailed`, which carries them. */
export type Returned<A, R = unknown> = A | PromiseLike<A> | Effect.Effect<A, unknown, R>

/** The services that what a step's code returned asks for. */
export type ServicesOf<T> = T extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

/** A step's code, by what it gives and what it is called with. What it gives stands first, as compilers cut long types short. */
export type Run<A, Context, R = unknown> = (context: Context) => Returned<A, R>

/**
 * What stands for a step's schema while TypeScript has yet to infer it: a schema of literals, so that the `"low"` of a `run`
 * without parameters stays a `"low"` until it is compared with the schema itself.
 */
export type Uninferred = StandardSchemaV1<Literals, Literals>
type Literals = "" | 0 | 0n | boolean | null | undefined | { readonly [key: string]: Literals } | [] | Array<Literals>

/** How a step is made. */
export interface StepOptions<
  Input,
  S extends Codec.AnySchema,
  N extends Needs,
  Code extends Run<Codec.Input<S>, RunContext<Input, N>>,
  RetryServices,
  Skip extends boolean,
  Soft extends boolean,
  Undone,
  Denied extends "fail" | "skip",
> {
  /** Schema of the output: an Effect Schema or any Standard Schema. What `run` returns is decoded with it, then stored. */
  readonly output: S
  /** Nodes whose values this step receives, by name. They must come before it. */
  readonly needs?: N
  /** The work: returns a value, a Promise or an Effect. It may run again after a crash; its output is committed once. */
  readonly run: Code
  /**
   * When to try again; retries are on by default. `false` turns them off. A Schedule is fed the error of each attempt as it is stored
   * ({@link ErrorInfo}), so that it goes by the same before and after a restart.
   */
  readonly retry?: RetryPolicy.RetryOptions | Schedule.Schedule<unknown, ErrorInfo, RetryServices> | false
  /** Longest time for one attempt. */
  readonly timeout?: RetryPolicy.DurationLike
  /** Longest time an attempt may go without calling `heartbeat`. */
  readonly heartbeatTimeout?: RetryPolicy.DurationLike
  /** Leaves the step out, with an absent output, where it returns true. */
  readonly skipIf?: (context: Condition<Input, N>) => Skip
  /** Lets the run go on, with an absent output, when the step has failed for good. */
  readonly continueOnFail?: Soft
  /**
   * Takes over the output of an earlier run of this workflow where the key is the same. `true` takes the input and the needs as
   * the key. Outputs older than `ttl` do not count.
   */
  readonly cache?: boolean | { readonly key?: (context: Condition<Input, N>) => unknown; readonly ttl?: RetryPolicy.DurationLike }
  /**
   * Someone has to approve before the step begins: `true` asks with its label or id. The gate has no output of its own. A denial fails the
   * run with `ApprovalDenied`, or leaves the step out (`onDeny: "skip"`).
   */
  readonly needsApproval?: boolean | GateOptions<Input, N, Denied>
  /** Undoes the step when a saga around it fails: a function of what `run` got and of its `output`; may return a Promise or an Effect. */
  readonly compensate?: (context: RunContext<Input, N> & { readonly output: Codec.Output<S> }) => Undone
  /** A title for people. */
  readonly label?: string
  /** JSON for tools. */
  readonly meta?: { readonly [key: string]: unknown }
}

/** How children of a `$.parallel` run together. */
export interface ParallelOptions {
  /** At most this many attempts inside at once. `0`, the length of an empty list, is no limit. Default: no limit. */
  readonly maxConcurrency?: number
  /** A failure inside interrupts what else runs inside, instead of letting it finish. */
  readonly failFast?: boolean
}

type LastValue<C extends ReadonlyArray<AnyNode>> = C extends readonly []
  ? undefined
  : C extends readonly [...ReadonlyArray<AnyNode>, infer Last]
    ? Value<Last>
    : Value<C[number]> | undefined

/** Children, and options after them. One type for both, so that a slip in the options is named by the compiler as one. */
type ChildrenAnd<Options> = ReadonlyArray<AnyNode> | readonly [...ReadonlyArray<AnyNode>, AnyNode | Options]

type ChildrenOf<C extends ReadonlyArray<unknown>> =
  C extends ReadonlyArray<AnyNode>
    ? C
    : C extends readonly [...infer Children extends ReadonlyArray<AnyNode>, unknown]
      ? Children
      : []

interface GoesOn {
  readonly onCompensated: "continue"
}

type Values<C extends ReadonlyArray<AnyNode>> = { readonly [K in keyof C]: Value<C[K]> }

/** What is common to all that waits. */
interface WaitOptions<Input, N extends Needs, Skip extends boolean> {
  /** Nodes whose values its functions receive, by name. They must come before it. */
  readonly needs?: N
  /** Leaves it out, with an absent output, where it returns true. */
  readonly skipIf?: (context: Condition<Input, N>) => Skip
  readonly label?: string
  readonly meta?: { readonly [key: string]: unknown }
}

/** How long a wait lasts, and what becomes of it then. */
interface Limit<T extends string> {
  /** How long to wait at most; for ever unless told. */
  readonly timeout?: RetryPolicy.DurationLike
  readonly onTimeout?: T
}

/** How an approval is asked for. */
export interface ApprovalOptions<Input, N extends Needs, Skip extends boolean, Deny extends "fail" | "continue" | "skip">
  extends WaitOptions<Input, N, Skip>,
    Limit<"deny" | "approve" | "fail"> {
  /** What people are shown: JSON with a `title`. If it changes before it is decided, it is asked anew. Must be pure. */
  readonly request: (context: Condition<Input, N>) => {
    readonly title: string
    readonly summary?: string
    readonly details?: unknown
  }
  /**
   * A denial fails the run with `ApprovalDenied` (the default), goes on with `approved: false`, or leaves the output absent. A run that failed
   * by it fails by it again when it is resumed, until the node is retried.
   */
  readonly onDeny?: Deny
  /** Names of those who may decide; a decision `by` anybody else is refused with `NotAnApprover`. Anyone unless told. */
  readonly approvers?: ReadonlyArray<string>
}

/** How a step is approved of before it begins. */
export interface GateOptions<Input, N extends Needs, Deny extends "fail" | "skip"> extends Limit<"deny" | "approve" | "fail"> {
  /** What people are shown: JSON with a `title`, which is the step's label or id unless told. Must be pure. */
  readonly request?: ApprovalOptions<Input, N, false, "fail">["request"]
  readonly onDeny?: Deny
  readonly approvers?: ReadonlyArray<string>
}

/** A workflow that another one can start. */
export interface Startable<in I, out A, out R> {
  readonly name: string
  readonly version?: string | undefined
  readonly definition: object
  readonly plan?: Plan.Plan
  readonly execute: (input: I) => Effect.Effect<A, unknown, R>
}

/** How a child run is started. */
export interface SubflowOptions<
  Input,
  I,
  A,
  R,
  N extends Needs,
  Skip extends boolean,
  Attach extends boolean,
  T extends "fail" | "continue",
  Late extends "fail" | "continue",
> extends WaitOptions<Input, N, Skip>,
    Limit<Late> {
  readonly workflow: Startable<I, A, R>
  /** The input of the child run, or a function that gives it; its schema must answer at once. Must be pure. */
  readonly input: I | ((context: Condition<Input, N>) => I)
  /**
   * `false` lets the child outlive its parent: the node is over as soon as the child run is there, and gives its id. Otherwise the node
   * waits for it, cancels it where it is cancelled itself, and gives its output.
   */
  readonly attach?: Attach
  /** A child that fails or is cancelled fails the node (the default), or leaves its output absent. */
  readonly onFail?: T
}

/** How what is inside a `$.saga` is undone. */
export interface SagaOptions {
  /** Keeps the saga's place in the run when its steps change; made of the id of its first node unless given. */
  readonly id?: string
  /** `fail` (the default) fails the run with the cause once all is undone; `continue` goes on without the saga's value. */
  readonly onCompensated?: "fail" | "continue"
}

/** What the function of a `catch` is called with. */
export type CatchContext<Input> = StepContext<Input> & { readonly error: Caught }

/** How a person is asked. */
export interface HumanOptions<
  Input,
  S extends Codec.AnySchema,
  N extends Needs,
  Skip extends boolean,
  T extends "fail" | "continue",
> extends WaitOptions<Input, N, Skip>,
    Limit<T> {
  /** What the person is asked. Must be pure. */
  readonly prompt: string | ((context: Condition<Input, N>) => string)
  /** Schema of the answer, a synchronous one. Its JSON Schema is kept with the question, so that any client can render a form. */
  readonly output: S
}

/** Which signal is waited for. */
export interface SignalOptions<
  Input,
  S extends Codec.AnySchema,
  N extends Needs,
  Skip extends boolean,
  T extends "fail" | "continue",
> extends WaitOptions<Input, N, Skip>,
    Limit<T> {
  readonly name: string
  /** Schema of what the signal carries, a synchronous one. */
  readonly payload: S
  /** Only a signal that was sent with the same is taken. Must be pure. */
  readonly correlation?: (context: Condition<Input, N>) => string | undefined
}

/** When a timer fires: after a `duration`, or at the time that `until` says. */
export type TimerOptions<Input, N extends Needs, Skip extends boolean> = WaitOptions<Input, N, Skip> &
  (
    | {
        /** From when the timer is reached. Its deadline then stands, whatever restarts. */
        readonly duration: RetryPolicy.DurationLike
        readonly until?: undefined
      }
    | {
        readonly duration?: undefined
        /** A time: a `Date`, epoch ms, or a function that gives one. One that is past fires at once. */
        readonly until: Date | number | ((context: Condition<Input, N>) => Date | number)
      }
  )

/** What is done where what is inside a `$.tryCatch` fails, and what is done in any case: one of the two at least. */
export type TryParts<Input, Caught, CaughtServices, Given, Last> =
  | {
      readonly catch: Node<Caught, CaughtServices> | ((context: CatchContext<Input>) => Given)
      readonly finally?: Last
    }
  | { readonly catch?: undefined; readonly finally: NonNullable<Last> }

type Absent<Skip extends boolean> = [Skip] extends [false] ? never : undefined

/** Makes the nodes of a workflow whose decoded input is `Input`. */
export interface Builder<out Input> {
  /** A unit of work with a typed output. */
  readonly step: <
    const Id extends string,
    S extends Codec.AnySchema = Uninferred,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    // The default is what types the parameters and the literals of `run`: a type parameter is its default until inferred.
    Code extends Run<Codec.Input<S>, RunContext<Input, N>> = Run<Codec.Input<S>, RunContext<Input, N>, never>,
    RetryServices = never,
    Skip extends boolean = false,
    Soft extends boolean = false,
    Undone = void,
    Denied extends "fail" | "skip" = "fail",
  >(
    id: Id,
    options: StepOptions<Input, S, N, Code, RetryServices, Skip, Soft, Undone, Denied>,
  ) => Step<
    Id,
    Codec.Output<S> | ([Skip | Soft] extends [false] ? never : undefined) | ([Denied] extends ["fail"] ? never : undefined),
    ServicesOf<ReturnType<Code>> | ServicesOf<Undone> | RetryServices | Codec.Services<S>
  >
  /** Waits, for as long as it takes, until someone approves or denies. */
  readonly approval: <
    const Id extends string,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    Skip extends boolean = false,
    Deny extends "fail" | "continue" | "skip" = "fail",
  >(
    id: Id,
    options: ApprovalOptions<Input, N, Skip, Deny>,
  ) => Step<Id, Decision | Absent<Skip> | (Deny extends "skip" ? undefined : never)>
  /** Waits until a person has answered. A wrong answer is refused, with the issues, and the question stays open. */
  readonly human: <
    const Id extends string,
    S extends Codec.AnySchema,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    Skip extends boolean = false,
    T extends "fail" | "continue" = "fail",
  >(
    id: Id,
    options: HumanOptions<Input, S, N, Skip, T>,
  ) => Step<Id, Codec.Output<S> | Absent<Skip> | (T extends "continue" ? undefined : never), Codec.Services<S>>
  /** Waits for a signal. Signals that came before are kept, in order, and each is taken by one wait. */
  readonly signal: SignalBuilder<Input>
  /** The same as {@link signal}. */
  readonly waitForEvent: SignalBuilder<Input>
  /** Waits until a time, across restarts. */
  readonly timer: <
    const Id extends string,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    Skip extends boolean = false,
  >(
    id: Id,
    options: TimerOptions<Input, N, Skip>,
  ) => Step<Id, void>
  /** Children one after another; its value is the last child's. */
  readonly sequence: <const C extends ReadonlyArray<AnyNode>>(...children: C) => Node<LastValue<C>, Services<C[number]>>
  /** Children at the same time; its value is the tuple of theirs. */
  readonly parallel: <const C extends ChildrenAnd<ParallelOptions>>(
    ...childrenAndOptions: C
  ) => Node<Values<ChildrenOf<C>>, Services<ChildrenOf<C>[number]>>
  /**
   * Runs another workflow as a child run, with an id and a history of its own. After a crash the same child run goes on. A child that fails
   * fails the node, and goes on where it failed when the parent is resumed.
   */
  readonly subflow: <
    const Id extends string,
    I,
    A,
    R = never,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    Skip extends boolean = false,
    Attach extends boolean = true,
    T extends "fail" | "continue" = "fail",
    Late extends "fail" | "continue" = "fail",
  >(
    id: Id,
    options: SubflowOptions<Input, I, A, R, N, Skip, Attach, T, Late>,
  ) => Step<
    Id,
    ([Attach] extends [true] ? A | ("continue" extends T | Late ? undefined : never) : { readonly runId: string }) | Absent<Skip>,
    Exclude<R, Engine>
  >
  /**
   * Children one after another, undone when the saga is left by a failure, a timeout or a cancellation: the `compensate` of each step
   * inside that has finished, in reverse order of completion, one at a time, over parallel branches, loops and sagas inside. Undoing is
   * durable, and retried as the steps are. Its value is the last child's.
   */
  readonly saga: <const C extends ChildrenAnd<SagaOptions>>(
    ...childrenAndOptions: C
  ) => Node<
    LastValue<ChildrenOf<C>> | (C extends readonly [...ReadonlyArray<unknown>, GoesOn] ? undefined : never),
    Services<ChildrenOf<C>[number]>
  >
  /**
   * Does something else where what is inside fails for good: when what is in flight inside has ended, `catch` is run, a node or a function
   * that is a step of its own, with the error. `finally` is run however the rest is left, also by a cancellation. Failures in `catch` and
   * `finally` go on outwards. Its value is that of `try`, or of `catch`.
   */
  readonly tryCatch: <
    Try extends AnyNode,
    Caught = never,
    CaughtServices = never,
    Given = never,
    Last extends AnyNode | undefined = undefined,
  >(
    options: {
      /** Keeps its place in the run when its steps change; made of the id of its first node unless given. */
      readonly id?: string
      readonly try: Try
    } & TryParts<Input, Caught, CaughtServices, Given, Last>,
  ) => Node<Value<Try> | Caught | Resolved<Given>, Services<Try> | CaughtServices | ServicesOf<Given> | Services<Last>>
  /** One of two arms; its value is that of the arm taken, `undefined` when there is none. */
  readonly branch: <
    Then extends AnyNode,
    Else extends AnyNode | undefined = undefined,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
  >(options: {
    readonly needs?: N
    readonly when: (context: Condition<Input, N>) => boolean
    readonly then: Then
    readonly else?: Else
  }) => Node<Value<Then> | (Else extends AnyNode ? Value<Else> : undefined), Services<Then> | Services<Else>>
  /**
   * Passes of `body` until `until` holds, asked before the first pass (with `output` undefined) and after each. Its value is the
   * last pass's; a loop that made no pass has none, and a step that needs it then fails with `MissingNeed`.
   */
  readonly loop: <
    Body extends AnyNode,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
  >(options: {
    readonly id: string
    readonly body: Body
    /** May include steps of the body: their values of the pass just made. */
    readonly needs?: N
    readonly until: (
      context: { readonly input: Input; readonly output: Value<Body> | undefined; readonly iteration: number } & {
        readonly [K in keyof N]: Value<N[K]> | undefined
      },
    ) => boolean
    /** Passes at most; `Infinity` for no limit. */
    readonly maxIterations: number
    /**
     * What becomes of a loop that is exhausted: `return-last` goes on with the last pass's value, and the run's result names the loop; `fail` fails
     * the run with `LoopLimitReached`. Default: `return-last`.
     */
    readonly onMaxReached?: "return-last" | "fail"
  }) => Node<Value<Body>, Services<Body>>
  /** As a need: what the step of this id gave in the previous pass of the loop around it, `undefined` in the first. */
  readonly previous: <S extends Codec.AnySchema>(id: string, output: S) => Reference<Codec.Output<S> | undefined>
  /** As a need: what a node gave, if it did. Only so a `catch` or a `finally` can take what stands in the `try`. */
  readonly maybe: <A>(node: Node<A, unknown>) => Reference<A | undefined>
  /** As a need of a node in the `catch` of the `tryCatch` of this id: what it caught. */
  readonly caught: (id: string) => Reference<Caught>
  /** A reusable part: a function of `$` and its own parameters, whose ids all get `<prefix>.` in front. */
  readonly fragment: <N extends AnyNode, P extends ReadonlyArray<unknown>>(
    prefix: string,
    part: ($: Builder<Input>, ...parameters: P) => N,
    ...parameters: P
  ) => N
}

/** What becomes of what code returned. */
type Resolved<Given> = Given extends Effect.Effect<infer A, infer _E, infer _R> ? A : Awaited<Given>

type SignalBuilder<Input> = <
  const Id extends string,
  S extends Codec.AnySchema,
  // biome-ignore lint/complexity/noBannedTypes: no needs
  N extends Needs = {},
  Skip extends boolean = false,
  T extends "fail" | "continue" = "fail",
>(
  id: Id,
  options: SignalOptions<Input, S, N, Skip, T>,
) => Step<Id, Codec.Output<S> | Absent<Skip> | (T extends "continue" ? undefined : never), Codec.Services<S>>

const gateKeys = new Set(["request", "onDeny", "approvers", "timeout", "onTimeout"])
const sagaKeys = new Set(["id", "onCompensated"])
const tryKeys = new Set(["id", "try", "catch", "finally"])
const waitKeys = ["needs", "skipIf", "label", "meta"]
const approvalKeys = new Set([...waitKeys, "request", "onDeny", "approvers", "timeout", "onTimeout"])
const humanKeys = new Set([...waitKeys, "prompt", "output", "timeout", "onTimeout"])
const signalKeys = new Set([...waitKeys, "name", "payload", "correlation", "timeout", "onTimeout"])
const subflowKeys = new Set([...waitKeys, "workflow", "input", "attach", "onFail", "timeout", "onTimeout"])
const timerKeys = new Set([...waitKeys, "duration", "until"])
const stepKeys = new Set([
  ...["output", "needs", "run", "retry", "timeout", "heartbeatTimeout", "skipIf", "continueOnFail", "cache", "compensate"],
  ...["needsApproval"],
  ...["label", "meta"],
])
const branchKeys = new Set(["needs", "when", "then", "else"])
const loopKeys = new Set(["id", "needs", "body", "until", "maxIterations", "onMaxReached"])
const parallelKeys = new Set(["maxConcurrency", "failFast"])
const retryKeys = new Set(Object.keys(RetryPolicy.defaults))
const cacheKeys = new Set(["key", "ttl"])

interface Loose {
  readonly [key: string]: unknown
}

/** Whether a value is a node made by `$`. */
export const isNode = (value: unknown): value is AnyNode =>
  typeof value === "object" && value !== null && "plan" in value && typeof value.plan === "object" && value.plan !== null

const isStartable = (value: unknown): value is Startable<unknown, unknown, unknown> =>
  typeof value === "object" &&
  value !== null &&
  "definition" in value &&
  typeof value.definition === "object" &&
  value.definition !== null &&
  "input" in value.definition

/** The id of the first node in a part that has one. */
const firstId = (part: Plan.Node): string | undefined => {
  const ahead = [part]
  for (let node = ahead.pop(); node !== undefined; node = ahead.pop()) {
    if ("id" in node) return node.id
    ahead.push(...Plan.children(node).toReversed())
  }
  return undefined
}

/** Makes the builder of a workflow. Everything a type cannot rule out is checked here and refused with {@link InvalidWorkflow}. */
export const make = <Input>(workflow: string, prefix = ""): Builder<Input> => {
  const refuse = (where: string, problem: string): never => {
    throw new InvalidWorkflow({ workflow, where, problem })
  }
  const checkKeys = (where: string, options: Loose, known: ReadonlySet<string>): void => {
    if (typeof options !== "object" || options === null) refuse(where, "its options are missing")
    for (const key of Object.keys(options)) {
      if (!known.has(key)) refuse(where, `it has no option "${key}"; there are ${[...known].join(", ")}`)
    }
  }
  const node = (where: string, value: unknown, what: string): Plan.Node =>
    isNode(value) ? value.plan : refuse(where, `${what} is not a step or another node made by $`)
  const nodes = (where: string, values: ReadonlyArray<unknown>): ReadonlyArray<Plan.Node> =>
    values.map((value, index) => node(where, value, `child ${index}`))
  const fn = <F>(where: string, options: Loose, key: string): F =>
    typeof options[key] === "function" ? (options[key] as F) : refuse(where, `"${key}" must be a function`)
  const flag = (where: string, options: Loose, key: string): boolean =>
    options[key] === undefined || typeof options[key] === "boolean"
      ? options[key] === true
      : refuse(where, `"${key}" must be true or false`)
  const millis = (where: string, options: Loose, key: string): Millis.Millis | undefined => {
    if (options[key] === undefined) return undefined
    return Either.getOrElse(Millis.positiveSpan(options[key]), ({ given, problem }) => {
      if (problem === "is not longer than 0") return refuse(where, `"${key}" must be longer than 0`)
      const example = problem === "is not a duration" ? ` such as "30s" or "2 minutes"` : ""
      return refuse(where, `"${key}" ${given} ${problem}${example}`)
    })
  }
  const needs = (where: string, options: Loose): ReadonlyArray<Plan.Need> => {
    const declared = (options.needs ?? {}) as Needs
    if (typeof declared !== "object") refuse(where, `"needs" must be an object of nodes by name`)
    return Object.entries(declared).map(([name, value]): Plan.Need => {
      if (isNode(value)) return { name, target: value.plan, pass: "current" }
      if (typeof value === "object" && value !== null && "need" in value) return { name, ...value.need }
      return refuse(where, `need "${name}" is not a step or another node made by $`)
    })
  }
  const identify = (kind: string, id: unknown): string => {
    const full = `${prefix}${String(id)}`
    const kept = keptId(full)
    if (typeof id !== "string" || id === "" || !isNodeId(kept)) refuse(`${kind} ${shownId(full)}`, `its id must be ${idRule}`)
    return kept
  }

  const retry = (where: string, declared: unknown): RetryPolicy.RetryPolicy<unknown> => {
    if (declared === undefined) return RetryPolicy.standard
    if (declared === false) return RetryPolicy.none
    if (Schedule.isSchedule(declared)) return RetryPolicy.fromSchedule(declared as Schedule.Schedule<unknown, ErrorInfo, unknown>)
    if (typeof declared !== "object" || declared === null || Array.isArray(declared))
      return refuse(where, `"retry" must be an object, a Schedule or false`)
    checkKeys(`${where}, "retry"`, declared as Loose, retryKeys)
    const policy = RetryPolicy.fromOptions(declared as RetryPolicy.RetryOptions)
    return "problem" in policy ? refuse(where, policy.problem) : policy
  }

  const cache = (where: string, declared: unknown): Plan.Cache | undefined => {
    if (declared === undefined || declared === false) return undefined
    if (declared === true) return { key: (context) => context, ttlMs: undefined }
    if (typeof declared !== "object" || declared === null) return refuse(where, `"cache" must be true or an object`)
    const options = declared as Loose
    checkKeys(`${where}, "cache"`, options, cacheKeys)
    const key =
      options.key === undefined ? (context: Plan.PredicateContext) => context : fn<Plan.Cache["key"]>(where, options, "key")
    return { key, ttlMs: millis(where, options, "ttl") }
  }

  const label = (where: string, declared: unknown): string | undefined =>
    declared === undefined || typeof declared === "string" ? declared : refuse(where, `"label" must be a string`)

  const meta = (where: string, declared: unknown): Plan.Step["meta"] => {
    const kept = Plan.metaOf(declared)
    return "problem" in kept ? refuse(where, kept.problem) : kept.meta
  }

  const step = (name: string, options: Loose) => {
    const id = identify("step", name)
    const where = `step "${id}"`
    checkKeys(where, options, stepKeys)
    const output = schema(where, options, "output")
    const gate = gateOf(id, where, options)
    const plan: Plan.Step = {
      _tag: "Step",
      id,
      label: label(where, options.label),
      meta: meta(where, options.meta),
      needs: needs(where, options),
      ...(gate === undefined ? {} : { gate }),
      codec: codecOf(output),
      table: `${workflow}_${id}`,
      retry: retry(where, options.retry),
      timeoutMs: millis(where, options, "timeout"),
      heartbeatTimeoutMs: millis(where, options, "heartbeatTimeout"),
      skipIf: options.skipIf === undefined ? undefined : fn(where, options, "skipIf"),
      continueOnFail: flag(where, options, "continueOnFail"),
      cache: cache(where, options.cache),
      run: fn(where, options, "run"),
      compensate: options.compensate === undefined ? undefined : fn(where, options, "compensate"),
    }
    return { id, plan }
  }

  const wait = (
    kind: Plan.Awaited["kind"],
    name: string,
    options: Loose,
    keys: ReadonlySet<string>,
    given: (where: string) => { readonly on: Plan.Awaited; readonly codec: Codec.Codec<unknown, unknown> },
    onTimeout: readonly [Plan.Wait["onTimeout"], ...ReadonlyArray<Plan.Wait["onTimeout"]>],
  ) => {
    const id = identify(kind, name)
    const where = `${kind} "${id}"`
    checkKeys(where, options, keys)
    const { on, codec } = given(where)
    const chosen = choice(where, options, "onTimeout", onTimeout)
    const plan: Plan.Wait = {
      _tag: "Wait",
      id,
      label: label(where, options.label),
      meta: meta(where, options.meta),
      needs: needs(where, options),
      codec,
      table: kind === "timer" ? undefined : `${workflow}_${id}`,
      skipIf: options.skipIf === undefined ? undefined : fn(where, options, "skipIf"),
      on,
      timeoutMs: millis(where, options, "timeout"),
      onTimeout: chosen,
    }
    return { id, plan }
  }
  const codecOf = (given: Codec.AnySchema): Codec.Codec<unknown, unknown> => Codec.make(given) as Codec.Codec<unknown, unknown>
  const schema = (where: string, options: Loose, key: string): Codec.AnySchema => {
    const given = options[key]
    if (!Codec.isSchema(given)) return refuse(where, `"${key}" must be an Effect Schema or a Standard Schema`)
    const { unstorable } = codecOf(given)
    return unstorable === undefined ? given : refuse(where, `"${key}": ${unstorable}`)
  }

  const approversOf = (where: string, options: Loose): ReadonlyArray<string> | undefined => {
    const approvers = options.approvers as ReadonlyArray<string> | undefined
    const isList = Array.isArray(approvers) && approvers.length > 0 && approvers.every((one) => typeof one === "string")
    return approvers === undefined || isList
      ? approvers
      : refuse(where, `"approvers" must name those who may decide, at least one, in an array`)
  }
  /** One of a few words; the first where nothing is said. */
  const choice = <A extends string>(where: string, options: Loose, key: string, words: readonly [A, ...ReadonlyArray<A>]): A => {
    const chosen = (options[key] ?? words[0]) as A
    return words.includes(chosen) ? chosen : refuse(where, `"${key}" must be ${words.map((word) => `"${word}"`).join(" or ")}`)
  }

  const gateOf = (id: string, at: string, { needsApproval, label: title, ...options }: Loose): Plan.Wait | undefined => {
    if (needsApproval === undefined || needsApproval === false) return undefined
    const where = `${at}, "needsApproval"`
    const asked = (needsApproval === true ? {} : needsApproval) as Loose
    checkKeys(where, asked, gateKeys)
    const request =
      asked.request === undefined
        ? () => ({ title: typeof title === "string" ? title : id })
        : fn<(context: Plan.PredicateContext) => unknown>(where, asked, "request")
    return {
      _tag: "Wait",
      id,
      label: undefined,
      meta: undefined,
      needs: needs(at, options),
      codec: Codec.make(Schema.Void) as Codec.Codec<unknown, unknown>,
      table: undefined,
      skipIf: undefined,
      on: {
        kind: "approval",
        request,
        onDeny: choice(where, asked, "onDeny", ["fail", "skip"]),
        approvers: approversOf(where, asked),
      },
      timeoutMs: millis(where, asked, "timeout"),
      onTimeout: choice(where, asked, "onTimeout", ["deny", "approve", "fail"]),
    }
  }

  const approval = (name: string, options: Loose) => {
    const given = (where: string) => {
      const onDeny = choice(where, options, "onDeny", ["fail", "continue", "skip"])
      const approvers = approversOf(where, options)
      return {
        on: {
          kind: "approval",
          request: fn<(context: Plan.PredicateContext) => unknown>(where, options, "request"),
          onDeny,
          approvers,
        } as const,
        codec: codecOf(Decision),
      }
    }
    return wait("approval", name, options, approvalKeys, given, ["deny", "approve", "fail"])
  }

  const human = (name: string, options: Loose) => {
    const given = (where: string) => {
      const output = schema(where, options, "output")
      const { prompt } = options
      if (typeof prompt !== "string" && typeof prompt !== "function") refuse(where, `"prompt" must be text or a function`)
      const ask =
        typeof prompt === "function" ? fn<(context: Plan.PredicateContext) => unknown>(where, options, "prompt") : () => prompt
      return { on: { kind: "human", prompt: ask } as const, codec: codecOf(output) }
    }
    return wait("human", name, options, humanKeys, given, ["fail", "continue"])
  }

  const signal = (name: string, options: Loose) => {
    const given = (where: string) => {
      if (typeof options.name !== "string" || options.name === "") refuse(where, `"name" must be that of a signal`)
      const correlation =
        options.correlation === undefined ? undefined : fn<(context: unknown) => unknown>(where, options, "correlation")
      return {
        on: { kind: "signal", name: options.name as string, correlation } as const,
        codec: codecOf(schema(where, options, "payload")),
      }
    }
    return wait("signal", name, options, signalKeys, given, ["fail", "continue"])
  }

  const timer = (name: string, options: Loose) => {
    const given = (where: string) => {
      const { until } = options
      if ((options.duration === undefined) === (until === undefined)) refuse(where, `it needs either a "duration" or an "until"`)
      if (until !== undefined && typeof until !== "function" && Either.isLeft(Millis.instant(until)))
        refuse(where, `"until" is no time: a Date or epoch milliseconds`)
      const time = typeof until === "function" ? (until as (context: unknown) => unknown) : () => until
      const due = millis(where, options, "duration") ?? time
      return { on: { kind: "timer", due } as const, codec: codecOf(Schema.Void) }
    }
    return wait("timer", name, options, timerKeys, given, ["continue"])
  }

  const subflow = (name: string, options: Loose) => {
    const given = (where: string) => {
      const { workflow: child, input } = options
      if (!isStartable(child)) return refuse(where, `"workflow" must be a workflow`)
      const { input: childInput, output: childOutput } = child.definition as Pick<Definition, "input" | "output">
      const give = typeof input === "function" ? (input as (context: unknown) => unknown) : () => input
      const isAttached = options.attach === undefined || flag(where, options, "attach")
      const { version, definition, plan } = child
      return {
        on: {
          kind: "subflow",
          child: { name: child.name, version, input: childInput, definition, ...(plan === undefined ? {} : { plan }) },
          input: give,
          isAttached,
          onFail: choice(where, options, "onFail", ["fail", "continue"]),
        } as const,
        codec: isAttached ? ComposedCodec.of(plan, childOutput) : codecOf(Schema.Struct({ runId: Schema.String })),
      }
    }
    return wait("subflow", name, options, subflowKeys, given, ["fail", "continue"])
  }

  /** A name for a boundary whose author gave none. */
  const boundaryId = (kind: "saga" | "try", id: unknown, inside: Plan.Node): string => {
    if (id !== undefined) return identify(kind, id)
    const first = firstId(inside)
    const full = `${kind}:${first}`
    return first === undefined || !isNodeId(full) ? refuse(kind, `nothing in it has a short id of its own: give it an "id"`) : full
  }

  const saga = (...args: ReadonlyArray<unknown>) => {
    const last = args.at(-1)
    const hasOptions = args.length > 0 && typeof last === "object" && last !== null && !isNode(last)
    const options = (hasOptions ? last : {}) as Loose
    checkKeys("saga", options, sagaKeys)
    const children = nodes("saga", hasOptions ? args.slice(0, -1) : args)
    const body: Plan.Node = children.length === 1 ? (children[0] as Plan.Node) : { _tag: "Sequence", children }
    const id = boundaryId("saga", options.id, body)
    const onCompensated = choice(`saga "${id}"`, options, "onCompensated", ["fail", "continue"])
    return { plan: { _tag: "Saga", id, body, onCompensated } satisfies Plan.Saga }
  }

  const tryCatch = (options: Loose) => {
    checkKeys("tryCatch", options, tryKeys)
    const body = node("tryCatch", options.try, `"try"`)
    const id = boundaryId("try", options.id, body)
    const where = `tryCatch "${id}"`
    if (options.catch === undefined && options.finally === undefined) refuse(where, `it has neither "catch" nor "finally"`)
    const handler = options.catch
    const caught: Plan.Node | undefined =
      handler === undefined
        ? undefined
        : typeof handler === "function"
          ? catching(id, handler as (context: never) => unknown)
          : node(where, handler, `"catch" is neither a function nor a node; it`)
    const last = options.finally === undefined ? undefined : node(where, options.finally, `"finally"`)
    return { plan: { _tag: "TryCatch", id, try: body, catch: caught, finally: last } satisfies Plan.TryCatch }
  }
  /** A function that is called with what was caught, as a step: what it returns is kept as JSON. */
  const catching = (id: string, run: (context: never) => unknown): Plan.Step => ({
    _tag: "Step",
    id: `${id}:catch`,
    label: undefined,
    meta: undefined,
    needs: [{ name: "error", target: id, pass: "caught" }],
    codec: codecOf(Schema.Unknown),
    table: `${workflow}_${id}:catch`,
    retry: RetryPolicy.standard,
    timeoutMs: undefined,
    heartbeatTimeoutMs: undefined,
    skipIf: undefined,
    continueOnFail: false,
    cache: undefined,
    run,
    compensate: undefined,
  })

  const parallel = (...args: ReadonlyArray<unknown>) => {
    const last = args.at(-1)
    const hasOptions = args.length > 0 && typeof last === "object" && last !== null && !isNode(last)
    const options = (hasOptions ? last : {}) as Loose
    checkKeys("parallel", options, parallelKeys)
    const children = nodes("parallel", hasOptions ? args.slice(0, -1) : args)
    const plan: Plan.Parallel = {
      _tag: "Parallel",
      children,
      maxConcurrency: Plan.limitOf(options.maxConcurrency),
      failFast: flag("parallel", options, "failFast"),
    }
    return { plan }
  }

  const branch = (options: Loose) => {
    checkKeys("branch", options, branchKeys)
    const plan: Plan.Branch = {
      _tag: "Branch",
      needs: needs("branch", options),
      when: fn("branch", options, "when"),
      then: node("branch", options.then, `"then"`),
      else: options.else === undefined ? undefined : node("branch", options.else, `"else"`),
    }
    return { plan }
  }

  const loop = (options: Loose) => {
    const id = identify("loop", options?.id)
    const where = `loop "${id}"`
    checkKeys(where, options, loopKeys)
    const onMaxReached = options.onMaxReached ?? "return-last"
    if (onMaxReached !== "return-last" && onMaxReached !== "fail") refuse(where, `"onMaxReached" must be "return-last" or "fail"`)
    const plan: Plan.Loop = {
      _tag: "Loop",
      id,
      needs: needs(where, options),
      body: node(where, options.body, `"body"`),
      until: fn(where, options, "until"),
      maxIterations: options.maxIterations as number,
      onMaxReached: onMaxReached as Plan.Loop["onMaxReached"],
    }
    if (options.maxIterations === undefined)
      refuse(where, `"maxIterations" is missing: a whole number of at least 1, or Infinity for no limit`)
    return { plan }
  }

  const builder = {
    step,
    approval,
    human,
    signal,
    waitForEvent: signal,
    timer,
    subflow,
    saga,
    tryCatch,
    maybe: (value: unknown): Reference<unknown> => ({
      need: { target: node("maybe", value, "its argument"), pass: "current", isOptional: true },
    }),
    caught: (id: string): Reference<unknown> => ({ need: { target: keptId(`${prefix}${id}`), pass: "caught" } }),
    sequence: (...children: ReadonlyArray<unknown>) => ({ plan: { _tag: "Sequence", children: nodes("sequence", children) } }),
    parallel,
    branch,
    loop,
    previous: (id: string, output: Codec.AnySchema): Reference<unknown> => ({
      need: { target: keptId(`${prefix}${id}`), pass: "previous", codec: Codec.make(output) as Codec.Codec },
    }),
    fragment: (
      name: string,
      part: ($: Builder<Input>, ...parameters: ReadonlyArray<unknown>) => AnyNode,
      ...parameters: ReadonlyArray<unknown>
    ) => {
      identify("fragment", name)
      // Ids inside are kept as a whole, so the prefix is still as its author gave it.
      return part(make<Input>(workflow, `${prefix}${name}.`), ...parameters)
    },
  }
  // The checks above see untyped options on purpose; this is where the typed face is put on them.
  return builder as unknown as Builder<Input>
}
