/**
 * The components a workflow is written with. Most are names that the reconciler knows, typed as components: nothing runs for
 * them while rendering. What their props mean is decided where the tree is lowered to a plan.
 */
import type { AnyAgent } from "@smithers/core/Agent"
import type { Caught, Startable, Uninferred } from "@smithers/core/Builder"
import type * as Codec from "@smithers/core/Codec"
import type { ErrorInfo } from "@smithers/core/ErrorInfo"
import { abbreviated, keptId } from "@smithers/core/Ids"
import type { DurationLike, RetryOptions } from "@smithers/core/RetryPolicy"
import type * as Effect from "effect/Effect"
import type * as Schedule from "effect/Schedule"
import * as React from "react"
import type { Ctx, Schemas, TaskCtx, Undeclared } from "./Ctx.ts"
import type { Fiber } from "./HostNode.ts"
import { frameContext, loopContext } from "./internal/frame.ts"
import { isRendering } from "./internal/scope.ts"
import { jsx } from "./jsx-runtime.ts"
import { isPending } from "./Pending.ts"

/** Upstream outputs a task asks for, by the names under which it receives them: schemas, or their keys. */
export interface Deps<Key extends string = string> {
  readonly [name: string]: Codec.AnySchema | Key
}

/** What is received for `deps`. */
export type DepValues<D extends Deps, S extends Schemas = Schemas> = {
  readonly [K in keyof D]: D[K] extends keyof S ? Codec.Output<S[D[K]]> : Codec.Output<D[K]>
}

/** A function child: it gets the deps where there are any, and the ctx of the attempt. It is called when the task runs. */
export type TaskFunction<S extends Schemas, D extends Deps, Input, A> = [keyof D] extends [never]
  ? (ctx: TaskCtx<S, Input>) => A
  : (deps: DepValues<D, S>, ctx: TaskCtx<S, Input>) => A

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
      readonly initialDelayMs?: number
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

type OutputOf<S extends Schemas, O> = O extends keyof S ? S[O] : O

/** The type of a task's output where none is declared. */
type DeclaredInput<S extends Schemas, O> = [O] extends [undefined] ? unknown : Codec.Input<OutputOf<S, O>>
type DeclaredOutput<S extends Schemas, O> = [O] extends [undefined] ? unknown : Codec.Output<OutputOf<S, O>>

interface TaskOptions<S extends Schemas, O, D extends Deps, Input> {
  /** Unique in the workflow, and the same in every frame: it is the key of what is stored. */
  readonly id: string
  /** What the task gives: one of the schemas of the workflow, or its key. Without one it is stored as JSON, unchecked. */
  readonly output?: O
  /** Upstream outputs to wait for and receive. */
  readonly deps?: D
  /** Which task is meant by a dep, where its name is not the task's id and several tasks give its schema. */
  readonly needs?: { readonly [K in keyof D]?: string }
  /** Tasks to wait for without receiving anything. */
  readonly dependsOn?: ReadonlyArray<string>
  /** Leaves the task out, with an absent output. Asked when the task would start. */
  readonly skipIf?: boolean | null | undefined | ((ctx: Ctx<S, Input>) => Truth)
  /** Attempts after the first; `Infinity` for no end. Each attempt of an agent's task may make several calls: see `corrections`. Default: 3. */
  readonly retries?: number
  readonly retryPolicy?: TaskRetryPolicy
  /** A single attempt. */
  readonly noRetry?: boolean
  /** Longest time for one attempt, in milliseconds. */
  readonly timeoutMs?: number
  /** Longest time without a `heartbeat`, or a turn of an agent, in milliseconds. */
  readonly heartbeatTimeoutMs?: number
  /** Lets the run go on, with an absent output, when the task has failed for good. */
  readonly continueOnFail?: boolean
  /** Takes over the output of an earlier run where the key (the deps, the input and a prompt that is text, unless told) is the same. */
  readonly cache?: boolean | { readonly key?: (ctx: Ctx<S, Input>) => unknown; readonly ttl?: DurationLike }
  /** A title for people. */
  readonly label?: string
  /** JSON for tools. */
  readonly meta?: { readonly [key: string]: unknown }
  /** Someone has to approve before the task begins: `true` asks with its label or id. */
  readonly needsApproval?: boolean | null | undefined | GateProps<S, Input>
  /** Undoes the task when the saga around it fails. */
  readonly compensate?: (output: DeclaredOutput<S, O>, ctx: TaskCtx<S, Input>) => unknown
  readonly key?: React.Key | null
}

