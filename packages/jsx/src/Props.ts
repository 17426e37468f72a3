/**
 * Props of the components, typed by the schemas and the input of a workflow. A slip is one error at its place, whose first line
 * names it. For that, each component has one signature, and functions are separated from values before either is checked.
 */

import type { AnyAgent } from "@smithers/core/Agent"
import type * as Budget from "@smithers/core/Budget"
import type {
  CacheOptions,
  Caught,
  Failure,
  MemoryOptions,
  SandboxOptions,
  ScoreContext,
  Scorer,
  Startable,
  Uninferred,
  WorktreeOptions,
} from "@smithers/core/Builder"
import type * as Codec from "@smithers/core/Codec"
import type { SelectOption } from "@smithers/core/Decision"
import type { ErrorInfo } from "@smithers/core/ErrorInfo"
import type { LimitName } from "@smithers/core/Limits"
import type { Progress } from "@smithers/core/Plan"
import type { DurationLike, RetryOptions } from "@smithers/core/RetryPolicy"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as React from "react"
import type { ScorerBinding } from "./CompatibleScorers.ts"
import type { Ctx, Read, Schemas, TaskCtx, Undeclared } from "./Ctx.ts"
import type { FunctionGiving, GivenAs, Infer, InsteadOf, Only } from "./internal/slips.ts"

/** Outputs that a task depends on, by the name under which it receives them: schemas, or their keys. */
export interface Deps<Key extends string = string> {
  readonly [name: string]: Codec.AnySchema | Key
}

/** Values received for `deps`. */
export type DepValues<D extends Deps, S extends Schemas = Schemas> = {
  readonly [K in keyof D]: Read<S, D[K]>
}

/**
 * Parameters of a function child: the deps, if any, and the ctx of the attempt. Nothing is inferred from these: otherwise the
 * compiler would compare all schemas with themselves, which takes a tenth of a second per edit for Zod's arrays alone.
 */
export type TaskParameters<S extends Schemas, D extends Deps, Input> = [keyof D] extends [never]
  ? [ctx: NoInfer<TaskCtx<S, Input>>]
  : [deps: NoInfer<DepValues<D, S>>, ctx: NoInfer<TaskCtx<S, Input>>]

/** Return type of a function for an `A`. */
export type Eventually<A> = A | PromiseLike<A> | Effect.Effect<A, unknown, unknown>

/** Content of a prompt: text, elements, and values, which are printed as JSON. */
export type Prompt = string | number | bigint | boolean | null | undefined | object

/**
 * Retry options of `retries`: times in milliseconds or as durations, or an Effect Schedule, whose input is the stored error of each
 * attempt.
 */
export type TaskRetryPolicy =
  | (Omit<RetryOptions, "maxAttempts"> & {
      readonly maxAttempts?: number
      /** Milliseconds. Alternative to `initialDelay`. */
      readonly initialDelayMs?: number
      /** Milliseconds. Alternative to `maxDelay`. */
      readonly maxDelayMs?: number
    })
  | Schedule.Schedule<unknown, ErrorInfo>

/**
 * Type of a condition: any value that JavaScript coerces to a boolean, except for those that are always true: promises, Effects,
 * functions.
 */
export type Truth =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | (object & { readonly then?: undefined; readonly call?: undefined; readonly [Effect.EffectTypeId]?: undefined })

declare const Untyped: unique symbol

/** Stands for the schema of a task without one, and for one that is not yet inferred: see {@link Uninferred}. */
interface NoOutput extends Uninferred {
  readonly [Untyped]: true
}

/** Any value. Includes literals, so that a literal stays one until the schema is known. */
// biome-ignore lint/complexity/noBannedTypes: anything but null and undefined
// biome-ignore lint/suspicious/noConfusingVoidType: the result of a function without one
type Anything = "" | 0 | 0n | boolean | null | undefined | void | { readonly [key: string]: Anything } | [] | Array<Anything> | {}

/** Type of a task's function or value. An unknown key yields a single error. */
type Taken<S extends Schemas, O> = O extends keyof S
  ? Codec.Input<S[O]>
  : O extends NoOutput
    ? Anything
    : O extends Codec.AnySchema
      ? Codec.Input<O>
      : Anything

