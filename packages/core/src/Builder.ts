/**
 * The builder of workflows. `$` makes the nodes of a plan, typed from their schemas. A step's needs, its output and its
 * services all reach the type of the workflow.
 */

import type { StandardSchemaV1 } from "@standard-schema/spec"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type { AnyAgent } from "./Agent.ts"
import type * as Budget from "./Budget.ts"
import type * as Codec from "./Codec.ts"
import type { Decision, Selection, SelectOption } from "./Decision.ts"
import type * as DeclaredError from "./DeclaredError.ts"
import type { Engine } from "./Engine.ts"
import type { InvalidWorkflow } from "./Errors.ts"
import type { Caught, Failure } from "./internal/caught.ts"
import * as Parser from "./internal/parser.ts"
import type { LimitName } from "./Limits.ts"
import type * as Plan from "./Plan.ts"
import type * as RetryPolicy from "./RetryPolicy.ts"
import type { Patch, PatchConflict, ProviderName, SandboxLimits, SandboxProvider, SandboxResult } from "./Sandboxes.ts"
import type { StepContext } from "./StepProgram.ts"

export { type Caught, caughtOf, type Failure } from "./internal/caught.ts"

declare const Typed: unique symbol

/** A part of a workflow with a value `A`. Its steps need the services `R`, write the rows `W` and declare the errors `E`. */
export interface Node<out A, out R = never, out W = unknown, out E = never> {
  readonly [Typed]?: { readonly output: A; readonly services: R; readonly written: W; readonly errors: E }
  readonly plan: Plan.Node
}

/** The row that a step writes: an `A` under its id. */
export interface Written<out Id extends string, out A> {
  readonly id: Id
  readonly output: A
}

/** A step; its id is part of its type. Its value may be absent; its row is an `O`. */
export interface Step<Id extends string, out A, out R = never, out O = A, out E = never> extends Node<A, R, Written<Id, O>, E> {
  readonly id: Id
}

/** A need beyond a plain node: made by `$.previous`, `$.maybe` and `$.caught`. */
export interface Reference<out A> {
  readonly [Typed]?: { readonly output: A; readonly services: never }
  readonly need: Omit<Plan.Need, "name">
}

type AnyNode = Node<unknown, unknown, unknown, unknown>

/** The value of a node. */
export type Value<N> = N extends { readonly [Typed]?: { readonly output: infer A } } ? A : never

/** The services of the steps of a node. */
export type Services<N> = N extends { readonly [Typed]?: { readonly services: infer R } } ? R : never

/** The errors that the steps of a node declare and that it can fail with. */
export type Errors<N> = N extends { readonly [Typed]?: { readonly errors: infer E } } ? E : never

/** The rows that the steps of a node write. */
export type WrittenBy<N> = N extends { readonly [Typed]?: { readonly written: infer S } } ? S : never

/** Needs, by the names under which their values are received. */
export interface Needs {
  readonly [name: string]: AnyNode | Reference<unknown>
}

/** The values of needs. */
export type NeedValues<N extends Needs> = { readonly [K in keyof N]: Value<N[K]> }

/** The context of a step's code. */
export type RunContext<Input, N extends Needs> = StepContext<Input> & NeedValues<N>

/** The context of `when` and `skipIf`. They must be pure: they are called again after a restart. */
export type Condition<Input, N extends Needs> = {
  readonly input: Input
  readonly runId: string
  /** Pass of the innermost loop, from 0; 0 outside loops. */
  readonly iteration: number
} & NeedValues<N>

/** A value, or a function that returns it when the node begins. The function must be pure. */
export type GivenBy<A, Input, N extends Needs> = A | ((context: Condition<Input, N>) => A)

/** The return type of a step's code. A declared error fails the run as it is, any other with `StepFailed`. */
export type Returned<A, R = unknown> = A | PromiseLike<A> | Effect.Effect<A, unknown, R>

/** The services of an Effect that a step's code returns. */
export type ServicesOf<T> = T extends Effect.Effect<infer _A, infer _E, infer R> ? R : never

/** A step's code, by its result and its context. The result is the first parameter, since compilers cut long types short. */
export type Run<A, Context, R = unknown> = (context: Context) => Returned<A, R>

/**
 * A placeholder for a step's schema until TypeScript infers it: a schema of literals. It keeps the `"low"` of a `run` without
 * parameters a `"low"` until it is compared with the actual schema.
 */
export type Uninferred = StandardSchemaV1<Literals, Literals>
type Literals = "" | 0 | 0n | boolean | null | undefined | { readonly [key: string]: Literals } | [] | Array<Literals>

/** Options of every step, whoever does its work. */
interface EveryStep<
  Input,
  S extends Codec.AnySchema,
  N extends Needs,
  RetryServices,
  Skip extends boolean,
  Soft extends boolean,
  Undone,
  Denied extends "fail" | "skip",
  Err extends DeclaredError.ErrorSchema,
