/**
 * Props of the components, typed by the schemas of a workflow and by its input. They are made so that a slip is one error, at its place, whose
 * first line names it: one signature for each component, and functions and values told apart before either is checked.
 */
import type { AnyAgent } from "@smithers/core/Agent"
import type { Caught, Failure, Startable, Uninferred } from "@smithers/core/Builder"
import type * as Codec from "@smithers/core/Codec"
import type { ErrorInfo } from "@smithers/core/ErrorInfo"
import type { Progress } from "@smithers/core/Plan"
import type { DurationLike, RetryOptions } from "@smithers/core/RetryPolicy"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import type * as React from "react"
import type { Ctx, Read, Schemas, TaskCtx, Undeclared } from "./Ctx.ts"
import type { FunctionGiving, GivenAs, Infer, InsteadOf, Only } from "./internal/slips.ts"

/** Upstream outputs a task asks for, by the names under which it receives them: schemas, or their keys. */
export interface Deps<Key extends string = string> {
  readonly [name: string]: Codec.AnySchema | Key
}

/** What is received for `deps`. */
export type DepValues<D extends Deps, S extends Schemas = Schemas> = {
  readonly [K in keyof D]: Read<S, D[K]>
}

/**
 * What a function child gets: the deps where there are any, and the ctx of the attempt. Nothing is inferred from these: looking for something
 * there, the compiler would compare all schemas with themselves, which of Zod's arrays alone takes it a tenth of a second after each edit.
 */
export type TaskParameters<S extends Schemas, D extends Deps, Input> = [keyof D] extends [never]
  ? [ctx: NoInfer<TaskCtx<S, Input>>]
  : [deps: NoInfer<DepValues<D, S>>, ctx: NoInfer<TaskCtx<S, Input>>]

/** What a function may return for an `A`. */
export type Eventually<A> = A | PromiseLike<A> | Effect.Effect<A, unknown, unknown>

/** What a prompt is written with: text, elements, and values, which are shown as JSON. */
export type Prompt = string | number | bigint | boolean | null | undefined | object

/**
 * `retries` and its companion in one: options with times in milliseconds or as durations, or any Effect Schedule, which is fed the error
 * of each attempt as it is stored.
 */
export type TaskRetryPolicy =
  | (Omit<RetryOptions, "maxAttempts"> & {
      readonly maxAttempts?: number
      /** The same as `initialDelay`, in milliseconds. */
      readonly initialDelayMs?: number
      /** The same as `maxDelay`, in milliseconds. */
      readonly maxDelayMs?: number
    })
  | Schedule.Schedule<unknown, ErrorInfo>

/**
 * What a condition may be or give: whatever JavaScript takes as true or false, but for what is always true: a promise, an Effect, a function.
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

/** Stands for the schema of a task without one, and of one whose schema the compiler has yet to infer: see {@link Uninferred}. */
interface NoOutput extends Uninferred {
  readonly [Untyped]: true
}

/** Whatever may be given where no schema is. Literals are among it, so that a literal stays one until the schema is known. */
// biome-ignore lint/complexity/noBannedTypes: anything but null and undefined
// biome-ignore lint/suspicious/noConfusingVoidType: what a function that returns nothing returns
type Anything = "" | 0 | 0n | boolean | null | undefined | void | { readonly [key: string]: Anything } | [] | Array<Anything> | {}

/** What a task's function or value may be. Of a key that is none nothing more is said than that. */
type Taken<S extends Schemas, O> = O extends keyof S
  ? Codec.Input<S[O]>
  : O extends NoOutput
    ? Anything
    : O extends Codec.AnySchema
      ? Codec.Input<O>
      : Anything

/** What a task gives. */
type Kept<S extends Schemas, O> = O extends NoOutput ? unknown : Read<S, O>

/** Agents that are tried in order. What they have not tells them from one, so that the functions of an agent written in its place are typed. */
interface Agents extends ReadonlyArray<AnyAgent> {
  readonly version?: undefined
}