/** Type of a task's output. */
type StoredOutput<S extends Schemas, O> = O extends NoOutput ? unknown : Read<S, O>

/** Agents, tried in order. The absent field tells them from one agent, so that the methods of an inline agent are typed. */
interface Agents extends ReadonlyArray<AnyAgent> {
  readonly version?: undefined
}

/** Children of a task: its function or its value, or with an agent its prompt or a function that returns it. */
type Content<S extends Schemas, Input, O, D extends Deps, Given, All> = GivenAs<
  Given,
  Eventually<"agent" extends keyof All ? Exclude<Prompt, undefined> : Taken<S, O>>,
  TaskParameters<S, D, Input>,
  "agent" extends keyof All ? Prompt : Static<Taken<S, O>>
>

/** A value as a child. Text may consist of several pieces. */
type Static<A> = A | (string extends A ? Prompt : never)

/** Props of a `Task`, with the schemas and input of a workflow. Further parameters are inferred. */
export interface TaskProps<
  S extends Schemas = Schemas,
  Input = Undeclared,
  O = (keyof S & string) | Codec.AnySchema,
  D extends Deps = Deps,
  Given = unknown,
  All = unknown,
> {
  /** Unique in the workflow and equal in every render: it is the key of the stored state. */
  readonly id: string
  /** Output: a schema of the workflow, or its key. Without one, the output is stored as unchecked JSON. */
  readonly output?: O
  /** Agent of the task, or several agents that are tried in order. */
  readonly agent?: AnyAgent | Agents
  /** Outputs to wait for and receive. */
  readonly deps?: D
  /** Source task of a dep. Needed if the name of the dep is not a task's id and several tasks have its schema. */
  readonly needs?: NoInfer<
    [keyof D] extends [never]
      ? { readonly [name: string]: "a Task without deps has no needs" }
      : { readonly [K in keyof D]?: string }
  >
  /** Tasks to wait for, without receiving their outputs. */
  readonly dependsOn?: ReadonlyArray<string>
  /** Skips the task, which then has no output. Evaluated when the task would start. */
  readonly skipIf?: boolean | null | undefined | FunctionGiving<Truth, InsteadOf<unknown>, [ctx: NoInfer<Ctx<S, Input>>]>
  /**
   * Retries after the first attempt; `Infinity` for no limit. An attempt of an agent may make several calls: see `corrections`.
   * Default: 3.
   */
  readonly retries?: number
  readonly retryPolicy?: TaskRetryPolicy
  /** Disables retries. */
  readonly noRetry?: boolean
  /**
   * Maximum number of times per attempt that an agent is asked to correct a reply which the output's schema rejects. An attempt
   * makes up to `1 + corrections` calls per agent, and a task up to `(1 + retries)` times as many. `0` disables corrections.
   * Default: 2.
   */
  readonly corrections?: "agent" extends keyof All ? number : "a Task without an agent has no corrections"
  /** Tools that the agent is offered, by their names. A call of any other is refused. Default: all tools of the agent. */
  readonly allowTools?: "agent" extends keyof All ? ReadonlyArray<string> : "a Task without an agent has no tools"
  /**
   * Hosts that commands of the agent's tools reach, such as `"api.github.com"`, `"*.npmjs.org"` or `"localhost:8080"`. Default: the network of the runtime,
   * which is none.
   */
  readonly allowNetwork?: "agent" extends keyof All ? ReadonlyArray<string> : "a Task without an agent has no tools"
  /** Directory that the agent's tools stay below, from the root of the runtime. Default: the root of the runtime. */
  readonly root?: "agent" extends keyof All ? string : "a Task without an agent has no tools"
  /** `true` offers the agent only tools that change nothing, and lets its commands read only. Default: false. */
  readonly readOnly?: "agent" extends keyof All ? boolean : "a Task without an agent has no tools"
  /**
   * Budget of the task in each iteration, over all attempts. Default: 200 calls of models and 1,000 calls of tools; `Infinity` lifts
   * one of these.
   */
  readonly budget?: "agent" extends keyof All ? Budget.Options : "a Task without an agent has no budget"
  /** Timeout of an attempt: `"2m"`, or milliseconds. */
  readonly timeout?: DurationLike
  /** Milliseconds. Alternative to `timeout`. */
  readonly timeoutMs?: number
  /** Maximum time between two heartbeats, or turns of an agent. */
  readonly heartbeatTimeout?: DurationLike
  /** Milliseconds. Alternative to `heartbeatTimeout`. */
  readonly heartbeatTimeoutMs?: number
  /** Lets the run continue without an output if the task fails for good. */
  readonly continueOnFail?: boolean
  /**
   * `true` takes a snapshot of the workspace before and after each attempt, `false` takes none. Default: as the workflow says; by itself
   * it takes them around attempts of agents that can write, in a git work tree.
   */
  readonly snapshots?: boolean
  /** The id of a sandbox around the task, to work in that one; `false` works outside of all. Default: the innermost one. */
  readonly sandbox?: string | false
  /** Takes over the output of an earlier run with the same key. `true` is `{}`. */
  readonly cache?: boolean | CacheOptions<(ctx: NoInfer<Ctx<S, Input>>) => unknown>
  /**
   * A limit of the runtime, by its name or as `{ name, key }`, or a function of ctx that returns it. An attempt begins once it holds
   * a slot of it. The wait is no part of its `timeout`.
   */
  readonly limit?: LimitName | ((ctx: NoInfer<Ctx<S, Input>>) => LimitName)
  /**
   * Scores of the output, by name. They are made after it is stored, and neither hold up nor fail the run. A `ScorerBinding` has one of
   * `smithers-orchestrator/scorers`.
   */
  readonly scorers?: { readonly [name: string]: Scorer<ScoreContext<NoInfer<Input>, StoredOutput<S, NoInfer<O>>>> | ScorerBinding }
  /** Facts that outlive the run: which of them the prompt gets, and which the task stores with its output. */
  readonly memory?: MemoryOptions<[ctx: NoInfer<Ctx<S, Input>>], [output: StoredOutput<S, NoInfer<O>>, ctx: NoInfer<Ctx<S, Input>>]>
  /** Title for people. */
  readonly label?: string
  /** JSON for tools. */
  readonly meta?: { readonly [key: string]: unknown }
  /** Requires an approval before the task starts. `true` uses its label or id as the title. */
  readonly needsApproval?: boolean | null | undefined | GateProps<S, Input>
  /** Compensates the task when the saga around it fails. */
  readonly compensate?: (output: StoredOutput<S, NoInfer<O>>, ctx: NoInfer<TaskCtx<S, Input>>) => unknown
  /** The output, or a function that returns it; with an agent, the prompt or a function that returns it. */
  readonly children: Content<S, Input, NoInfer<O>, NoInfer<D>, NoInfer<Given>, NoInfer<All>>
  readonly key?: React.Key | null
}