> {
  /** Schema of the output: an Effect Schema or any Standard Schema. The result of `run` is decoded with it, then stored. */
  readonly output: S
  /**
   * An Effect Schema of the errors that callers handle. Such an error is stored encoded, passed on decoded, and part of the `E`
   * of `execute`. Any other error fails the run with `StepFailed`. Declared errors are retried like others.
   */
  readonly error?: Err
  /** Nodes whose values this step receives, by name. They must come before it. */
  readonly needs?: N
  /**
   * Retries of failed attempts; `false` turns them off. `while` and a Schedule receive the stored error of each attempt
   * (`ErrorInfo`), with a declared error decoded as `declared`. So they behave the same before and after a restart. Default:
   * four attempts with exponential back-off.
   */
  readonly retry?:
    | RetryPolicy.RetryOptions<DeclaredError.ErrorOf<Err>>
    | Schedule.Schedule<unknown, DeclaredError.AttemptError<DeclaredError.ErrorOf<Err>>, RetryServices>
    | false
  /** Longest time of one attempt, or a function that returns it when an attempt begins. */
  readonly timeout?: GivenBy<RetryPolicy.DurationLike, Input, N>
  /** Longest time between two calls of `heartbeat`. */
  readonly heartbeatTimeout?: RetryPolicy.DurationLike
  /** Skips the step, with an absent output, if it returns true. */
  readonly skipIf?: (context: Condition<Input, N>) => Skip
  /** Continues the run, with an absent output, if the step fails for good. Default: false. */
  readonly continueOnFail?: Soft
  /**
   * `true` takes a snapshot of the workspace before and after each attempt, `false` takes none. Default: as the workflow says; by itself
   * it takes them around attempts of agents that can write, in a git work tree.
   */
  readonly snapshots?: boolean
  /** The id of a sandbox around the step, to work in that one; `false` works outside of all. Default: the innermost one. */
  readonly sandbox?: string | false
  /** Takes over the output of an earlier run with the same key. `true` is `{}`. Default: false. */
  readonly cache?: boolean | CacheOptions<(context: Condition<Input, N>) => unknown>
  /** Scores of the output, by name. They are made after it is stored, and neither hold up nor fail the run. */
  readonly scorers?: { readonly [name: string]: Scorer<ScoreContext<Input, Codec.Output<S>>> }
  /** Facts that outlive the run: which of them the prompt gets, and which the step stores with its output. */
  readonly memory?: MemoryOptions<
    [context: Condition<Input, N>],
    [context: Condition<Input, N> & { readonly output: Codec.Output<S> }]
  >
  /**
   * A limit of the runtime, by its name or as `{ name, key }`, or a function that returns it. An attempt begins once it holds a slot
   * of it. The wait is no part of its `timeout`.
   */
  readonly limit?: LimitName | ((context: Condition<Input, N>) => LimitName)
  /**
   * Requires an approval before the step begins; `true` shows its label or id. The gate has no output of its own. A denial
   * fails the run with `ApprovalDenied`, or skips the step (`onDeny: "skip"`).
   */
  readonly needsApproval?: boolean | GateOptions<Input, N, Denied>
  /**
   * Undoes the step if a saga around it fails. Receives the context of `run` and its `output`; may return a Promise or an
   * Effect.
   */
  readonly compensate?: (context: RunContext<Input, N> & { readonly output: Codec.Output<S> }) => Undone
  /** A title for people. */
  readonly label?: string
  /** JSON for tools. */
  readonly meta?: { readonly [key: string]: unknown }
}

/** Agents, tried in order. */
interface Agents extends ReadonlyArray<AnyAgent> {
  readonly version?: undefined
}

/** Options of a step whose work is code. */
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
  Err extends DeclaredError.ErrorSchema,
> extends EveryStep<Input, S, N, RetryServices, Skip, Soft, Undone, Denied, Err> {
  /** The work: returns a value, a Promise or an Effect. It may run again after a crash; its output is committed once. */
  readonly run: Code
}

/** Options of a step whose work is code, without those of an agent. */
interface CodeStepOptions<
  Input,
  S extends Codec.AnySchema,
  N extends Needs,
  Code extends Run<Codec.Input<S>, RunContext<Input, N>>,
  RetryServices,
  Skip extends boolean,
  Soft extends boolean,
  Undone,
  Denied extends "fail" | "skip",
  Err extends DeclaredError.ErrorSchema,
> extends StepOptions<Input, S, N, Code, RetryServices, Skip, Soft, Undone, Denied, Err> {
  readonly agent?: undefined
  readonly prompt?: undefined
  readonly corrections?: undefined
  readonly allowTools?: undefined
  readonly allowNetwork?: undefined
  readonly root?: undefined
  readonly readOnly?: undefined
  readonly budget?: undefined
}

/** Options of a step whose work is that of an agent. */
export interface AgentStepOptions<
  Input,
  S extends Codec.AnySchema,
  N extends Needs,
  RetryServices,
  Skip extends boolean,
  Soft extends boolean,
  Undone,
  Denied extends "fail" | "skip",
  Err extends DeclaredError.ErrorSchema,
> extends EveryStep<Input, S, N, RetryServices, Skip, Soft, Undone, Denied, Err> {
  /** The agent that does the work, or several agents that are tried in order. Its reply is decoded with `output`. */
  readonly agent: AnyAgent | Agents
  /** The task for the agent: text, or a function that returns it, a Promise or an Effect of it. */
  readonly prompt: string | Run<string, RunContext<Input, N>, never>
  /** Number of times per attempt that an agent is asked to correct a reply that the schema rejects. Default: 2. */
  readonly corrections?: number
  /** Tools that the agent is offered, by their names. A call of any other is refused. Default: all tools of the agent. */
  readonly allowTools?: ReadonlyArray<string>
  /**
   * Hosts that commands of the agent's tools reach, such as `"api.github.com"`, `"*.npmjs.org"` or `"localhost:8080"`. Default:
   * the network of the runtime, which is none.
   */
  readonly allowNetwork?: ReadonlyArray<string>
  /** Directory that the agent's tools stay below, from the root of the runtime. Default: the root of the runtime. */
  readonly root?: string
  /** `true` offers the agent only tools that change nothing, and lets its commands read only. Default: false. */
  readonly readOnly?: boolean
  /**
   * Budget of the step in each iteration, over all attempts. Default: 200 calls of models and 1,000 calls of tools; `Infinity` lifts
   * one of these.
   */
  readonly budget?: Budget.Options
}