/** What a task is: its function, or its value; with an agent its prompt, or a function that gives it. */
type Content<S extends Schemas, Input, O, D extends Deps, Given, All> = GivenAs<
  Given,
  Eventually<"agent" extends keyof All ? Exclude<Prompt, undefined> : Taken<S, O>>,
  TaskParameters<S, D, Input>,
  "agent" extends keyof All ? Prompt : Static<Taken<S, O>>
>

/** A value as a child. Where it is text it may be written in pieces. */
type Static<A> = A | (string extends A ? Prompt : never)

/** Props of a `Task` of a workflow with these schemas and this input. The others are inferred from what is given. */
export interface TaskProps<
  S extends Schemas = Schemas,
  Input = Undeclared,
  O = (keyof S & string) | Codec.AnySchema,
  D extends Deps = Deps,
  Given = unknown,
  All = unknown,
> {
  /** Unique in the workflow, and the same in every frame: it is the key of what is stored. */
  readonly id: string
  /** What the task gives: one of the schemas of the workflow, or its key. Without one it is stored as JSON, unchecked. */
  readonly output?: O
  /** Who does it: an agent, or several that are tried in order. */
  readonly agent?: AnyAgent | Agents
  /** Upstream outputs to wait for and receive. */
  readonly deps?: D
  /** Which task is meant by a dep, where its name is not the task's id and several tasks give its schema. */
  readonly needs?: NoInfer<
    [keyof D] extends [never]
      ? { readonly [name: string]: "a Task without deps has no needs" }
      : { readonly [K in keyof D]?: string }
  >
  /** Tasks to wait for without receiving anything. */
  readonly dependsOn?: ReadonlyArray<string>
  /** Leaves the task out, with an absent output. Asked when the task would start. */
  readonly skipIf?: boolean | null | undefined | FunctionGiving<Truth, InsteadOf<unknown>, [ctx: NoInfer<Ctx<S, Input>>]>
  /** Attempts after the first; `Infinity` for no end. Each attempt of an agent's task may make several calls: see `corrections`. Default: 3. */
  readonly retries?: number
  readonly retryPolicy?: TaskRetryPolicy
  /** A single attempt. */
  readonly noRetry?: boolean
  /**
   * How often an agent is asked within one attempt to put right a reply that the output's schema refuses. An attempt thus makes up to
   * `1 + corrections` calls of each agent, and a task up to `(1 + retries)` times as many; `0` turns them off. Default: 2.
   */
  readonly corrections?: "agent" extends keyof All ? number : "a Task without an agent has no corrections"
  /** Longest time for one attempt: `"2m"`, or milliseconds. */
  readonly timeout?: DurationLike
  /** The same as `timeout`, in milliseconds. */
  readonly timeoutMs?: number
  /** Longest time without a `heartbeat`, or a turn of an agent. */
  readonly heartbeatTimeout?: DurationLike
  /** The same as `heartbeatTimeout`, in milliseconds. */
  readonly heartbeatTimeoutMs?: number
  /** Lets the run go on, with an absent output, when the task has failed for good. */
  readonly continueOnFail?: boolean
  /** Takes over the output of an earlier run where the key (the deps, the input and a prompt that is text, unless told) is the same. */
  readonly cache?: boolean | { readonly key?: (ctx: NoInfer<Ctx<S, Input>>) => unknown; readonly ttl?: DurationLike }
  /** A title for people. */
  readonly label?: string
  /** JSON for tools. */
  readonly meta?: { readonly [key: string]: unknown }
  /** Someone has to approve before the task begins: `true` asks with its label or id. */
  readonly needsApproval?: boolean | null | undefined | GateProps<S, Input>
  /** Undoes the task when the saga around it fails. */
  readonly compensate?: (output: Kept<S, NoInfer<O>>, ctx: NoInfer<TaskCtx<S, Input>>) => unknown
  /** The output, or a function that gives it when the task runs; of an agent's task its prompt, or a function that gives it. */
  readonly children: Content<S, Input, NoInfer<O>, NoInfer<D>, NoInfer<Given>, NoInfer<All>>
  readonly key?: React.Key | null
}

/** What is inferred from the props of a task, also where some are missing or there are others. */
interface TaskInference<O, D, Given> {
  readonly output?: Infer<O>
  readonly deps?: Infer<D>
  readonly children?: Infer<Given>
}

