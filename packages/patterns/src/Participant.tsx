/** @jsxImportSource smithers-orchestrator */
/**
 * The parts that patterns share: who takes part, what a participant is told, and how a failure of one is met.
 */
import type { AnyAgent } from "@smithers/core/Agent"
import type * as Codec from "@smithers/core/Codec"
import type { Ctx, Undeclared } from "@smithers/jsx/Ctx"
import { Scope, Task, TryCatchFinally, useCtx } from "@smithers/jsx/components"
import type * as React from "react"

/** Schema of an output. */
export type Output = Codec.AnySchema

/** Type of an output. */
export type ValueOf<S extends Output> = Codec.Output<S>

/** A schema whose values have the fields of `A`. */
export type Having<S extends Output, A> = S & ([Codec.Output<S>] extends [A] ? unknown : Lacking<A>)

/** Stands in errors of the compiler for a schema whose values lack fields. */
export interface Lacking<A> {
  readonly itsValuesLack: A
}

/** Content of a prompt. */
export type Told = Exclude<React.ReactNode, undefined>

/** A prompt, or a function of ctx that returns it when the task runs. */
export type Prompt = React.ReactNode | ((ctx: Ctx) => Told)

/** The work of a participant: an output to write under an id, and a prompt. It can be spread over another pattern. */
export interface Work {
  readonly id: string
  /** The schema of the output, whose type the compiler does not know here. */
  readonly output: Undeclared
  readonly children: (ctx: Ctx) => Told
}

/** A participant: an agent, agents that are tried in order, or elements that write `work.output` under `work.id`. */
export type Participant = AnyAgent | ReadonlyArray<AnyAgent> | ((work: Work) => React.ReactNode)

/** Props of every pattern, whose outcome is of type `O`. */
export interface PatternProps<O> {
  /** Prefix of the ids inside, and the id of the task that gives the outcome. Unique in the workflow. */
  readonly id: string
  /** Schema of the outcome. Default: any JSON. */
  readonly output?: Output
  /** Makes the output of the outcome. Default: the outcome itself. */
  readonly result?: (outcome: O) => unknown
  /** Leaves the pattern out of the plan while it holds. */
  readonly skipIf?: boolean | null | undefined
}

/** Time in which a participant must be done. */
export type Patience = React.ComponentProps<typeof Scope>["timeout"]

interface PartProps extends Work {
  readonly by: Participant
  /** Time in which the participant must be done, all attempts counted. Default: none. */
  readonly timeout?: Patience
}

/** The task of a participant. */
export const Part = ({ by, timeout, ...work }: PartProps): React.ReactNode => {
  const { id, output, children } = work
  const task =
    typeof by === "function" ? (
      by(work)
    ) : (
      <Task id={id} output={output} agent={by}>
        {children}
      </Task>
    )
  return timeout === undefined ? (
    task
  ) : (
    <Scope id={`${id}:time`} timeout={timeout}>
      {task}
    </Scope>
  )
}

interface TolerantProps {
  readonly id: string
  readonly when: boolean
  readonly children: React.ReactNode
}

/** Goes on after its children where one of them fails, if `when` says so. The failure is kept under `<id>:failure`. */
export const Tolerant = ({ id, when, children }: TolerantProps): React.ReactNode =>
  when ? (
    <TryCatchFinally id={`${id}:try`} catch={({ message }) => <Task id={`${id}:failure`}>{{ message }}</Task>}>
      {children}
    </TryCatchFinally>
  ) : (
    children
  )

interface OutcomeProps<O> extends Pick<PatternProps<O>, "id" | "output" | "result"> {
  readonly children: (ctx: Ctx) => O
  /** Outcomes that fail the run, each with the sentence that says why. */
  readonly failsFor?: (outcome: O) => string | false | undefined
}

/** A Task whose output is any schema, which the compiler does not know here. */
const Computed = Task as unknown as (props: {
  readonly id: string
  readonly output?: Output
  readonly noRetry?: boolean
  readonly children: (ctx: Ctx) => unknown
}) => React.ReactElement

/** The last task of a pattern, which gives its outcome. */
export const Outcome = <O,>({ id, output, result, children, failsFor }: OutcomeProps<O>): React.ReactNode => {
  const conclude = (ctx: Ctx): unknown => {
    const outcome = children(ctx)
    const problem = failsFor?.(outcome)
    if (problem) throw new Error(problem)
    return result === undefined ? outcome : result(outcome)
  }
  return (
    <Computed id={id} {...(output === undefined ? {} : { output })} noRetry>
      {conclude}
    </Computed>
  )
}

/** Elements that are made of the ctx at their place: inside a loop, of that loop. */
export const Here = ({ children }: { readonly children: (ctx: Ctx) => React.ReactNode }): React.ReactNode => children(useCtx())

/** Rejects limits below a least one, and those that are no numbers. Limits of lists and loops are checked by those. */
export const checkLimits = (pattern: string, least: number, limits: { readonly [name: string]: number }): void => {
  for (const [name, limit] of Object.entries(limits))
    if (!(limit >= least)) throw new TypeError(`${pattern}: its "${name}" must be a number of at least ${least}, and is ${limit}`)
}

/** Returns the content of a prompt. */
export const say = (prompt: Prompt, ctx: Ctx): Told => (typeof prompt === "function" ? prompt(ctx) : (prompt ?? null))

/** A part of a prompt with a title: text as it is, other values as JSON, and nothing for a value that is not there. */
const Given = ({ title, value }: { readonly title: string; readonly value: unknown }): React.ReactNode =>
  value === undefined ? null : (
    <>
      <h2>{title}</h2>
      {typeof value === "string" ? <p>{value}</p> : <pre>{JSON.stringify(value, null, 2)}</pre>}
    </>
  )

/** Returns a prompt: its first words, values by title, and at its end the task, where the first words are another instruction. */
export const told = (words: Told, given: { readonly [title: string]: unknown }, task?: Told): Told => (
  <>
    {words}
    {Object.entries(given).map(([title, value]) => (
      <Given key={title} title={title} value={value} />
    ))}
    {task === undefined ? null : <h2>The task</h2>}
    {task}
  </>
)
