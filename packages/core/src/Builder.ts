/**
 * How a workflow is written down in code: `$` makes the nodes of a plan, typed from their schemas, so that a step's needs, its
 * output and the services it asks for all reach the type of the workflow.
 */

import type { StandardSchemaV1 } from "@standard-schema/spec"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as Codec from "./Codec.ts"
import type { Decision } from "./Decision.ts"
import type * as Declared from "./Declared.ts"
import type { Engine } from "./Engine.ts"
import type { InvalidWorkflow } from "./Errors.ts"
import type { Caught, Failure } from "./internal/caught.ts"
import * as Parser from "./internal/parser.ts"
import type * as Plan from "./Plan.ts"
import type * as RetryPolicy from "./RetryPolicy.ts"
import type { StepContext } from "./StepProgram.ts"

export { type Caught, caughtOf, type Failure } from "./internal/caught.ts"

declare const Typed: unique symbol

/** A part of a workflow whose value is an `A`, and whose steps ask for the services `R`, write `W` and declare the errors `E`. */
export interface Node<out A, out R = never, out W = unknown, out E = never> {
  readonly [Typed]?: { readonly output: A; readonly services: R; readonly written: W; readonly errors: E }
  readonly plan: Plan.Node
}

/** What a step writes into its table: an `A` under its id. */
export interface Written<out Id extends string, out A> {
  readonly id: Id
  readonly output: A
}

/** A step; its id is part of its type. Its value may be absent; what it writes is an `O`. */
export interface Step<Id extends string, out A, out R = never, out O = A, out E = never> extends Node<A, R, Written<Id, O>, E> {
  readonly id: Id
}

/** A need that is more than a node: made by `$.previous`, `$.maybe` and `$.caught`. */
export interface Reference<out A> {
  readonly [Typed]?: { readonly output: A; readonly services: never }
  readonly need: Omit<Plan.Need, "name">
}

type AnyNode = Node<unknown, unknown, unknown, unknown>

/** The value of a node. */
export type Value<N> = N extends { readonly [Typed]?: { readonly output: infer A } } ? A : never

/** The services that the steps of a node ask for. */
export type Services<N> = N extends { readonly [Typed]?: { readonly services: infer R } } ? R : never

/** The errors that a node can fail with which its steps declare. */
export type Errors<N> = N extends { readonly [Typed]?: { readonly errors: infer E } } ? E : never

/** What the steps of a node write into their tables. */
export type WrittenBy<N> = N extends { readonly [Typed]?: { readonly written: infer S } } ? S : never

/** Needs by the names under which they are received. */
export interface Needs {
  readonly [name: string]: AnyNode | Reference<unknown>
}

/** What is received for needs. */
export type NeedValues<N extends Needs> = { readonly [K in keyof N]: Value<N[K]> }

/** What a step's code is called with. */
export type RunContext<Input, N extends Needs> = StepContext<Input> & NeedValues<N>

/** What `when` and `skipIf` are called with. They must be pure: they are asked again after a restart. */
export type Condition<Input, N extends Needs> = {
  readonly input: Input
  readonly runId: string
  /** Pass of the innermost loop, from 0; 0 outside loops. */
  readonly iteration: number
} & NeedValues<N>

/** What is given, or a function that gives it as the node begins. The function must be pure. */
export type GivenBy<A, Input, N extends Needs> = A | ((context: Condition<Input, N>) => A)

/** What a step's code may return. The run fails with an error that the step declares, and with `StepFailed` of any other. */
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
  Err extends Declared.ErrorSchema,