/** Types inferred from the props of a task, even if some are missing or unknown. */
interface TaskInference<O, D, Given> {
  readonly output?: Infer<O>
  readonly deps?: Infer<D>
  readonly children?: Infer<Given>
}

/** A unit of work. */
export type TaskComponent<S extends Schemas = Schemas, Input = Undeclared> = <
  // Defaults give types to the parameters and literals of a function, since a type parameter is its default until inferred.
  O extends (keyof S & string) | Codec.AnySchema = NoOutput,
  // biome-ignore lint/complexity/noBannedTypes: no deps
  const D extends Deps<keyof S & string> = {},
  Given = unknown,
  All = unknown,
>(
  props: TaskProps<S, Input, O, D, Given, All> & Only<All, keyof TaskProps, "Task"> & TaskInference<O, D, Given>,
) => React.ReactElement | null

/** Approval of a task before it starts. */
export interface GateProps<S extends Schemas = Schemas, Input = Undeclared> {
  /**
   * Shown to the approver. If it changes before the decision, the approval is requested again and earlier decisions are dropped.
   */
  readonly request?: ApprovalRequest | FunctionGiving<ApprovalRequest, InsteadOf<unknown>, [ctx: NoInfer<Ctx<S, Input>>]>
  /** `fail` fails the run on a denial; `skip` skips the task, which then has no output. Default: `fail`. */
  readonly onDeny?: "fail" | "skip"
  /** Names of the people who may decide. Decisions of others fail with `NotAnApprover`. Default: anyone. */
  readonly approvers?: ReadonlyArray<string>
  /** Timeout, counted from the request: `"2d"`, or milliseconds. Default: none. */
  readonly timeout?: DurationLike
  /** Milliseconds. Alternative to `timeout`. */
  readonly timeoutMs?: number
  /** Deadline as a date or epoch milliseconds. Alternative to `timeout`. A deadline in the past expires at once. */
  readonly deadline?: Date | number
  /** Outcome when the time expires: denied, approved, or failed with `WaitTimedOut`. Default: `deny`. */
  readonly onTimeout?: "deny" | "approve" | "fail"
}