/** How a task is approved of before it begins. */
export interface GateProps<S extends Schemas = Schemas, Input = Undeclared> {
  /** If it changes before it is decided, what was decided does not count and it is asked anew. */
  readonly request?: ApprovalRequest | ((ctx: Ctx<S, Input>) => ApprovalRequest)
  /** A denial fails the run (the default), or leaves the task out, with an absent output. */
  readonly onDeny?: "fail" | "skip"
  /** Names of those who may decide; a decision `by` anybody else is refused with `NotAnApprover`. Anyone unless told. */
  readonly approvers?: ReadonlyArray<string>
  /** Milliseconds from when it is asked; without end unless told. */
  readonly timeoutMs?: number
  /** What becomes of it then: it counts as denied (the default) or as approved, or fails the run with `WaitTimedOut`. */
  readonly onTimeout?: "deny" | "approve" | "fail"
}

interface AgentTask<S extends Schemas, D extends Deps, Input> {
  /** Who does it: an agent, or several that are tried in order. */
  readonly agent: AnyAgent | ReadonlyArray<AnyAgent>
  /**
   * How often an agent is asked within one attempt to put right a reply that the output's schema refuses. An attempt thus makes up to
   * `1 + corrections` calls of each agent, and a task up to `(1 + retries)` times as many; `0` turns them off. Default: 2.
   */
  readonly corrections?: number
  /** The prompt, or a function that gives it when the task runs. */
  readonly children: TaskFunction<S, D, Input, Eventually<Prompt>> | Prompt
}

interface PlainTask<S extends Schemas, O, D extends Deps, Input> {
  readonly agent?: undefined
  /** The output, or a function that gives it when the task runs. */
  readonly children: TaskFunction<S, D, Input, Eventually<DeclaredInput<S, O>>> | Static<DeclaredInput<S, O>>
}

/** A value as a child. Where it is text it may be written in pieces. */
type Static<A> = A | (string extends A ? Prompt : never)

/** Props of a `Task` of a workflow with these schemas and this input. */
export type TaskProps<S extends Schemas, O, D extends Deps, Input> = TaskOptions<S, O, D, Input> &
  (AgentTask<S, NoInfer<D>, Input> | PlainTask<S, NoInfer<O>, NoInfer<D>, Input>)