> {
  /** Schema of the output: an Effect Schema or any Standard Schema. What `run` returns is decoded with it, then stored. */
  readonly output: S
  /**
   * An Effect Schema of the errors that `run` can fail with and that its callers handle. Such an error is stored encoded, is in the `E` of `execute`, and
   * is given back decoded. Any other error fails the run with `StepFailed`. Declared errors are retried as others are.
   */
  readonly error?: Err
  /** Nodes whose values this step receives, by name. They must come before it. */
  readonly needs?: N
  /** The work: returns a value, a Promise or an Effect. It may run again after a crash; its output is committed once. */
  readonly run: Code
  /**
   * When to try again; retries are on by default. `false` turns them off. `while` and a Schedule are given the error of each attempt as it is stored
   * (`ErrorInfo`), with a declared error decoded as `declared`, so that they go by the same before and after a restart.
   */
  readonly retry?:
    | RetryPolicy.RetryOptions<Declared.ErrorOf<Err>>
    | Schedule.Schedule<unknown, Declared.AttemptError<Declared.ErrorOf<Err>>, RetryServices>
    | false
  /** Longest time for one attempt, or a function that gives it as an attempt begins. */
  readonly timeout?: GivenBy<RetryPolicy.DurationLike, Input, N>
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

/** How long a wait lasts, and what becomes of it then. What a function gives is kept with the wait as it begins. */
interface Limit<Input, N extends Needs, T extends string> {
  /** How long to wait at most. Default: for ever. */
  readonly timeout?: GivenBy<RetryPolicy.DurationLike, Input, N>
  /** Until when to wait at most, instead: a `Date` or epoch ms. One that is past ends the wait at once. */
  readonly deadline?: GivenBy<Date | number, Input, N>
  readonly onTimeout?: T
}

/** What people are shown who may approve: JSON. */
interface Request {
  readonly title: string
  readonly summary?: string
  readonly details?: unknown
}

/** How an approval is asked for. */
export interface ApprovalOptions<Input, N extends Needs, Skip extends boolean, Deny extends "fail" | "continue" | "skip">
  extends WaitOptions<Input, N, Skip>,
    Limit<Input, N, "deny" | "approve" | "fail"> {
  /** What people are shown, or a function that gives it, which must be pure. If it changes before it is decided, it is asked again. */
  readonly request: Request | ((context: Condition<Input, N>) => Request)
  /**
   * A denial fails the run with `ApprovalDenied` (the default), goes on with `approved: false`, or leaves the output absent. A run that failed
   * by it fails by it again when it is resumed, until the node is retried.
   */
  readonly onDeny?: Deny
  /** Names of those who may decide; a decision `by` anybody else is refused with `NotAnApprover`. Anyone unless told. */
  readonly approvers?: GivenBy<ReadonlyArray<string>, Input, N>
}

/** How a step is approved of before it begins. */
export interface GateOptions<Input, N extends Needs, Deny extends "fail" | "skip">
  extends Limit<Input, N, "deny" | "approve" | "fail"> {
  /** What people are shown, or a function that gives it, which must be pure. Default: the step's label or id as its title. */
  readonly request?: ApprovalOptions<Input, N, false, "fail">["request"]
  readonly onDeny?: Deny
  readonly approvers?: GivenBy<ReadonlyArray<string>, Input, N>
}

declare const Failing: unique symbol

/** What can fail with the errors `E`, which steps declare. */
export interface Fails<out E> {
  readonly [Failing]?: E
}

/** A workflow that another one can start. */
export interface Startable<in I, out A, out R, out E = never> extends Fails<E> {
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
  E,
> extends WaitOptions<Input, N, Skip>,
    Limit<Input, N, Late> {
  /**
   * The workflow, or a function that gives it: so one may start itself, or two each other. Its declaration then needs a type that is written out, such
   * as `const Walk: Smithers.Workflow<In, Out> = …`.
   */
  readonly workflow: Startable<I, A, R, E> | (() => Startable<I, A, R, E>)
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
export type CatchContext<Input, E = unknown> = StepContext<Input> & { readonly error: Caught<E> }

/** How a person is asked. */
export interface HumanOptions<
  Input,
  S extends Codec.AnySchema,
  N extends Needs,
  Skip extends boolean,
  T extends "fail" | "continue",
> extends WaitOptions<Input, N, Skip>,
    Limit<Input, N, T> {
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
    Limit<Input, N, T> {
  readonly name: string
  /** Schema of what the signal carries, a synchronous one. */
  readonly payload: S
  /** Only a signal that was sent with the same is taken. A function must be pure. */
  readonly correlation?: string | ((context: Condition<Input, N>) => string | undefined)
  /**
   * Only signals that are sent once the wait has begun count; one that was sent before is kept, for other waits. After a restart, and while the run is
   * paused, the wait is the same. Default: `false`.
   */
  readonly transient?: boolean
}

/** When a timer fires: after a `duration`, or at the time that `until` says. */
export type TimerOptions<Input, N extends Needs, Skip extends boolean> = WaitOptions<Input, N, Skip> &
  (
    | {
        /** From when the timer is reached. Its deadline then stands, whatever restarts. */
        readonly duration: GivenBy<RetryPolicy.DurationLike, Input, N>
        readonly until?: undefined
      }
    | {
        readonly duration?: undefined
        /** A time: a `Date`, epoch ms, or a function that gives one. One that is past fires at once. */
        readonly until: Date | number | ((context: Condition<Input, N>) => Date | number)
      }
  )

/** How a region is named, and how long it may take. */
interface Region {
  /** A title for people. */
  readonly label?: string
  /** How long it may take at most, from when it begins; a pause of the run does not count. Default: for ever. */
  readonly timeout?: RetryPolicy.DurationLike
  /** What becomes of it then: it fails with `ScopeTimedOut` once it is left, or the run goes on without its value. Default: `fail`. */
  readonly onTimeout?: "fail" | "continue"
}

/** What a condition is called with that looks at what is there: the values of its needs, as far as they are. */
type Looking<Input, N extends Needs> = { readonly input: Input } & { readonly [K in keyof N]: Value<N[K]> | undefined }

/** When a `$.scope` is left. Conditions must be pure; they are asked when it begins, and whenever one of their needs gives something. */
interface ScopeOptions<Input, N extends Needs> {
  /** Nodes that the conditions look at, by name, also nodes in the body. Nothing waits for them. */
  readonly needs?: N
  readonly completeWhen?: (context: Looking<Input, N>) => boolean
  readonly cancelWhen?: (context: Looking<Input, N>) => boolean
}

/** How a `$.race` is won and lost. */
interface RaceOptions {
  /** Keeps its place in the run when its branches change; made of the id of its first node unless given. */
  readonly id?: string
  /** How many branches win; its value is a list then. Default: 1. */
  readonly count?: number
  /** What becomes of the others. Default: `cancel`. */
  readonly rest?: "cancel" | "keep"
  /**
   * `fail` fails with the first failure of a branch; `ignore` goes on with the others, and fails with `RaceLost` once enough can no longer
   * come. Default: `fail`.
   */
  readonly onFailure?: "fail" | "ignore"
}

/** The winner of a race, by the name of its branch. */
export type Won<Branches extends { readonly [name: string]: AnyNode }> = {
  readonly [K in keyof Branches & string]: { readonly winner: K; readonly value: Value<Branches[K]> }
}[keyof Branches & string]

/** How an item of a settled list ended. */
export type SettledItem<A> =
  | { readonly key: string; readonly status: "finished"; readonly value: A }
  | { readonly key: string; readonly status: "failed"; readonly error: Caught }
  | { readonly key: string; readonly status: "cancelled" }

/** How items are mapped over. */
interface MapOptions<Input, N extends Needs, Item, Body extends AnyNode, Settled extends boolean, Until extends boolean> {
  readonly id: string
  /** Nodes whose values `items` and `until` receive, by name. The list begins once those are there that are not taken with `$.maybe`. */
  readonly needs?: N
  /** Gives the items. Must be pure: it is asked again when a need gives something, and after a restart. */
  readonly items: (context: Condition<Input, N>) => ReadonlyArray<Item>
  /** Tells items apart: a text or a number, of which no two are the same. Default: the item itself, where it is one. */
  readonly key?: (item: Item, index: number) => string | number
  /** Makes what is done for an item, which its nodes take as a need. Called once, when the workflow is built. */
  readonly body: (item: Reference<Item>) => Body
  /** Items that are begun and not over, at most. With 1 one begins when the one before is over. `0` is no limit. Default: no limit. */
  readonly concurrency?: number
  /** Ends the list where it holds; asked when an item is over. Must be pure. */
  readonly until?: (
    context: Condition<Input, N> & {
      readonly done: number
      readonly failed: number
      readonly open: number
      readonly values: ReadonlyArray<Value<Body>>
    },
  ) => Until
  /** What becomes then of items that are not over. Default: `cancel`. */
  readonly rest?: "cancel" | "keep"
  /** Lets the others go on where an item fails, and says of each how it ended. Default: false. */
  readonly settled?: Settled
  /** Keeps the list open until this node is over: it may bring more items. */
  readonly more?: AnyNode
}

/** What is done where what is inside a `$.tryCatch` fails, and what is done in any case: one of the two at least. */
export type TryParts<Input, E, Caught, CaughtServices, CaughtWritten, CaughtErrors, Given, Holds, Last> =
  | {
      readonly catch: Node<Caught, CaughtServices, CaughtWritten, CaughtErrors> | ((context: CatchContext<Input, E>) => Given)
      /**
       * Tells which failures are caught; any other goes on outwards as it was. Must be pure: it may be asked again after a restart, with the same. Where
       * it throws, its own failure goes on, with the other as its cause. Default: all are caught.
       */
      readonly when?: (error: Failure<E>) => Holds
      readonly finally?: Last
    }
  | { readonly catch?: undefined; readonly when?: undefined; readonly finally: NonNullable<Last> }

/** The name of a case: text, or the number that it is. */
type CaseName<Key> = Key extends `${infer N extends number}` ? Key | N : Key

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
    Err extends Declared.ErrorSchema = never,
  >(
    id: Id,
    options: StepOptions<Input, S, N, Code, RetryServices, Skip, Soft, Undone, Denied, Err>,
  ) => Step<
    Id,
    Codec.Output<S> | ([Skip | Soft] extends [false] ? never : undefined) | ([Denied] extends ["fail"] ? never : undefined),
    ServicesOf<ReturnType<Code>> | ServicesOf<Undone> | RetryServices | Codec.Services<S>,
    Codec.Output<S>,
    [Soft] extends [true] ? never : Declared.ErrorOf<Err>
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
  ) => Step<Id, Codec.Output<S> | Absent<Skip> | (T extends "continue" ? undefined : never), Codec.Services<S>, Codec.Output<S>>
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
  readonly sequence: <const C extends ReadonlyArray<AnyNode>>(
    ...children: C
  ) => Node<LastValue<C>, Services<C[number]>, WrittenBy<C[number]>, Errors<C[number]>>
  /** Children at the same time; its value is the tuple of theirs. */
  readonly parallel: <const C extends ChildrenAnd<ParallelOptions>>(
    ...childrenAndOptions: C
  ) => Node<Values<ChildrenOf<C>>, Services<ChildrenOf<C>[number]>, WrittenBy<ChildrenOf<C>[number]>, Errors<ChildrenOf<C>[number]>>
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
    E = never,
  >(
    id: Id,
    options: SubflowOptions<Input, I, A, R, N, Skip, Attach, T, Late, E>,
  ) => Step<
    Id,
    ([Attach] extends [true] ? A | ("continue" extends T | Late ? undefined : never) : { readonly runId: string }) | Absent<Skip>,
    Exclude<R, Engine>,
    ([Attach] extends [true] ? A : { readonly runId: string }) | ("continue" extends T | Late ? undefined : never) | Absent<Skip>,
    [Attach, T] extends [true, "fail"] ? E : never
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
    Services<ChildrenOf<C>[number]>,
    WrittenBy<ChildrenOf<C>[number]>,
    C extends readonly [...ReadonlyArray<unknown>, GoesOn] ? never : Errors<ChildrenOf<C>[number]>
  >
  /**
   * Does something else where what is inside fails for good: when what is in flight inside has ended, `catch` is run, a node or a function
   * that is a step of its own, with the error; with `when` only of failures for which that holds. `finally` is run however the rest is left, also by a cancellation. Failures in `catch` and
   * `finally` go on outwards. Its value is that of `try`, or of `catch`.
   */
  readonly tryCatch: <
    Try extends AnyNode,
    Caught = never,
    CaughtServices = never,
    CaughtWritten = never,
    CaughtErrors = never,
    Given = never,
    Holds extends boolean = never,
    Last extends AnyNode | undefined = undefined,
  >(
    options: {
      /** Keeps its place in the run when its steps change; made of the id of its first node unless given. */
      readonly id?: string
      readonly try: Try
    } & TryParts<Input, Errors<Try>, Caught, CaughtServices, CaughtWritten, CaughtErrors, Given, Holds, Last>,
  ) => Node<
    Value<Try> | Caught | Resolved<Given>,
    Services<Try> | CaughtServices | ServicesOf<Given> | Services<Last>,
    WrittenBy<Try> | CaughtWritten | WrittenBy<Last>,
    CaughtErrors | Errors<Last> | Passed<Errors<Try>, Caught, Given, Holds>
  >
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
  }) => Node<
    Value<Then> | (Else extends AnyNode ? Value<Else> : undefined),
    Services<Then> | Services<Else>,
    WrittenBy<Then> | WrittenBy<Else>,
    Errors<Then> | Errors<Else>
  >
  /**
   * One of several arms: that of the case which `on` names, or else `otherwise`. Its value is that of the arm taken. Without an `otherwise` the run
   * fails with `UnknownCase` where `on` gives a name that is none of the cases.
   */
  readonly switch: <
    const Cases extends { readonly [name: string]: AnyNode },
    Otherwise extends AnyNode | undefined = undefined,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
  >(options: {
    readonly needs?: N
    /** Gives the name of a case. Must be pure: it is asked again after a restart. */
    readonly on: (context: Condition<Input, N>) => Otherwise extends AnyNode ? string | number : CaseName<keyof Cases>
    readonly cases: { readonly [Name in keyof Cases]: Cases[Name] }
    readonly otherwise?: Otherwise
  }) => Node<
    Value<Cases[keyof Cases]> | (Otherwise extends AnyNode ? Value<Otherwise> : never),
    Services<Cases[keyof Cases]> | Services<Otherwise>,
    WrittenBy<Cases[keyof Cases]> | WrittenBy<Otherwise>,
    Errors<Cases[keyof Cases]> | Errors<Otherwise>
  >
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
      context: {
        readonly input: Input
        readonly runId: string
        readonly output: Value<Body> | undefined
        readonly iteration: number
      } & {
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
  }) => Node<Value<Body>, Services<Body>, WrittenBy<Body>, Errors<Body>>
  /**
   * A region that can be left before it is over, and without a failure: as completed where `completeWhen` holds, as cancelled where `cancelWhen`
   * does, when its time is over, or from outside (`Smithers.completeNode`, `cancelNode`). What is open in it is closed, what runs is interrupted and
   * awaited, child runs are cancelled, sagas are undone, and each `finally` is run; a `catch` sees nothing of it. Its value is that of the body, or
   * what there is of it by then; none where it is cancelled.
   */
  readonly scope: <
    Body extends AnyNode,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
  >(
    options: ScopeOptions<Input, N> & Region & { readonly id: string; readonly body: Body },
  ) => Node<Value<Body> | undefined, Services<Body>, WrittenBy<Body>, Errors<Body>>
  /**
   * Branches at the same time, of which the first in time wins: by when a signal was sent or a decision was made, or a time was over, however late the
   * run hears of it; the order of the branches only where two come at one moment. The others are left, as scopes are, or go on (`rest: "keep"`) and end
   * with what is around the race. Its value names the winner; with `count` it is a list, in the order in which they won.
   */
  // biome-ignore lint/complexity/noBannedTypes: no options
  readonly race: <const Branches extends { readonly [name: string]: AnyNode }, const Options extends RaceOptions & Region = {}>(
    branches: { readonly [Name in keyof Branches]: Branches[Name] },
    options?: Options,
  ) => Node<
    | (Options extends { readonly count: number } ? ReadonlyArray<Won<Branches>> : Won<Branches>)
    | (Options extends { readonly onTimeout: "continue" } ? undefined : never),
    Services<Branches[keyof Branches]>,
    WrittenBy<Branches[keyof Branches]>,
    Errors<Branches[keyof Branches]>
  >
  /**
   * A part of the plan for each item, by key. `items` is asked again when what it needs changes, so that there may be more while it runs; an item keeps
   * what it has done by its key. `concurrency` counts items from begin to end, whatever they wait for. `until` ends it before all items are over. Its
   * value is the list of theirs in the order of the items or, where it is `settled`, how each ended. Ids in `body` get `<id>[<key>].` in front.
   */
  readonly map: <
    Item,
    Body extends AnyNode,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    Settled extends boolean = false,
    Until extends boolean = false,
  >(
    options: MapOptions<Input, N, Item, Body, Settled, Until> & Region,
  ) => Node<
    [Settled] extends [true]
      ? ReadonlyArray<SettledItem<Value<Body>>>
      : ReadonlyArray<Value<Body> | ([Until] extends [false] ? never : undefined)>,
    Services<Body>,
    WrittenBy<Body>,
    Errors<Body>
  >
  /** As a need: what the step of this id gave in the previous pass of the loop around it, `undefined` in the first. */
  readonly previous: <S extends Codec.AnySchema>(id: string, output: S) => Reference<Codec.Output<S> | undefined>
  /**
   * As a need: what a node gave, if it did; it is waited for until that is known. Only so a `catch` or a `finally` can take what stands in the `try`, and
   * a node outside what stands in a try or in an arm of a branch.
   */
  readonly maybe: <A>(node: Node<A, unknown, unknown, unknown>) => Reference<A | undefined>
  /** As a need of a node in the `catch` of the `tryCatch` of this id: what it caught. */
  readonly caught: (id: string) => Reference<Caught>
  /** A reusable part: a function of `$` and its own parameters, whose ids all get `<prefix>.` in front. */
  readonly fragment: <N extends AnyNode, P extends ReadonlyArray<unknown>>(
    prefix: string,
    part: ($: Builder<Input>, ...parameters: P) => N,
    ...parameters: P
  ) => N
}

/** The errors of a `try` that go on outwards: all without a `catch`, and those that its `when` may not hold for. */
type Passed<E, Caught, Given, Holds> = [Caught, Given] extends [never, never] ? E : [Holds] extends [never] ? never : E

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
) => Step<Id, Codec.Output<S> | Absent<Skip> | (T extends "continue" ? undefined : never), Codec.Services<S>, Codec.Output<S>>

/** Whether a value is a node made by `$`. */
export const isNode = (value: unknown): value is AnyNode => Parser.isNode(value)

/** Makes the builder of a workflow. Everything a type cannot rule out is checked and refused with {@link InvalidWorkflow}. */
export const make = <Input>(workflow: string): Builder<Input> =>
  // Options are untyped there on purpose; this is where the typed face is put on them.
  Parser.make(workflow) as unknown as Builder<Input>