/** Props of a component that has only children. */
export interface ChildrenProps {
  readonly children?: React.ReactNode
  readonly key?: React.Key | null
}

/** Props of a component that groups others. */
export interface GroupProps extends ChildrenProps {
  /**
   * Leaves the component out of the plan while it holds, as `{!condition && …}` does: a value that is read while rendering. Its
   * children are not rendered then, and a task among them that has begun is unmounted.
   */
  readonly skipIf?: boolean | null | undefined
}

/** Props of children that run one after another. */
export interface SequenceProps extends GroupProps {
  /** The id of a sandbox around it, for all inside to work in that one; `false` works outside of all. Default: the innermost one. */
  readonly sandbox?: string | false
}

/** Props of the root. */
export interface WorkflowProps extends ChildrenProps {
  /** Name of the workflow. Equal in every render and for every input. */
  readonly name: string
  /** Budget of the agents of each run, with its child runs. A crash or a resume does not refill it. Default: none. */
  readonly budget?: Budget.Options
  /** Time in which a run must finish, with its child runs; otherwise it ends as failed with `RunTimedOut`. Default: none. */
  readonly deadline?: DurationLike
  /**
   * `true` takes a snapshot of the workspace before and after each attempt, `false` takes none. Default: as the runtime says; by itself
   * that takes them around attempts of agents that can write, in a git work tree.
   */
  readonly snapshots?: boolean
}

/**
 * Props of a region with a budget, on which all agents inside draw, in all passes of its loops, attempts and child runs. A crash or a
 * resume does not refill it.
 */
export interface BudgetProps extends GroupProps, Budget.Options {
  readonly id: string
}

/**
 * Props of a region whose steps work in a work tree of git of their own: `cwd` of a task, the files and commands of tools, and command-line agents. It is opened
 * before each attempt in it, and found again by runs that are resumed. Attached child runs work in it, too.
 */
export interface WorktreeProps extends GroupProps, WorktreeOptions {
  /** Default: `branch` or, without one, `path`. */
  readonly id?: string
}

/**
 * Props of a region whose steps work in a sandbox: a copy of the root, in which commands run isolated. Behind it, its patch is reviewed and applied to the root. Attached
 * child runs work in it, too. In a worktree or another sandbox, the root is that place.
 */
export interface SandboxProps extends GroupProps, SandboxOptions {
  readonly id: string
  /**
   * Schema of its outcome, a `SandboxResult`: `status`, `files`, `diff`, `left`, `log` and `usage`. It is the output of the task `<id>~apply`. Default: the outcome is
   * stored, and no task reads it.
   */
  readonly output?: Codec.AnySchema
}

/** Props of children that run concurrently. A failure inside fails the run once the running siblings have ended. */
export interface ParallelProps extends SequenceProps {
  /** Maximum number of running attempts inside. `0`, the length of an empty list, means no limit. Default: no limit. */
  readonly maxConcurrency?: number
  /** Interrupts running siblings on a failure, instead of letting them finish. */
  readonly failFast?: boolean
  /** Most children; with more the plan is refused. `Infinity` for no limit. Default: 10,000. */
  readonly maxItems?: number
}

/** Props of a condition. It is evaluated in each render, so the other branch may be taken later. */
export interface BranchProps {
  /** Condition, coerced to a boolean. */
  readonly if: Truth
  readonly then: React.ReactNode
  /** Default: nothing. */
  readonly else?: React.ReactNode
  readonly skipIf?: GroupProps["skipIf"]
  readonly key?: React.Key | null
}