/** Options of `$.sequence`. */
export interface SequenceOptions {
  /** The id of a sandbox around it, for all inside to work in that one; `false` works outside of all. Default: the innermost one. */
  readonly sandbox?: string | false
}

/** Options of `$.parallel`. */
export interface ParallelOptions extends SequenceOptions {
  /** Most attempts inside at once. `0`, the length of an empty list, is no limit. Default: no limit. */
  readonly maxConcurrency?: number
  /** `true` interrupts the other attempts inside when one fails, instead of letting them finish. Default: false. */
  readonly failFast?: boolean
  /** Most children; with more the plan is refused. `Infinity` for no limit. Default: 10,000. */
  readonly maxItems?: number
}

type LastValue<C extends ReadonlyArray<AnyNode>> = C extends readonly []
  ? undefined
  : C extends readonly [...ReadonlyArray<AnyNode>, infer Last]
    ? Value<Last>
    : Value<C[number]> | undefined

/** Children, followed by options. One type for both, so that the compiler reports a mistake in the options as one. */
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

/** Options of every wait. */
interface WaitOptions<Input, N extends Needs, Skip extends boolean> {
  /** Nodes whose values its functions receive, by name. They must come before it. */
  readonly needs?: N
  /** Skips it, with an absent output, if it returns true. */
  readonly skipIf?: (context: Condition<Input, N>) => Skip
  /** A title for people. */
  readonly label?: string
  /** JSON for tools. */
  readonly meta?: { readonly [key: string]: unknown }
}

/** The limit of a wait. A time returned by a function is stored when the wait begins. */
interface Limit<Input, N extends Needs, T extends string> {
  /** Longest time to wait. Default: no limit. */
  readonly timeout?: GivenBy<RetryPolicy.DurationLike, Input, N>
  /** Time to wait until, instead of `timeout`: a `Date` or epoch ms. A time in the past ends the wait at once. */
  readonly deadline?: GivenBy<Date | number, Input, N>
  /** Outcome when the time is over. An approval is denied by default; any other wait fails with `WaitTimedOut`. */
  readonly onTimeout?: T
}

/** The content of an approval, shown to people: JSON. */
interface Request {
  readonly title: string
  readonly summary?: string
  readonly details?: unknown
}

/** Options of an approval. */
export interface ApprovalOptions<
  Input,
  N extends Needs,
  Skip extends boolean,
  Deny extends "fail" | "continue" | "skip",
  Key extends string = string,
> extends WaitOptions<Input, N, Skip>,
    Limit<Input, N, "deny" | "approve" | "fail"> {
  /** The content to show, or a pure function that returns it. If it changes before the decision, a new request is made. */
  readonly request: Request | ((context: Condition<Input, N>) => Request)
  /** `select` asks for one of the `options`. Default: `select` with options, and `approve` otherwise. */
  readonly mode?: "approve" | "select"
  /** Options to select from: keys, or keys with a label and a summary; or a pure function that returns them. */
  readonly options?:
    | ReadonlyArray<Key | SelectOption<Key>>
    | ((context: Condition<Input, N>) => ReadonlyArray<Key | SelectOption<Key>>)
  /**
   * Reaction to a denial: fail the run with `ApprovalDenied`, continue with `approved: false`, or skip it with an absent
   * output. A run that failed this way fails again when it is resumed, until the node is retried. Default: `fail`.
   */
  readonly onDeny?: Deny
  /** Names of those who may decide; a decision `by` someone else fails with `NotAnApprover`. Default: anyone. */
  readonly approvers?: GivenBy<ReadonlyArray<string>, Input, N>
}

/** Options of the approval before a step. */
export interface GateOptions<Input, N extends Needs, Deny extends "fail" | "skip">
  extends Limit<Input, N, "deny" | "approve" | "fail"> {
  /** The content to show, or a pure function that returns it. Default: the step's label or id as its title. */
  readonly request?: ApprovalOptions<Input, N, false, "fail">["request"]
  /** Reaction to a denial: fail the run with `ApprovalDenied`, or skip the step. Default: `fail`. */
  readonly onDeny?: Deny
  /** Names of those who may decide. Default: anyone. */
  readonly approvers?: GivenBy<ReadonlyArray<string>, Input, N>
}

/**
 * Options of a cache. Its key holds the schema of the output, the versions, the agents with their instructions, settings and tools,
 * and what `key` returns.
 */
export interface CacheOptions<Key> {
  /** Returns what the output depends on. Default: the input and the needs; with an agent, the prompt as it is sent. */
  readonly key?: Key
  /** Longest age of an output. Default: unlimited. */
  readonly ttl?: RetryPolicy.DurationLike
  /**
   * Who shares outputs: the passes of one run (`"run"`), the runs of the workflow at this step (`"workflow"`), or all steps of the
   * store with this key (`"store"`). Default: `"workflow"`.
   */
  readonly scope?: Plan.CacheScope
  /** A text to change when the code of the step changes. */
  readonly version?: string
}

/** Facts by key; one that is `undefined` is left out. */
export interface FactValues {
  readonly [key: string]: unknown
}