/** A unit of work. */
export type TaskComponent<S extends Schemas = Schemas, Input = Undeclared> = <
  // Defaults are what types the parameters and literals of a function: a type parameter is its default until inferred.
  O extends (keyof S & string) | Codec.AnySchema = NoOutput,
  // biome-ignore lint/complexity/noBannedTypes: no deps
  const D extends Deps<keyof S & string> = {},
  Given = unknown,
  All = unknown,
>(
  props: TaskProps<S, Input, O, D, Given, All> & Only<All, keyof TaskProps, "Task"> & TaskInference<O, D, Given>,
) => React.ReactElement | null

/** How a task is approved of before it begins. */
export interface GateProps<S extends Schemas = Schemas, Input = Undeclared> {
  /** If it changes before it is decided, what was decided does not count and it is asked anew. */
  readonly request?: ApprovalRequest | FunctionGiving<ApprovalRequest, InsteadOf<unknown>, [ctx: NoInfer<Ctx<S, Input>>]>
  /** A denial fails the run (the default), or leaves the task out, with an absent output. */
  readonly onDeny?: "fail" | "skip"
  /** Names of those who may decide; a decision `by` anybody else is refused with `NotAnApprover`. Anyone unless told. */
  readonly approvers?: ReadonlyArray<string>
  /** From when it is asked: `"2d"`, or milliseconds. Default: no end. */
  readonly timeout?: DurationLike
  /** The same as `timeout`, in milliseconds. */
  readonly timeoutMs?: number
  /** Until when, instead: a date, or epoch milliseconds. One that is past ends it at once. */
  readonly deadline?: Date | number
  /** What becomes of it then: it counts as denied (the default) or as approved, or fails the run with `WaitTimedOut`. */
  readonly onTimeout?: "deny" | "approve" | "fail"
}

/** Props of what has nothing but children. */
export interface ChildrenProps {
  readonly children?: React.ReactNode
  readonly key?: React.Key | null
}

/** Props of the root. */
export interface WorkflowProps extends ChildrenProps {
  /** The same in every frame and for every input. */
  readonly name: string
}

/** Props of children at the same time. A failure inside fails the run, once what runs beside it has ended. */
export interface ParallelProps extends ChildrenProps {
  /** At most this many attempts inside at once. `0`, the length of an empty list, is no limit. Default: no limit. */
  readonly maxConcurrency?: number
  /** A failure inside interrupts what else runs inside, instead of letting it finish. */
  readonly failFast?: boolean
}

/** Props of a choice. It is made in each render from what is read there, so that what was not taken may be taken later. */
export interface BranchProps {
  /** Taken as true or false, as JavaScript does. */
  readonly if: Truth
  readonly then: React.ReactNode
  /** Nothing unless told. */
  readonly else?: React.ReactNode
  readonly key?: React.Key | null
}

/** Props of what is done again and again. What a pass has given is kept under its iteration, from 0; a resumed run goes on in its pass. */
export interface LoopProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends ChildrenProps {
  /** Asked before the first pass and after each: a value read while rendering, or a function of the ctx. */
  readonly until: GivenAs<NoInfer<Given>, Truth, [ctx: NoInfer<Ctx<S, Input>>]>
  /** Keeps the loop's place in the run. Unless given, it is known by where it stands, as React knows elements: by key or position. */
  readonly id?: string
  /** Passes at most; `Infinity` for no limit. Without it the run fails after 5 passes. */
  readonly maxIterations?: number | undefined
  /**
   * What becomes of a loop that is exhausted: `return-last` goes on with the last pass, and the run's result names the loop; `fail` fails the run with
   * `LoopLimitReached`. Default: `return-last`, or `fail` where there is no `maxIterations`.
   */
  readonly onMaxReached?: "return-last" | "fail"
}

/** Passes of its children until `until` holds. */
export type LoopComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: LoopProps<S, Input, Given> & Only<All, keyof LoopProps, "Loop"> & { readonly until?: Infer<Given> },
) => React.ReactElement | null