/** Props of a loop. Outputs are stored by iteration, from 0. A resumed run continues in its iteration. */
export interface LoopProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends GroupProps {
  /**
   * Stop condition, evaluated before the first iteration and after each: a value read while rendering, or a function of the ctx.
   */
  readonly until: GivenAs<NoInfer<Given>, Truth, [ctx: NoInfer<Ctx<S, Input>>]>
  /** Identity of the loop in the run. Default: its place in the tree, by key or position, as for React elements. */
  readonly id?: string
  /** Maximum number of iterations; `Infinity` for no limit. Without it, the run fails after 5 iterations. */
  readonly maxIterations?: number | undefined
  /**
   * Outcome when the limit is reached. `return-last` continues with the last iteration, and the result of the run names the loop.
   * `fail` fails the run with `LoopLimitReached`. Default: `return-last`, or `fail` without `maxIterations`.
   */
  readonly onMaxReached?: "return-last" | "fail"
}

/** Repeats its children until `until` holds. */
export type LoopComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: LoopProps<S, Input, Given> & Only<All, keyof LoopProps, "Loop"> & { readonly until?: Infer<Given> },
) => React.ReactElement | null

/**
 * Props of a saga. When a failure or a cancellation leaves it, its finished tasks are compensated in reverse order of completion.
 * Compensation continues after a crash, and never undoes a task twice. A failed run that is resumed starts the saga again.
 */
export interface SagaProps extends GroupProps {
  /** Identity of the saga in the run. Default: its place in the tree, as for a loop. */
  readonly id?: string
  /** `fail` fails the run with the cause after compensation; `continue` continues the run. Default: `fail`. */
  readonly onCompensated?: "fail" | "continue"
}

/** Elements that a prop may hold. */
export type Elements = React.ReactElement | ReadonlyArray<Elements> | boolean | null | undefined

/**
 * Props of error handling. `finally` also runs without a failure, and its own failure propagates. After a crash, it continues where
 * it was.
 */
export interface TryCatchFinallyProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends GroupProps {
  /** Identity in the run. Default: its place in the tree, as for a loop. */
  readonly id?: string
  /** Elements to run. Alternative to children. */
  readonly try?: Elements
  /** Elements to run after a failure, or a function of the error that returns them, called while rendering. */
  readonly catch?: GivenAs<NoInfer<Given>, Elements, [error: Caught, ctx: NoInfer<Ctx<S, Input>>]>
  /**
   * Selects the failures to catch; others propagate unchanged. Must be pure: it may be called again after a restart. Default:
   * catches all.
   */
  readonly catchWhen?: (error: Failure) => boolean
  /** Elements to run in any case, also after a cancellation. */
  readonly finally?: Elements
}

/** Runs elements with handlers for failure and completion. */
export type TryCatchFinallyComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: TryCatchFinallyProps<S, Input, Given> &
    Only<All, keyof TryCatchFinallyProps, "TryCatchFinally"> & { readonly catch?: Infer<Given> },
) => React.ReactElement | null

/** Props of components that can be left early. */
interface LeavableProps extends GroupProps {
  /** Unique in the workflow and equal in every render: commands from outside use it to leave the component. */
  readonly id: string
  /**
   * Timeout, counted from the start: `"2d"`, or milliseconds. It survives crashes, and stops while the run is paused. Default:
   * none.
   */
  readonly timeout?: DurationLike
  /** Milliseconds. Alternative to `timeout`. */
  readonly timeoutMs?: number
  /** Outcome of the timeout: `fail` fails with `ScopeTimedOut`, `continue` continues the run. Default: `fail`. */
  readonly onTimeout?: "fail" | "continue"
  /** Display name in views of the plan. */
  readonly label?: string
}

/** A condition: a value read while rendering, or a function of ctx, evaluated again when a value it has read changes. */
type Condition<S extends Schemas, Input> =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | FunctionGiving<Truth, InsteadOf<unknown>, [ctx: NoInfer<Ctx<S, Input>>]>

/**
 * Props of a region, whose children run in sequence. When it is left, its waits are closed, its attempts interrupted and its child
 * runs cancelled.
 */
export interface ScopeProps<S extends Schemas = Schemas, Input = Undeclared> extends LeavableProps {
  /** Leaves the scope as completed when it holds; finished tasks keep their outputs. Must be pure. */
  readonly until?: Condition<S, Input>
  /** Leaves the scope as cancelled when it holds. Must be pure. */
  readonly cancelWhen?: Condition<S, Input>
}