/**
 * The memory of a step: facts that it adds to its prompt, and those that it stores with its output. `Given` are the parameters of
 * functions, and `After` those of functions of the output.
 */
export interface MemoryOptions<Given extends ReadonlyArray<unknown>, After extends ReadonlyArray<unknown>> {
  /** Where facts are: those of the workflow, of the run, or of any other name. Default: `"workflow"`. */
  readonly namespace?: Scope | ((...args: Given) => string)
  /** Adds facts to the end of the prompt: `true` the ten latest. Default: false. */
  readonly recall?: boolean | RecallOptions<Given>
  /**
   * Stores facts in the transaction that stores the output: `true` the output, under the id of the step; a function, what it returns
   * by key. Default: false.
   */
  readonly remember?: boolean | RememberOptions<Given, After> | ((...after: After) => FactValues | null | undefined)
}

type Scope = "workflow" | "run" | (string & Record<never, never>)

/** Selects the facts that a step recalls. */
export interface RecallOptions<Given extends ReadonlyArray<unknown>> {
  /** Default: the namespace of the memory. */
  readonly namespace?: Scope | ((...args: Given) => string)
  /** Default: all keys. */
  readonly keys?: ReadonlyArray<string> | ((...args: Given) => ReadonlyArray<string>)
  /** Words to search for; `true` those of the prompt. The most relevant facts come first. Default: the latest facts. */
  readonly query?: string | true | ((...args: Given) => string)
  /** Default: 10. */
  readonly limit?: number
}

/** What a scorer is given. */
export interface ScoreContext<Input, Output> {
  readonly input: Input
  readonly output: Output
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  /** Milliseconds of the attempt that gave the output; absent for an output of no attempt. */
  readonly latencyMs?: number | undefined
}

/** A score from 0 to 1, with a reason. */
export interface ScoreResult {
  readonly score: number
  readonly reason?: string
}

type ScoreFunction<Context> = (
  context: Context,
) => number | ScoreResult | PromiseLike<number | ScoreResult> | Effect.Effect<number | ScoreResult, unknown, never>

/** A scorer: a function, or what else there is to say of it. */
export type Scorer<Context> =
  | ScoreFunction<Context>
  | {
      /** A function, or an agent that judges the output by a score from 0 to 1 and a reason. */
      readonly score: ScoreFunction<Context> | AnyAgent
      /** The criterion for an agent, or a function that returns it. Default: the name of the scorer. */
      readonly instructions?: string | ((context: Context) => string)
      /** The share of outputs that are scored, from 0 to 1. It depends on run, node and iteration alone. Default: 1. */
      readonly sampling?: number
      /** Longest time of a score. Default: 5 minutes. */
      readonly timeout?: RetryPolicy.DurationLike
    }

/** Names the facts that a step remembers. */
export interface RememberOptions<Given extends ReadonlyArray<unknown>, After extends ReadonlyArray<unknown>> {
  /** Default: the namespace of the memory. */
  readonly namespace?: Scope | ((...args: Given) => string)
  /** Default: the id of the step. */
  readonly key?: string | ((...after: After) => string)
  /** Returns JSON, or `undefined` to remember nothing. Default: the output. */
  readonly value?: (...after: After) => unknown
  /** Returns several facts by key, instead of `key` and `value`. */
  readonly facts?: (...after: After) => FactValues | null | undefined
  /** Time after which the facts are forgotten. Default: never. */
  readonly ttl?: RetryPolicy.DurationLike
}

declare const Failing: unique symbol

/** A type whose steps declare the errors `E`. */
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

/** Options of a child run. */
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
   * The workflow, or a function that returns it, so that a workflow may start itself, or two each other. Its declaration then
   * needs an explicit type, such as `const Walk: Smithers.Workflow<In, Out> = …`.
   */
  readonly workflow: Startable<I, A, R, E> | (() => Startable<I, A, R, E>)
  /** The input of the child run, or a pure function that returns it; its schema must be synchronous. */
  readonly input: I | ((context: Condition<Input, N>) => I)
  /**
   * `false` detaches the child: the node ends with the id of the child run as soon as that exists. Otherwise the node waits for
   * the child's output, and cancels it when it is cancelled itself. Default: true.
   */
  readonly attach?: Attach
  /** The id of a sandbox around the node, for the child to work in that one; `false` works outside of all. Default: the innermost one. */
  readonly sandbox?: string | false
  /** Most runs above the child run; beyond it the node fails with `ChildRunsTooDeep`. `Infinity` for no limit. Default: 50. */
  readonly maxDepth?: number
  /** Reaction to a child that fails or is cancelled: fail the node, or leave its output absent. Default: `fail`. */
  readonly onFail?: T
}

/** Options of `$.saga`. */
export interface SagaOptions {
  /** Identifies the saga when its steps change. Default: derived from the id of its first node. */
  readonly id?: string
  /** Reaction once all is compensated: fail the run with the cause, or continue without the saga's value. Default: `fail`. */
  readonly onCompensated?: "fail" | "continue"
}

/** The context of the function of a `catch`. */
export type CatchContext<Input, E = unknown> = StepContext<Input> & { readonly error: Caught<E> }

/** Options of a human task. */
export interface HumanOptions<
  Input,
  S extends Codec.AnySchema,
  N extends Needs,
  Skip extends boolean,
  T extends "fail" | "continue",