/**
 * Props of what is undone when it is left by a failure or a cancellation: its tasks that have finished, the last one first, each by its
 * `compensate`. Undoing goes on after a crash, and undoes nothing twice; a failed run that is resumed begins the saga anew.
 */
export interface SagaProps extends ChildrenProps {
  /** Keeps the saga's place in the run. Unless given, it is known by where it stands, as a loop is. */
  readonly id?: string
  /** `fail` (the default) fails the run with the cause once all is undone; `continue` goes on. */
  readonly onCompensated?: "fail" | "continue"
}

/** What can be drawn in place of something. */
export type Elements = React.ReactElement | ReadonlyArray<Elements> | boolean | null | undefined

/**
 * Props of what meets a failure. `finally` also runs where nothing failed; where it fails itself, that failure goes on outwards. After a
 * crash it goes on where it was.
 */
export interface TryCatchFinallyProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends ChildrenProps {
  /** Keeps its place in the run. Unless given, it is known by where it stands, as a loop is. */
  readonly id?: string
  /** What is tried; or the children. */
  readonly try?: Elements
  /** What is done where that fails for good: elements, or a function of the error that gives them, called while rendering. */
  readonly catch?: GivenAs<NoInfer<Given>, Elements, [error: Caught, ctx: NoInfer<Ctx<S, Input>>]>
  /**
   * Tells which failures are caught; any other goes on outwards as it was. Must be pure: it may be asked again after a restart, with the same.
   * Default: all are caught.
   */
  readonly catchWhen?: (error: Failure) => boolean
  /** What is done however the rest is left, also by a cancellation. */
  readonly finally?: Elements
}

/** What is done where something fails, and what is done in any case. */
export type TryCatchFinallyComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: TryCatchFinallyProps<S, Input, Given> &
    Only<All, keyof TryCatchFinallyProps, "TryCatchFinally"> & { readonly catch?: Infer<Given> },
) => React.ReactElement | null

/** Props of what can be left early. */
interface LeavableProps extends ChildrenProps {
  /** Unique in the workflow, and the same in every frame: it is what it is left by from outside. */
  readonly id: string
  /** From when it begins: `"2d"`, or milliseconds. It stands across crashes, and stands still while the run is paused. Default: no end. */
  readonly timeout?: DurationLike
  /** The same as `timeout`, in milliseconds. */
  readonly timeoutMs?: number
  /** Then it is left, and fails with `ScopeTimedOut` (`fail`), or the run goes on (`continue`). Default: `fail`. */
  readonly onTimeout?: "fail" | "continue"
  /** Shown in its place by whatever shows the plan. */
  readonly label?: string
}

/** A condition: a value that was read while rendering, or a function of ctx, which is asked again when something comes that it has read. */
type Condition<S extends Schemas, Input> =
  | string
  | number
  | bigint
  | boolean
  | null
  | undefined
  | FunctionGiving<Truth, InsteadOf<unknown>, [ctx: NoInfer<Ctx<S, Input>>]>

/** Props of a region: its children one after another. Where it is left, its waits are closed, its attempts interrupted and its child runs cancelled. */
export interface ScopeProps<S extends Schemas = Schemas, Input = Undeclared> extends LeavableProps {
  /** When it holds the scope is left as completed: what has finished is kept. Must be pure. */
  readonly until?: Condition<S, Input>
  /** When it holds the scope is left as cancelled. Must be pure. */
  readonly cancelWhen?: Condition<S, Input>
}

/** Children one after another, until something holds. */
export type ScopeComponent<S extends Schemas = Schemas, Input = Undeclared> = <All = unknown>(
  props: ScopeProps<S, Input> & Only<All, keyof ScopeProps, "Scope">,
) => React.ReactElement | null

/** Props of a race. Each element in it is a branch, named by its key, or else by the first id in it; a fragment is a branch of several. */
export interface RaceProps extends LeavableProps {
  /** How many branches win. Default: 1. */
  readonly count?: number
  /** The others are left, or go on beside what follows. Default: `cancel`. */
  readonly rest?: "cancel" | "keep"
  /**
   * A branch that fails fails the race (`fail`), or only drops out (`ignore`): then the race fails with `RaceLost` as soon as too few are left.
   * Default: `fail`.
   */
  readonly onFailure?: "fail" | "ignore"
}