/** Runs its children in sequence, until a condition holds. */
export type ScopeComponent<S extends Schemas = Schemas, Input = Undeclared> = <All = unknown>(
  props: ScopeProps<S, Input> & Only<All, keyof ScopeProps, "Scope">,
) => React.ReactElement | null

/**
 * Props of a race. Each child element is a branch, named by its key or else by the first id in it. A fragment is a branch of
 * several elements.
 */
export interface RaceProps extends LeavableProps {
  /** Number of winners. Default: 1. */
  readonly count?: number
  /** Losers are cancelled, or kept running beside what follows. Default: `cancel`. */
  readonly rest?: "cancel" | "keep"
  /**
   * `fail` fails the race if a branch fails. `ignore` drops the branch; the race fails with `RaceLost` once too few are left.
   * Default: `fail`.
   */
  readonly onFailure?: "fail" | "ignore"
}

/** Props of a list: items by key, each with the elements that the function renders. Ids inside of an item must contain its key. */
export interface ForEachProps<S extends Schemas = Schemas, Input = Undeclared, Item = unknown>
  extends Omit<LeavableProps, "children"> {
  /** Items, evaluated in every render: they may be added and removed while the list runs. */
  readonly items: ReadonlyArray<Item>
  /** Key of an item: stable across renders, and unique. Default: the item itself, if it is text or a number. */
  readonly by?: (item: NoInfer<Item>, index: number) => string | number
  /** Maximum number of items; with more the list fails with `TooManyItems`. `Infinity` for no limit. Default: 10,000. */
  readonly maxItems?: number
  /** Maximum number of items in progress. `0`, the length of an empty list, means no limit. Default: no limit. */
  readonly maxConcurrency?: number
  /**
   * Stop condition, evaluated after each item. The remaining items are cancelled, or with `rest="keep"` continue beside what
   * follows. Must be pure.
   */
  readonly until?: (progress: Progress, ctx: NoInfer<Ctx<S, Input>>) => Truth
  /** Outcome of the remaining items. Default: `cancel`. */
  readonly rest?: "cancel" | "keep"
  /** Failed items do not fail the run; `ctx.failures` lists them. Default: false. */
  readonly settled?: boolean
  /** More items may follow in later renders, so the list does not end before a render with `false`. Default: false. */
  readonly more?: boolean
  /** Renders an item. Called while rendering, as a component of its own. */
  readonly children: (item: NoInfer<Item>, index: number) => Elements
}

export type ForEachComponent<S extends Schemas = Schemas, Input = Undeclared> = <Item, All = unknown>(
  props: ForEachProps<S, Input, Item> & Only<All, keyof ForEachProps, "ForEach">,
) => React.ReactElement | null

/** Props of a queue: those of a list, without a limit of items at work. */
export type MergeQueueProps<S extends Schemas = Schemas, Input = Undeclared, Item = unknown> = Omit<
  ForEachProps<S, Input, Item>,
  "maxConcurrency"
>

/** Runs a part of the plan for each item of a list, one item at a time. */
export type MergeQueueComponent<S extends Schemas = Schemas, Input = Undeclared> = <Item, All = unknown>(
  props: MergeQueueProps<S, Input, Item> & Only<All, keyof MergeQueueProps, "MergeQueue">,
) => React.ReactElement | null

/** Props of all waits. */
interface WaitProps<S extends Schemas, Input> {
  /** Unique in the workflow and equal in every render. */
  readonly id: string
  /** Skips the wait, which then has no output. */
  readonly skipIf?: boolean | null | undefined | FunctionGiving<Truth, InsteadOf<unknown>, [ctx: NoInfer<Ctx<S, Input>>]>
  /** Tasks to wait for first. */
  readonly dependsOn?: ReadonlyArray<string>
  /** Display name in views of the plan. */
  readonly label?: string
  /** JSON for tools, stored with the plan. */
  readonly meta?: { readonly [key: string]: unknown }
  readonly key?: React.Key | null
}

/** Props of waits with an output. */
interface GivingProps<S extends Schemas, Input> extends WaitProps<S, Input> {
  /** Output: a synchronous schema of the workflow, or its key. */
  readonly output?: (keyof S & string) | Codec.AnySchema
  /** Timeout, counted from the start of the wait: `"2d"`, or milliseconds. Default: none. */
  readonly timeout?: DurationLike
  /** Milliseconds. Alternative to `timeout`. */
  readonly timeoutMs?: number
  /** Deadline as a date or epoch milliseconds. Alternative to `timeout`. A deadline in the past expires at once. */
  readonly deadline?: Date | number
}