/** A unit of work. */
export interface TaskComponent<S extends Schemas = Schemas, Input = Undeclared> {
  <
    // The default is what types the literals of a function without parameters: a type parameter is its default until inferred.
    O extends (keyof S & string) | Codec.AnySchema = Uninferred,
    // biome-ignore lint/complexity/noBannedTypes: no deps
    const D extends Deps<keyof S & string> = {},
  >(
    props: TaskProps<S, O, D, Input> & { readonly output: O },
  ): React.ReactElement | null
  // biome-ignore lint/complexity/noBannedTypes: no deps
  <const D extends Deps<keyof S & string> = {}>(
    props: TaskProps<S, undefined, D, Input> & { readonly output?: undefined },
  ): React.ReactElement | null
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
export interface LoopProps<S extends Schemas = Schemas, Input = Undeclared> extends ChildrenProps {
  /** Asked before the first pass and after each: a value read while rendering, or a function of the ctx. */
  readonly until: Truth | ((ctx: Ctx<S, Input>) => Truth)
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
export interface TryCatchFinallyProps<S extends Schemas = Schemas, Input = Undeclared> extends ChildrenProps {
  /** Keeps its place in the run. Unless given, it is known by where it stands, as a loop is. */
  readonly id?: string
  /** What is tried; or the children. */
  readonly try?: Elements
  /** What is done where that fails for good: elements, or a function of the error that gives them, called while rendering. */
  readonly catch?: Elements | ((error: Caught, ctx: Ctx<S, Input>) => Elements)
  /** What is done however the rest is left, also by a cancellation. */
  readonly finally?: Elements
}

type Component<P> = (props: P) => React.ReactElement | null

const host = <P>(name: string): Component<P> => name as unknown as Component<P>

/** The root of a workflow. Runs its children one after another; its output is that of the last child that has one. */
export const Workflow = host<WorkflowProps>("Workflow")

/** Children one after another. */
export const Sequence = host<ChildrenProps>("Sequence")

/** Children at the same time. */
export const Parallel = host<ParallelProps>("Parallel")

/** One of two ways. Only the one that is taken is rendered. */
export const Branch: Component<BranchProps> = (props) => {
  const { if: condition, then, else: otherwise = null } = props
  return jsx("Branch", { of: props, children: condition ? then : otherwise })
}

/** A unit of work: an agent's, a function's, or a value. */
export const Task = "Task" as unknown as TaskComponent

interface WaitProps<O, Input> {
  /** Unique in the workflow, and the same in every frame. */
  readonly id: string
  /** One of the workflow's schemas, a synchronous one, or its key. */
  readonly output?: O
  /** Where it is true there is no wait and no output. */
  readonly skipIf?: TaskCondition<Input>
  /** Tasks to wait for before. */
  readonly dependsOn?: ReadonlyArray<string>
  /** Shown in its place by whatever shows the plan. */
  readonly label?: string
  /** Kept with the plan, as JSON. */
  readonly meta?: { readonly [key: string]: unknown }
  readonly key?: React.Key | null
}

type TaskCondition<Input> = boolean | null | undefined | ((ctx: Ctx<Schemas, Input>) => Truth)

/** What people are shown who are to approve something. */
export interface ApprovalRequest {
  readonly title: string
  readonly summary?: string
  readonly details?: unknown
}

/** Props of a decision. What was decided is kept; the deadline stands across crashes, and stands still while the run is paused. */
export interface ApprovalProps<O = unknown, Input = Undeclared> extends WaitProps<O, Input> {
  /** If it changes before it is decided, what was decided does not count and it is asked anew. */
  readonly request: ApprovalRequest | ((ctx: Ctx<Schemas, Input>) => ApprovalRequest)
  /** A denial fails the run (the default), goes on with `approved: false`, or leaves the output absent. */
  readonly onDeny?: "fail" | "continue" | "skip"
  /** Names of those who may decide; a decision `by` anybody else is refused with `NotAnApprover`. Anyone unless told. */
  readonly approvers?: ReadonlyArray<string>
  readonly timeoutMs?: number
  readonly onTimeout?: "deny" | "approve" | "fail"
}

/** Waits until someone approves or denies. Gives `{ approved, note, decidedBy, decidedAt }`. */
export const Approval = host<ApprovalProps>("Approval")

/** Props of a person's task. An answer that does not match `output` is refused (`InvalidAnswer`), and the task stays open. */
export interface HumanTaskProps<O = unknown, Input = Undeclared> extends WaitProps<O, Input> {
  /** Schema of the answer: one of the workflow's, a synchronous one, or its key. */
  readonly output: O
  /** What the person is asked; or children, as text or elements. */
  readonly prompt?: string | ((ctx: Ctx<Schemas, Input>) => string)
  /** Milliseconds from when it is asked; without end unless told. */
  readonly timeoutMs?: number
  /** Then `fail` (the default) fails the run with `WaitTimedOut`; `continue` leaves the output absent. */
  readonly onTimeout?: "fail" | "continue"
  readonly children?: React.ReactNode
}

/** Waits until a person has answered with what matches `output`. */
export const HumanTask = host<HumanTaskProps>("HumanTask")

/** Props of a signal. One that was sent before it is waited for is kept, and each is taken by one wait, once. */
export interface SignalProps<O = unknown, Input = Undeclared> extends WaitProps<O, Input> {
  readonly name: string
  /** Only a signal that was sent with the same is taken. */
  readonly correlation?: string | ((ctx: Ctx<Schemas, Input>) => string | undefined)
  /** Milliseconds from when it is waited for; without end unless told. */
  readonly timeoutMs?: number
  /** Then `fail` (the default) fails the run with `WaitTimedOut`; `continue` leaves the output absent. */
  readonly onTimeout?: "fail" | "continue"
}

/** Waits for a signal, and gives what it carries. */
export const Signal = host<SignalProps>("Signal")

/** The same as {@link Signal}. */
export const WaitForEvent = host<SignalProps>("WaitForEvent")

/** Props of a timer: one of `durationMs` and `until`. A time that went by while no process was there counts. */
export type TimerProps<Input = Undeclared> = Omit<WaitProps<never, Input>, "output"> &
  (
    | {
        /** Milliseconds from when the timer is reached; its deadline then stands. */
        readonly durationMs: number
        readonly until?: undefined
      }
    | {
        readonly durationMs?: undefined
        /** A date, or epoch milliseconds. */
        readonly until: Date | number | ((ctx: Ctx<Schemas, Input>) => Date | number)
      }
  )

/** Waits until a time, across restarts. */
export const Timer = host<TimerProps>("Timer")

/** A child run's input. */
type InputOf<I, Input> = NoInfer<I> | ((ctx: Ctx<Schemas, Input>) => NoInfer<I>)

/**
 * Props of a child run, which has an id and a history of its own: `<run>~<id>~<iteration>`. It is created with the commit that reaches it, and
 * so once, whatever crashes; cancelling the parent cancels it where it is attached.
 */
export type SubflowProps<I = Undeclared, O = unknown, Input = Undeclared> = WaitProps<O, Input> & {
  readonly workflow: Startable<I, unknown, unknown>
  /** `false` lets the child outlive its parent, and gives `{ runId }` as soon as the child run is there. */
  readonly attach?: boolean
  /** A child that fails or is cancelled fails the run (the default), or leaves the output absent. */
  readonly onFail?: "fail" | "continue"
  /** Milliseconds from when it is started; without end unless told. */
  readonly timeoutMs?: number
  /** Then the child is cancelled, and `fail` (the default) fails the run; `continue` leaves the output absent. */
  readonly onTimeout?: "fail" | "continue"
} & (undefined extends I ? { readonly input?: InputOf<I, Input> } : { readonly input: InputOf<I, Input> })

/** A workflow as a part of another one. */
export type SubflowComponent<S extends Schemas = Schemas, Input = Undeclared> = <I>(
  props: SubflowProps<I, keyof S | Codec.AnySchema, Input>,
) => React.ReactElement | null

/** Runs a workflow as a child run, with an id and a history of its own, and gives its output. */
export const Subflow = "Subflow" as unknown as SubflowComponent

/** Passes of its children until a condition holds. A class, because its place among its siblings is only told to classes. */
class LoopPlace extends React.Component<LoopProps> {
  static displayName = "Loop"
  override render(): React.ReactNode {
    const { id, children } = this.props
    const loop = givenId(id) ?? placeOf("loop", this)
    return jsx(loopContext.Provider, { value: loop, children: jsx("Loop", { of: this.props, loop, children }) })
  }
}

/** Passes of its children until `until` holds. */
export const Loop = LoopPlace as unknown as <S extends Schemas = Schemas, Input = Undeclared>(
  props: LoopProps<S, Input>,
) => React.ReactElement | null

/** Another name for {@link Loop}. */
export const Ralph = LoopPlace as unknown as typeof Loop

/** A class for the same reason as loops. */
class SagaPlace extends React.Component<SagaProps> {
  static displayName = "Saga"
  override render(): React.ReactNode {
    const { id, children } = this.props
    return jsx("Saga", { of: this.props, boundary: givenId(id) ?? placeOf("saga", this), children })
  }
}

/**
 * Children one after another. When the saga is left by a failure or a cancellation, the tasks inside that have finished are undone by
 * their `compensate`, in reverse order of completion.
 */
export const Saga = SagaPlace as unknown as Component<SagaProps>

/** A class for the same reason as loops. Its parts are elements of their own, so that it is known which is which. */
class TryPlace extends React.Component<TryCatchFinallyProps> {
  static displayName = "TryCatchFinally"
  override render(): React.ReactNode {
    const of = this.props
    const { id, try: tried, children, catch: caught, finally: last } = of
    const boundary = givenId(id) ?? placeOf("try", this)
    const handler = typeof caught === "function" && !isPending(caught) ? caught : undefined
    const parts = [
      tried === undefined ? jsx("Try", { of, children }, "try") : partOf("Try", of, tried),
      handler === undefined
        ? partOf("Catch", of, caught)
        : jsx("Catch", { of, children: jsx(Catching, { of, boundary, handler }) }, "catch"),
      partOf("Finally", of, last),
    ]
    return jsx("TryCatchFinally", { of, boundary, children: parts })
  }
}

/** What is done where something fails, and what is done in any case. */
export const TryCatchFinally = TryPlace as unknown as <S extends Schemas = Schemas, Input = Undeclared>(
  props: TryCatchFinallyProps<S, Input>,
) => React.ReactElement | null

/** A part that may be left out by a condition. What is no elements is kept, for the lowering to refuse. */
const partOf = (type: "Try" | "Catch" | "Finally", of: object, given: unknown): React.ReactNode => {
  if (isNothing(given) && !isPending(given)) return null
  return jsx(type, areElements(given) ? { of, children: given } : { of, given }, type.toLowerCase())
}

/** What a function draws of what was caught: a component, so that what it reads is its own. Nothing as long as nothing was caught. */
const Catching = ({
  of,
  boundary,
  handler,
}: {
  readonly of: object
  readonly boundary: string
  readonly handler: (error: Caught, ctx: Ctx) => unknown
}): React.ReactNode => {
  const frame = React.useContext(frameContext)
  const loop = React.useContext(loopContext)
  const error = frame?.caught(boundary, loop)
  if (frame === undefined || error === undefined) return null
  const given = handler(error, frame.ctx(loop))
  return areElements(given) ? given : jsx("Catch", { of, given })
}

/** What React shows nothing for. */
const isNothing = (given: unknown): boolean =>
  given === undefined || given === null || typeof given === "boolean" || isPending(given)

const areElements = (given: unknown): given is React.ReactNode =>
  isNothing(given) || React.isValidElement(given) || (Array.isArray(given) && given.every(areElements))

/** The id that an author gave. What is no text is kept, for the lowering to refuse. */
const givenId = (id: string | undefined): string | undefined => (typeof id === "string" ? keptId(id) : id)

/**
 * A name for a place in the tree that stays the same for as long as React would keep an element's state there: the keys and the
 * positions other than the first on the way from the root, each with its depth, and the depth itself.
 */
const placeOf = (kind: "loop" | "saga" | "try", component: React.Component): string => {
  const { _reactInternals: fiber } = component as unknown as { readonly _reactInternals: Fiber }
  const steps: Array<Pick<Fiber, "key" | "index">> = []
  for (let here: Fiber | null = fiber; here !== null; here = here.return) steps.unshift(here)
  const names = steps.flatMap(({ key, index }, depth) => {
    if (key !== null)
      return [`${depth}-${key.replaceAll(/[^A-Za-z0-9_-]/g, (character) => `.${character.codePointAt(0)?.toString(36)}.`)}`]
    return index === 0 ? [] : [`${depth}-${index}`]
  })
  return abbreviated(`${kind}:${[...names, steps.length].join(":")}`, 200)
}

/** The `ctx` of the workflow that is rendering, as seen from this component: inside a loop, of that loop. */
export const useCtx = (): Ctx => {
  // Where nothing renders, React's own error would not say what to do.
  if (!isRendering()) throw outside()
  const frame = React.useContext(frameContext)
  const loop = React.useContext(loopContext)
  if (frame === undefined) throw outside()
  return frame.ctx(loop)
}

const outside = (): TypeError =>
  new TypeError(
    "useCtx() was called outside a workflow: it works in components that smithers() renders. A function in a task is given the ctx",
  )