> extends WaitOptions<Input, N, Skip>,
    Limit<Input, N, T> {
  /** The question, or a pure function that returns it. */
  readonly prompt: string | ((context: Condition<Input, N>) => string)
  /**
   * Schema of the answer; it must be synchronous. Its JSON Schema is stored with the question, so that any client can render a
   * form.
   */
  readonly output: S
}

/** Options of a wait for a signal. */
export interface SignalOptions<
  Input,
  S extends Codec.AnySchema,
  N extends Needs,
  Skip extends boolean,
  T extends "fail" | "continue",
> extends WaitOptions<Input, N, Skip>,
    Limit<Input, N, T> {
  /** Name of the signal. */
  readonly name: string
  /** Schema of the signal's payload; it must be synchronous. */
  readonly payload: S
  /** Takes only signals with the same correlation. A function must be pure. */
  readonly correlation?: string | ((context: Condition<Input, N>) => string | undefined)
  /**
   * `true` takes only signals sent after the wait began; earlier ones are kept for other waits. A restart or a pause does not
   * begin a new wait. Default: false.
   */
  readonly transient?: boolean
}

/** Options of a timer: a `duration`, or a time to fire at, `until`. */
export type TimerOptions<Input, N extends Needs, Skip extends boolean> = WaitOptions<Input, N, Skip> &
  (
    | {
        /** Counted from when the timer is reached. A restart does not change the deadline. */
        readonly duration: GivenBy<RetryPolicy.DurationLike, Input, N>
        readonly until?: undefined
      }
    | {
        readonly duration?: undefined
        /** A `Date`, epoch ms, or a function that returns one. A time in the past fires at once. */
        readonly until: Date | number | ((context: Condition<Input, N>) => Date | number)
      }
  )

/** Options of `$.continueAsNew`. */
export interface ContinueAsNewOptions<Input, Given, N extends Needs, Skip extends boolean> extends WaitOptions<Input, N, Skip> {
  /** The input of the run that this one goes on as, or a pure function that returns it; its schema must be synchronous. */
  readonly input: Given | ((context: Condition<Input, N>) => Given)
}

/** Options of every region. A `timeout` function is called with `Context`. */
interface Region<Context> {
  /** A title for people. */
  readonly label?: string
  /**
   * Longest time from its beginning, without pauses of the run; if it is a function, from when the needs of that exist. The value of a function is
   * stored when the time begins. Default: no limit.
   */
  readonly timeout?: RetryPolicy.DurationLike | ((context: Context) => RetryPolicy.DurationLike)
  /** Reaction to the timeout: fail with `ScopeTimedOut` once the region is left, or continue without its value. Default: `fail`. */
  readonly onTimeout?: "fail" | "continue"
}

/** The context of a live function: the values of its needs, as far as they exist. */
type Looking<Input, N extends Needs> = Pick<Condition<Input, N>, "input" | "runId" | "iteration"> & {
  readonly [K in keyof N]: Value<N[K]> | undefined
}

/**
 * Conditions to leave a `$.scope` on. They must be pure. They are called when it begins, and whenever one of their needs has a
 * new value.
 */
interface ScopeOptions<Input, N extends Needs> {
  /** Nodes that the conditions and `timeout` read, by name, including nodes in the body. Nothing waits for them. */
  readonly needs?: N
  /** Leaves the scope as completed, with the value that is there, when it returns true. Must be pure. */
  readonly completeWhen?: (context: Looking<Input, N>) => boolean
  /** Leaves the scope as cancelled, without a value, when it returns true. Must be pure. */
  readonly cancelWhen?: (context: Looking<Input, N>) => boolean
}

/** Options of `$.worktree`. */
export interface WorktreeOptions {
  /** The directory, from the root of the runtime. Default: `.smithers/worktrees/<run>/<id>`. */
  readonly path?: string
  /** The branch that is checked out there, made if it does not exist. Default: `smithers/<run>/<id>`. */
  readonly branch?: string
  /** The branch, tag or commit that a new branch begins at. Default: the commit that is checked out in the root of the runtime. */
  readonly base?: string
  /**
   * `remove` removes the directory once the region has ended, however it ends, if all files in it are committed; the branch stays. Otherwise it is
   * kept. Default: `keep`.
   */
  readonly onEnd?: "keep" | "remove"
}

/** Options of `$.sandbox`. */
export interface SandboxOptions {
  /** `local` copies the files of the root; `worktree` has them in a work tree of git; or a provider of your own. Default: `local`. */
  readonly provider?: ProviderName | SandboxProvider
  /** Hosts that commands inside reach. Default: none. */
  readonly allowNetwork?: ReadonlyArray<string>
  /** Files and directories to copy although git ignores them, from the root, such as `node_modules`. Default: none. */
  readonly include?: ReadonlyArray<string>
  /** Bounds of each command inside. Default: those of commands elsewhere. */
  readonly limits?: SandboxLimits
  /**
   * The review of the patch before it is applied. `approve` asks in the inbox; `auto` applies it; a function says `true` or `false`, or a Promise or an Effect of one.
   * Default: `approve`.
   */
  readonly review?: "approve" | "auto" | ((patch: Patch) => boolean | Promise<boolean> | Effect.Effect<boolean, unknown>)
  /** Names of those who may approve. Default: anyone. */
  readonly approvers?: ReadonlyArray<string>
  /** `false` holds only the steps that join it by `sandbox`; the others work as if it was not there. Default: true. */
  readonly default?: boolean
}