/** Content of an approval request. */
export interface ApprovalRequest {
  readonly title: string
  readonly summary?: string
  readonly details?: unknown
}

/** Props of an approval. The decision is stored. The deadline survives crashes, and stops while the run is paused. */
export interface ApprovalProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends GivingProps<S, Input> {
  /**
   * Shown to the approver. If it changes before the decision, the approval is requested again and earlier decisions are dropped.
   */
  readonly request: GivenAs<NoInfer<Given>, ApprovalRequest, [ctx: NoInfer<Ctx<S, Input>>]>
  /** `select` asks for one of the `options`. Default: `select` with options, and `approve` otherwise. */
  readonly mode?: "approve" | "select"
  /** Options to select from: keys, or keys with a label and a summary. The output has the selected key as `selected`. */
  readonly options?: ReadonlyArray<string | SelectOption>
  /**
   * Outcome of a denial: `fail` fails the run, `continue` continues with `approved: false`, `skip` continues without an output.
   * Default: `fail`.
   */
  readonly onDeny?: "fail" | "continue" | "skip"
  /** Names of the people who may decide. Decisions of others fail with `NotAnApprover`. Default: anyone. */
  readonly approvers?: ReadonlyArray<string>
  readonly onTimeout?: "deny" | "approve" | "fail"
}

/** Waits for an approval or a denial. */
export type ApprovalComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: ApprovalProps<S, Input, Given> & Only<All, keyof ApprovalProps, "Approval"> & { readonly request?: Infer<Given> },
) => React.ReactElement | null

/** Props of an approval that only some runs need. */
export interface ApprovalGateProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown>
  extends ApprovalProps<S, Input, Given> {
  /**
   * Condition under which a person is asked: a value read while rendering, or a function of the ctx, called while rendering. Where
   * it does not hold, the output is `approved: true` at once, with the note "no approval was needed".
   */
  readonly when: boolean | null | undefined | FunctionGiving<Truth, InsteadOf<unknown>, [ctx: NoInfer<Ctx<S, Input>>]>
}

/** Waits for an approval where a condition holds. */
export type ApprovalGateComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: ApprovalGateProps<S, Input, Given> &
    Only<All, keyof ApprovalGateProps, "ApprovalGate"> & { readonly request?: Infer<Given> },
) => React.ReactElement | null

/** Props of a human task. An answer that does not match `output` is refused (`InvalidAnswer`), and the task stays open. */
export interface HumanTaskProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends GivingProps<S, Input> {
  /** Schema of the answer: a synchronous one of the workflow, or its key. */
  readonly output: (keyof S & string) | Codec.AnySchema
  /** Question for the person. Alternative to children, which may be text or elements. */
  readonly prompt?: GivenAs<NoInfer<Given>, string, [ctx: NoInfer<Ctx<S, Input>>]>
  /** `fail` fails the run with `WaitTimedOut`; `continue` continues without an output. Default: `fail`. */
  readonly onTimeout?: "fail" | "continue"
  readonly children?: React.ReactNode
}

/** Waits for a person's answer that matches `output`. */
export type HumanTaskComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: HumanTaskProps<S, Input, Given> & Only<All, keyof HumanTaskProps, "HumanTask"> & { readonly prompt?: Infer<Given> },
) => React.ReactElement | null

/** Props of a signal. A signal sent before the wait opens is stored. Each signal is consumed by one wait, once. */
export interface SignalProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends GivingProps<S, Input> {
  readonly name: string
  /** Correlation key: only signals sent with the same key match. */
  readonly correlation?: GivenAs<NoInfer<Given>, string | undefined, [ctx: NoInfer<Ctx<S, Input>>]>
  /** Matches only signals sent after the wait has opened. Earlier ones stay stored for other waits. */
  readonly transient?: boolean
  /** `fail` fails the run with `WaitTimedOut`; `continue` continues without an output. Default: `fail`. */
  readonly onTimeout?: "fail" | "continue"
}