/** Props of a list: items by key, each with what the function draws of it. Ids in an item have its key in them. */
export interface ForEachProps<S extends Schemas = Schemas, Input = Undeclared, Item = unknown>
  extends Omit<LeavableProps, "children"> {
  /** Asked again with each drawing: items may come and go while it runs. */
  readonly items: ReadonlyArray<Item>
  /** The key of an item: the same in every drawing, and another for each. Default: the item itself, where it is text or a number. */
  readonly by?: (item: NoInfer<Item>, index: number) => string | number
  /** Items that are begun and not over, at most; `0`, the length of an empty list, is no limit. Default: no limit. */
  readonly concurrency?: number
  /** Tells when enough has come, asked after each item; the others are left, or with `rest="keep"` go on beside what follows. Must be pure. */
  readonly until?: (progress: Progress, ctx: NoInfer<Ctx<S, Input>>) => Truth
  /** Default: `cancel`. */
  readonly rest?: "cancel" | "keep"
  /** An item that fails does not fail the run: `ctx.failures` tells of it. Default: false. */
  readonly settled?: boolean
  /** Another drawing may have more items: the list is not over before one is drawn with false. Default: false. */
  readonly more?: boolean
  /** What is done with an item. Called while rendering, as a component of its own. */
  readonly children: (item: NoInfer<Item>, index: number) => Elements
}

/** Items by key. */
export type ForEachComponent<S extends Schemas = Schemas, Input = Undeclared> = <Item, All = unknown>(
  props: ForEachProps<S, Input, Item> & Only<All, keyof ForEachProps, "ForEach">,
) => React.ReactElement | null

/** Props of all that waits. */
interface WaitProps<S extends Schemas, Input> {
  /** Unique in the workflow, and the same in every frame. */
  readonly id: string
  /** Where it is true there is no wait and no output. */
  readonly skipIf?: boolean | null | undefined | FunctionGiving<Truth, InsteadOf<unknown>, [ctx: NoInfer<Ctx<S, Input>>]>
  /** Tasks to wait for before. */
  readonly dependsOn?: ReadonlyArray<string>
  /** Shown in its place by whatever shows the plan. */
  readonly label?: string
  /** Kept with the plan, as JSON. */
  readonly meta?: { readonly [key: string]: unknown }
  readonly key?: React.Key | null
}

/** Props of what waits and has an output. */
interface GivingProps<S extends Schemas, Input> extends WaitProps<S, Input> {
  /** One of the workflow's schemas, a synchronous one, or its key. */
  readonly output?: (keyof S & string) | Codec.AnySchema
  /** From when it is waited for: `"2d"`, or milliseconds. Default: no end. */
  readonly timeout?: DurationLike
  /** The same as `timeout`, in milliseconds. */
  readonly timeoutMs?: number
  /** Until when, instead: a date, or epoch milliseconds. One that is past ends it at once. */
  readonly deadline?: Date | number
}

/** What people are shown who are to approve something. */
export interface ApprovalRequest {
  readonly title: string
  readonly summary?: string
  readonly details?: unknown
}

/** Props of a decision. What was decided is kept; the deadline stands across crashes, and stands still while the run is paused. */
export interface ApprovalProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends GivingProps<S, Input> {
  /** If it changes before it is decided, what was decided does not count and it is asked anew. */
  readonly request: GivenAs<NoInfer<Given>, ApprovalRequest, [ctx: NoInfer<Ctx<S, Input>>]>
  /** A denial fails the run (the default), goes on with `approved: false`, or leaves the output absent. */
  readonly onDeny?: "fail" | "continue" | "skip"
  /** Names of those who may decide; a decision `by` anybody else is refused with `NotAnApprover`. Anyone unless told. */
  readonly approvers?: ReadonlyArray<string>
  readonly onTimeout?: "deny" | "approve" | "fail"
}