/** The time of `$.race`. */
interface RaceTime<Input, N extends Needs> extends Omit<Region<Condition<Input, N>>, "onTimeout"> {
  /** Nodes whose values `timeout` receives, by name. */
  readonly needs?: N
}

/** Options of `$.race`. */
interface RaceOptions extends Pick<Region<never>, "onTimeout"> {
  /** Identifies the race when its branches change. Default: derived from the id of its first node. */
  readonly id?: string
  /** Number of branches that win. If given, the value is a list. Default: 1. */
  readonly count?: number
  /** Treatment of the other branches: cancel them, or keep them running. Default: `cancel`. */
  readonly rest?: "cancel" | "keep"
  /**
   * Reaction to a failed branch. `fail` fails with it. `ignore` continues with the others, and fails with `RaceLost` once too
   * few are left. Default: `fail`.
   */
  readonly onFailure?: "fail" | "ignore"
}

/** The winner of a race, by the name of its branch. */
export type Won<Branches extends { readonly [name: string]: AnyNode }> = {
  readonly [K in keyof Branches & string]: { readonly winner: K; readonly value: Value<Branches[K]> }
}[keyof Branches & string]

/** The result of an item of a settled list. An `open` one is still at work, where `until` holds and `rest` is `keep`. */
export type SettledItem<A> =
  | { readonly key: string; readonly status: "finished"; readonly value: A }
  | { readonly key: string; readonly status: "failed"; readonly error: Caught }
  | { readonly key: string; readonly status: "cancelled" }
  | { readonly key: string; readonly status: "open" }

/** Options of `$.map`. */
interface MapOptions<Input, N extends Needs, Item, Body extends AnyNode, Settled extends boolean> {
  readonly id: string
  /**
   * Nodes whose values `items`, `until` and `timeout` receive, by name. The list begins once they exist, except those taken with
   * `$.maybe`.
   */
  readonly needs?: N
  /** Returns the items. Must be pure: it is called again when a need has a new value, and after a restart. */
  readonly items: (context: Condition<Input, N>) => ReadonlyArray<Item>
  /** Returns the key of an item: a unique text or number. Default: the item itself, if it is a text or number. */
  readonly key?: (item: Item, index: number) => string | number
  /** Makes the part of the plan for an item, whose nodes can take the item as a need. Called once, when the workflow is built. */
  readonly body: (item: Reference<Item>) => Body
  /** Most items; with more the list fails with `TooManyItems`. `Infinity` for no limit. Default: 10,000. */
  readonly maxItems?: number
  /** Most items in progress at once. With 1 they run one after another. `0` is no limit. Default: no limit. */
  readonly maxConcurrency?: number
  /** Ends the list when it returns true. Called when an item ends. Must be pure. */
  readonly until?: (
    context: Condition<Input, N> & {
      readonly done: number
      readonly failed: number
      readonly open: number
      readonly values: ReadonlyArray<Value<Body> | undefined>
    },
  ) => boolean
  /** Treatment of the remaining items: cancel them, or keep them running. Default: `cancel`. */
  readonly rest?: "cancel" | "keep"
  /** `true` continues with the other items when one fails, and reports the result of each. Default: false. */
  readonly settled?: Settled
  /** Keeps the list open until this node ends, since it may add items. */
  readonly more?: AnyNode
}

/** The handlers of a try: `catch`, `finally` or both. */
export type TryParts<Input, E, Caught, CaughtServices, CaughtWritten, CaughtErrors, Given, Holds, Last> =
  | {
      readonly catch: Node<Caught, CaughtServices, CaughtWritten, CaughtErrors> | ((context: CatchContext<Input, E>) => Given)
      /**
       * Selects the failures to catch; others propagate unchanged. Must be pure: it may be called again after a restart with
       * the same failure. If it throws, its own failure propagates, with the other as its cause. Default: all.
       */
      readonly when?: (error: Failure<E>) => Holds
      readonly finally?: Last
    }
  | { readonly catch?: undefined; readonly when?: undefined; readonly finally: NonNullable<Last> }

/** The name of a case: text, or the number it spells. */
type CaseName<Key> = Key extends `${infer N extends number}` ? Key | N : Key

type Absent<Skip extends boolean> = [Skip] extends [false] ? never : undefined

/**
 * Makes the nodes of a workflow whose decoded input is `Input`. `Given` is the input as callers give it, which only {@link continueAsNew}
 * takes: a function of a builder needs it for that alone.
 */