/** Waits for a signal and outputs its payload. */
export type SignalComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: SignalProps<S, Input, Given> & Only<All, keyof SignalProps, "Signal"> & { readonly correlation?: Infer<Given> },
) => React.ReactElement | null

/** Props of a timer: one of `duration`, `durationMs` and `until`. Time without a running process counts. */
export interface TimerProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends WaitProps<S, Input> {
  /** Time from the moment that the timer is reached: `"30s"`, or milliseconds. The deadline is then fixed. */
  readonly duration?: DurationLike
  /** Milliseconds. Alternative to `duration`. */
  readonly durationMs?: number
  /** Date, or epoch milliseconds. */
  readonly until?: GivenAs<NoInfer<Given>, Date | number, [ctx: NoInfer<Ctx<S, Input>>]>
}

/** Exactly one of the times of a timer. */
type OneTime<All> = [Extract<keyof Times, keyof All>] extends [never]
  ? Pick<Times, "duration">
  : { [Time in keyof Times]: Pick<Times, Time> & { readonly [Other in Exclude<keyof Times, Time>]?: never } }[keyof Times]

interface Times {
  readonly duration: unknown
  readonly durationMs: unknown
  readonly until: unknown
}

/** Waits until a time, across restarts. */
export type TimerComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: TimerProps<S, Input, Given> &
    Only<All, keyof TimerProps, "Timer"> & { readonly until?: Infer<Given> } & OneTime<NoInfer<All>>,
) => React.ReactElement | null

/**
 * Props of a child run, which has an id and a history of its own: `<run>~<id>~<iteration>`. It is created once, in the commit that
 * reaches it, whatever crashes. Cancelling the parent cancels an attached child.
 */
export type SubflowProps<I = Undeclared, S extends Schemas = Schemas, Input = Undeclared, Given = unknown> = ChildProps<
  I,
  S,
  Input
> &
  (undefined extends I
    ? { readonly input?: GivenAs<NoInfer<Given>, NoInfer<I>, [ctx: NoInfer<Ctx<S, Input>>]> }
    : { readonly input: GivenAs<NoInfer<Given>, NoInfer<I>, [ctx: NoInfer<Ctx<S, Input>>]> })

interface ChildProps<I, S extends Schemas, Input> extends GivingProps<S, Input> {
  /** The workflow, or a function that returns it. */
  readonly workflow: Startable<I, unknown, unknown> | (() => Startable<I, unknown, unknown>)
  /** `false` detaches the child: it outlives its parent, and the output is `{ runId }` as soon as it exists. */
  readonly attach?: boolean
  /** The id of a sandbox around it, for the child to work in that one; `false` works outside of all. Default: the innermost one. */
  readonly sandbox?: string | false
  /** Most runs above the child run; beyond it the node fails with `ChildRunsTooDeep`. `Infinity` for no limit. Default: 50. */
  readonly maxDepth?: number
  /** `fail` fails the run if the child fails or is cancelled; `continue` continues without an output. Default: `fail`. */
  readonly onFail?: "fail" | "continue"
  /** The child is cancelled at the timeout. Then `fail` fails the run; `continue` continues without an output. Default: `fail`. */
  readonly onTimeout?: "fail" | "continue"
}

/** Props of the end of a run that goes on as a new one. */
export interface ContinueAsNewProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends WaitProps<S, Input> {
  /** The input of the new run, which the schema of the workflow's input has to accept. */
  readonly input: GivenAs<NoInfer<Given>, unknown, [ctx: NoInfer<Ctx<S, Input>>]>
}

/** Ends the run, which goes on as a new one. */
export type ContinueAsNewComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: ContinueAsNewProps<S, Input, Given> &
    Only<All, keyof ContinueAsNewProps, "ContinueAsNew"> & { readonly input: Infer<Given> },
) => React.ReactElement | null

/** Runs a workflow as a child run. */
export type SubflowComponent<S extends Schemas = Schemas, Input = Undeclared> = <I, Given = unknown, All = unknown>(
  props: SubflowProps<I, S, Input, Given> & Only<All, keyof SubflowProps, "Subflow"> & { readonly input?: Infer<Given> },
) => React.ReactElement | null

/** A component whose props depend on no schema. */
export type Component<P, Name extends string> = <All = unknown>(props: P & Only<All, keyof P, Name>) => React.ReactElement | null