/** Waits until someone approves or denies. */
export type ApprovalComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: ApprovalProps<S, Input, Given> & Only<All, keyof ApprovalProps, "Approval"> & { readonly request?: Infer<Given> },
) => React.ReactElement | null

/** Props of a person's task. An answer that does not match `output` is refused (`InvalidAnswer`), and the task stays open. */
export interface HumanTaskProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends GivingProps<S, Input> {
  /** Schema of the answer: one of the workflow's, a synchronous one, or its key. */
  readonly output: (keyof S & string) | Codec.AnySchema
  /** What the person is asked; or children, as text or elements. */
  readonly prompt?: GivenAs<NoInfer<Given>, string, [ctx: NoInfer<Ctx<S, Input>>]>
  /** Then `fail` (the default) fails the run with `WaitTimedOut`; `continue` leaves the output absent. */
  readonly onTimeout?: "fail" | "continue"
  readonly children?: React.ReactNode
}

/** Waits until a person has answered with what matches `output`. */
export type HumanTaskComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: HumanTaskProps<S, Input, Given> & Only<All, keyof HumanTaskProps, "HumanTask"> & { readonly prompt?: Infer<Given> },
) => React.ReactElement | null

/** Props of a signal. One that was sent before it is waited for is kept, and each is taken by one wait, once. */
export interface SignalProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends GivingProps<S, Input> {
  readonly name: string
  /** Only a signal that was sent with the same is taken. */
  readonly correlation?: GivenAs<NoInfer<Given>, string | undefined, [ctx: NoInfer<Ctx<S, Input>>]>
  /** Only signals that are sent once the wait has begun count; one that was sent before is kept, for other waits. */
  readonly transient?: boolean
  /** Then `fail` (the default) fails the run with `WaitTimedOut`; `continue` leaves the output absent. */
  readonly onTimeout?: "fail" | "continue"
}

/** Waits for a signal, and gives what it carries. */
export type SignalComponent<S extends Schemas = Schemas, Input = Undeclared> = <Given = unknown, All = unknown>(
  props: SignalProps<S, Input, Given> & Only<All, keyof SignalProps, "Signal"> & { readonly correlation?: Infer<Given> },
) => React.ReactElement | null

/** Props of a timer: one of `duration`, `durationMs` and `until`. A time that went by while no process was there counts. */
export interface TimerProps<S extends Schemas = Schemas, Input = Undeclared, Given = unknown> extends WaitProps<S, Input> {
  /** From when the timer is reached: `"30s"`, or milliseconds. Its deadline then stands. */
  readonly duration?: DurationLike
  /** The same as `duration`, in milliseconds. */
  readonly durationMs?: number
  /** A date, or epoch milliseconds. */
  readonly until?: GivenAs<NoInfer<Given>, Date | number, [ctx: NoInfer<Ctx<S, Input>>]>
}

/** The time of a timer, of which there is one. */
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
 * Props of a child run, which has an id and a history of its own: `<run>~<id>~<iteration>`. It is created with the commit that reaches it, and
 * so once, whatever crashes; cancelling the parent cancels it where it is attached.
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
  /** The workflow, or a function that gives it. */
  readonly workflow: Startable<I, unknown, unknown> | (() => Startable<I, unknown, unknown>)
  /** `false` lets the child outlive its parent, and gives `{ runId }` as soon as the child run is there. */
  readonly attach?: boolean
  /** A child that fails or is cancelled fails the run (the default), or leaves the output absent. */
  readonly onFail?: "fail" | "continue"
  /** Then the child is cancelled, and `fail` (the default) fails the run; `continue` leaves the output absent. */
  readonly onTimeout?: "fail" | "continue"
}

/** A workflow as a part of another one. */
export type SubflowComponent<S extends Schemas = Schemas, Input = Undeclared> = <I, Given = unknown, All = unknown>(
  props: SubflowProps<I, S, Input, Given> & Only<All, keyof SubflowProps, "Subflow"> & { readonly input?: Infer<Given> },
) => React.ReactElement | null

/** A component whose props depend on no schema. */
export type Component<P, Name extends string> = <All = unknown>(props: P & Only<All, keyof P, Name>) => React.ReactElement | null