export interface Builder<out Input, in Given = never> {
  /** A unit of work with a typed output, done by code or by an agent. */
  readonly step: <
    const Id extends string,
    S extends Codec.AnySchema = Uninferred,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    // The default types the parameters and literals of `run`: a type parameter is its default until it is inferred.
    Code extends Run<Codec.Input<S>, RunContext<Input, N>> = Run<Codec.Input<S>, RunContext<Input, N>, never>,
    RetryServices = never,
    Skip extends boolean = false,
    Soft extends boolean = false,
    Undone = void,
    Denied extends "fail" | "skip" = "fail",
    Err extends DeclaredError.ErrorSchema = never,
  >(
    id: Id,
    options:
      | CodeStepOptions<Input, S, N, Code, RetryServices, Skip, Soft, Undone, Denied, Err>
      | AgentStepOptions<Input, S, N, RetryServices, Skip, Soft, Undone, Denied, Err>,
  ) => Step<
    Id,
    Codec.Output<S> | ([Skip | Soft] extends [false] ? never : undefined) | ([Denied] extends ["fail"] ? never : undefined),
    ServicesOf<ReturnType<Code>> | ServicesOf<Undone> | RetryServices | Codec.Services<S>,
    Codec.Output<S>,
    [Soft] extends [true] ? never : DeclaredError.ErrorOf<Err>
  >
  /** Waits for an approval, which may select an option, or a denial, for any length of time. */
  readonly approval: <
    const Id extends string,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    Skip extends boolean = false,
    Deny extends "fail" | "continue" | "skip" = "fail",
    const Key extends string = never,
  >(
    id: Id,
    options: ApprovalOptions<Input, N, Skip, Deny, Key>,
  ) => Step<Id, ([Key] extends [never] ? Decision : Selection<Key>) | Absent<Skip> | (Deny extends "skip" ? undefined : never)>
  /** Waits for the answer of a person. An invalid answer is rejected with its issues, and the question stays open. */
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
  /** Waits for a signal. Earlier signals are kept, in order; each is taken by one wait. */
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
  /**
   * Ends the run, which goes on as a new one of the same workflow with `input`, under an id and a history of its own. Everything in flight
   * is cancelled first; nothing after it runs. Not inside of scopes, races, lists, sagas and tries.
   */
  readonly continueAsNew: <
    const Id extends string,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    Skip extends boolean = false,
  >(
    id: Id,
    options: ContinueAsNewOptions<Input, Given, N, Skip>,
  ) => Step<Id, Absent<Skip>>
  /** Runs children one after another. Its value is the last child's. */
  readonly sequence: <const C extends ChildrenAnd<SequenceOptions>>(
    ...childrenAndOptions: C
  ) => Node<
    LastValue<ChildrenOf<C>>,
    Services<ChildrenOf<C>[number]>,
    WrittenBy<ChildrenOf<C>[number]>,
    Errors<ChildrenOf<C>[number]>
  >
  /** Runs children at the same time. Its value is the tuple of theirs. */
  readonly parallel: <const C extends ChildrenAnd<ParallelOptions>>(
    ...childrenAndOptions: C
  ) => Node<Values<ChildrenOf<C>>, Services<ChildrenOf<C>[number]>, WrittenBy<ChildrenOf<C>[number]>, Errors<ChildrenOf<C>[number]>>
  /**
   * Runs another workflow as a child run, with its own id and history. A crash does not start a second one. A failed child
   * fails the node, and continues where it failed when the parent is resumed.
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
   * Runs children one after another, and compensates them if a failure, a timeout or a cancellation leaves the saga. It calls
   * the `compensate` of each finished step inside, in reverse order of completion, one at a time. That includes steps in
   * parallel branches, loops and nested sagas. Compensations are durable, and retried like their steps. Its value is the last
   * child's.
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
   * Handles a permanent failure inside. When the attempts in flight inside have ended, `catch` runs with the error: a node, or
   * a function that becomes a step. With `when`, only selected failures are caught. `finally` runs in every case, even after a
   * cancellation. Failures in `catch` and `finally` propagate. Its value is that of `try`, or of `catch`.
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
      /** Identifies the try when its steps change. Default: derived from the id of its first node. */
      readonly id?: string
      readonly try: Try
    } & TryParts<Input, Errors<Try>, Caught, CaughtServices, CaughtWritten, CaughtErrors, Given, Holds, Last>,
  ) => Node<
    Value<Try> | Caught | Resolved<Given>,
    Services<Try> | CaughtServices | ServicesOf<Given> | Services<Last>,
    WrittenBy<Try> | CaughtWritten | WrittenBy<Last>,
    CaughtErrors | Errors<Last> | Passed<Errors<Try>, Caught, Given, Holds>
  >
  /** Runs one of two arms. Its value is that of the arm, `undefined` without one. */
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
   * Runs one of several arms: the case that `on` names, otherwise `otherwise`. Its value is that of the arm. Fails with
   * `UnknownCase` if no case matches and there is no `otherwise`.
   */
  readonly switch: <
    const Cases extends { readonly [name: string]: AnyNode },
    Otherwise extends AnyNode | undefined = undefined,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
  >(options: {
    readonly needs?: N
    /** Returns the name of a case. Must be pure: it is called again after a restart. */
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
   * Repeats `body` until `until` holds, which is checked before the first pass (with `output` undefined) and after each. Its
   * value is that of the last pass. Without a pass it has none, and a step that needs it fails with `MissingNeed`.
   */
  readonly loop: <
    Body extends AnyNode,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
  >(options: {
    readonly id: string
    readonly body: Body
    /** May include steps of the body: their values are those of the last pass. */
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
    /** Most passes; `Infinity` for no limit. */
    readonly maxIterations: number
    /**
     * Reaction to an exhausted loop. `return-last` continues with the last pass's value, and the run's result names the loop.
     * `fail` fails the run with `LoopLimitReached`. Default: `return-last`.
     */
    readonly onMaxReached?: "return-last" | "fail"
  }) => Node<Value<Body>, Services<Body>, WrittenBy<Body>, Errors<Body>>
  /**
   * A region that can be left early without a failure: as completed by `completeWhen`, as cancelled by `cancelWhen`, by a
   * timeout, or from outside (`Smithers.completeNode`, `cancelNode`). Leaving withdraws its waits, interrupts and awaits its
   * attempts, cancels child runs, compensates sagas and runs each `finally`; no `catch` sees it. Its value is that of the body
   * as far as it exists, or none if it is cancelled.
   */
  readonly scope: <
    Body extends AnyNode,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
  >(
    options: ScopeOptions<Input, N> & Region<Looking<Input, N>> & { readonly id: string; readonly body: Body },
  ) => Node<Value<Body> | undefined, Services<Body>, WrittenBy<Body>, Errors<Body>>
  /**
   * A region with a budget, on which all agents inside draw, in all passes of its loops, attempts and child runs. A crash or a resume
   * does not refill it. Its value is that of the body.
   */
  readonly budget: <Body extends AnyNode>(
    options: Budget.Options & { readonly id: string; readonly body: Body },
  ) => Node<Value<Body>, Services<Body>, WrittenBy<Body>, Errors<Body>>
  /**
   * A region whose steps work in a work tree of git of their own: `cwd` of a step, the files and commands of tools, and command-line agents. It is opened before each
   * attempt in it, and found again by runs that are resumed. Its value is that of the body. Steps of attached child runs work in it, too. A step in one that cannot be
   * opened fails with `WorktreeFailed`.
   */
  readonly worktree: <Body extends AnyNode>(
    options: WorktreeOptions & { readonly id: string; readonly body: Body },
  ) => Node<Value<Body>, Services<Body>, WrittenBy<Body>, Errors<Body>>
  /**
   * A region whose steps work in a sandbox: a copy of the root, in which commands run isolated. Behind it, its patch is reviewed and applied to the root. Its value says what
   * was changed. Steps of attached child runs work in it, too. In a worktree or another sandbox, the root is that place. Fails with `SandboxFailed` if it cannot be opened, and with `PatchConflict`, which keeps the patch, if the
   * root has changed meanwhile.
   */
  readonly sandbox: <Body extends AnyNode>(
    options: SandboxOptions & { readonly id: string; readonly body: Body },
  ) => Node<SandboxResult, Services<Body>, WrittenBy<Body>, Errors<Body> | PatchConflict>
  /**
   * Runs branches at the same time; the first one to finish wins. The time of a signal, a decision or a deadline counts, not
   * the time at which the run applies it. At equal times the order of branches decides. The others are left like scopes, or
   * continue (`rest: "keep"`) until the region around the race ends. Its value names the winner; with `count` it is a list, in
   * order of winning.
   */
  readonly race: <
    const Branches extends { readonly [name: string]: AnyNode },
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    // biome-ignore lint/complexity/noBannedTypes: no options
    const Options extends RaceOptions = {},
  >(
    branches: { readonly [Name in keyof Branches]: Branches[Name] },
    options?: Options & RaceTime<Input, N>,
  ) => Node<
    | (Options extends { readonly count: number } ? ReadonlyArray<Won<Branches>> : Won<Branches>)
    | (Options extends { readonly onTimeout: "continue" } ? undefined : never),
    Services<Branches[keyof Branches]>,
    WrittenBy<Branches[keyof Branches]>,
    Errors<Branches[keyof Branches]>
  >
  /**
   * Runs a part of the plan for each item. `items` is called again when its needs change, so there may be more items over time;
   * an item keeps its progress by its key. `maxConcurrency` counts items from begin to end, including their waits. `until` ends
   * the list early. Its value is the list of theirs in the order of the items; if `settled`, the result of each. Ids in `body`
   * are prefixed with `<id>[<key>].`.
   */
  readonly map: <
    Item,
    Body extends AnyNode,
    // biome-ignore lint/complexity/noBannedTypes: no needs
    N extends Needs = {},
    Settled extends boolean = false,
  >(
    options: MapOptions<Input, N, Item, Body, Settled> & Region<Condition<Input, N>>,
  ) => Node<
    [Settled] extends [true] ? ReadonlyArray<SettledItem<Value<Body>>> : ReadonlyArray<Value<Body> | undefined>,
    Services<Body>,
    WrittenBy<Body>,
    Errors<Body>
  >
  /** As a need: the output of the step of this id in the previous pass of its loop, `undefined` in the first. */
  readonly previous: <S extends Codec.AnySchema>(id: string, output: S) => Reference<Codec.Output<S> | undefined>
  /**
   * As a need: the output of a node if it has one; waits until that is known. Required to take an output of a `try` in its `catch`
   * or `finally`, and one of a try or an arm of a branch outside it.
   */
  readonly maybe: <A>(node: Node<A, unknown, unknown, unknown>) => Reference<A | undefined>
  /** As a need in the `catch` of the `tryCatch` of this id: the failure it caught. */
  readonly caught: (id: string) => Reference<Caught>
  /** A reusable part: a function of `$` and its own parameters. All its ids are prefixed with `<prefix>.`. */
  readonly fragment: <N extends AnyNode, P extends ReadonlyArray<unknown>>(
    prefix: string,
    part: ($: Builder<Input, Given>, ...parameters: P) => N,
    ...parameters: P
  ) => N
}

/** The errors of a `try` that propagate: all without a `catch`, and those that `when` may not hold for. */
type Passed<E, Caught, Given, Holds> = [Caught, Given] extends [never, never] ? E : [Holds] extends [never] ? never : E

/** The value of the result of a step's code. */
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

/** Tells whether a value is a node made by `$`. */
export const isNode = (value: unknown): value is AnyNode => Parser.isNode(value)

/** Makes the builder of a workflow. Mistakes that types cannot rule out fail with {@link InvalidWorkflow}. */
export const make = <Input, Given>(workflow: string): Builder<Input, Given> =>
  // Options are untyped in the parser on purpose; this is where they get their types.
  Parser.make(workflow) as unknown as Builder<Input, Given>
