/** @jsxImportSource smithers-orchestrator */
/**
 * A boss plans tasks, workers do each as soon as the tasks it needs are done, and the boss reviews them. Only what was rejected or has failed, and what needs it, is done
 * again.
 */
import type { Ctx } from "@smithers/jsx/Ctx"
import { ForEach, Loop, Sequence } from "@smithers/jsx/components"
import type * as React from "react"
import type { PlannedTask, Rejection } from "./Delegation.ts"
import * as Delegation from "./Delegation.ts"
import {
  checkLimits,
  type Having,
  Here,
  Outcome,
  type Output,
  Part,
  type Participant,
  type Patience,
  type PatternProps,
  type Prompt,
  say,
  told,
  type ValueOf,
} from "./Participant.tsx"

export type { PlannedTask, Rejection } from "./Delegation.ts"

export interface SupervisorOutcome<Work = unknown> {
  /**
   * `empty`: there was nothing to do. `exhausted`: not everything was accepted. `overplanned`: more than `maxTasks`, so that none was begun. `misplanned`: a task needs
   * one that is not planned, or needs lead into a circle, so that none was begun.
   */
  readonly outcome: "done" | "empty" | "exhausted" | "overplanned" | "misplanned"
  readonly rounds: number
  /** What was accepted, by task. */
  readonly done: { readonly [task: string]: Work }
  /** Tasks that are left, each with the last reason. */
  readonly left: { readonly [task: string]: string }
}

export interface SupervisorProps<P extends Output, W extends Output, R extends Output>
  extends PatternProps<SupervisorOutcome<ValueOf<W>>> {
  readonly boss: Participant
  /** Workers by name, which the boss is told. */
  readonly workers: { readonly [name: string]: Participant }
  readonly planOutput: Having<P, { readonly tasks: ReadonlyArray<PlannedTask> }>
  readonly workerOutput: W
  /** The tasks that the boss rejects, each as `{ id, feedback }`. A task that is not among them is accepted if it was done. */
  readonly reviewOutput: Having<R, { readonly rejected: ReadonlyArray<Rejection> }>
  /** Maximum number of rounds. Default: 3. */
  readonly maxIterations?: number
  /** Maximum number of planned tasks. Default: 20. */
  readonly maxTasks?: number
  /** Tasks at work at the same time. Default: 4. */
  readonly maxConcurrency?: number
  /** Outcome where not everything was accepted: `fail` fails the run, `accept` goes on. Default: `fail`. */
  readonly onExhausted?: "fail" | "accept"
  /** Outcome where a worker fails for good: `redelegate` does its task again in the next round, `fail` fails the run. Default: `redelegate`. */
  readonly onParticipantFailure?: "redelegate" | "fail"
  /** Time of each participant in each round, all attempts counted. One that is late has failed. Default: none. */
  readonly timeout?: Patience
  readonly children: Prompt
}

export const Supervisor = <P extends Output, W extends Output, R extends Output>(
  props: SupervisorProps<P, W, R>,
): React.ReactNode => {
  const { id, workers, workerOutput, maxTasks = 20, onExhausted = "fail", children } = props
  const [review, rounds, names] = [`${id}:review`, `${id}:rounds`, Object.keys(workers)]
  if (names.length === 0) throw new TypeError(`Supervisor "${id}": it has no "workers"`)
  checkLimits(`Supervisor "${id}"`, 1, { maxTasks })
  const planIn = (ctx: Ctx) =>
    Delegation.ordered(ctx.outputMaybe<Output>(props.planOutput, { nodeId: `${id}:plan` })?.tasks ?? [], maxTasks)
  const workIn = (ctx: Ctx, task: string, iteration: number): ValueOf<W> | undefined =>
    ctx.outputMaybe<Output>(workerOutput, { nodeId: `${id}:do:${task}`, iteration, loop: rounds })
  /** Accepted results and remaining tasks after some rounds. A round has only the tasks that were left before it. */
  const account = (ctx: Ctx, count = ctx.iterationCount<Output>(props.reviewOutput, review)) => {
    const done = Array.from({ length: count }, (_, iteration) => ({
      work: (task: string) => workIn(ctx, task, iteration),
      rejected: ctx.outputMaybe<Output>(props.reviewOutput, { nodeId: review, iteration })?.rejected ?? [],
    }))
    return { rounds: count, ...Delegation.account(planIn(ctx), done) }
  }
  /** The round that ctx is in: what was left before it, results, tasks that have begun or can begin, and those of them to do. */
  const roundIn = (ctx: Ctx) => {
    const { done, left } = account(ctx, ctx.iteration)
    const result = (task: string) => done.get(task) ?? workIn(ctx, task, ctx.iteration)
    const ready = Delegation.ready(planIn(ctx), (task) => result(task) !== undefined)
    return { left, result, ready, open: ready.filter(({ id: task }) => left.has(task)) }
  }
  const delegated = ({ id: task, worker = "", instructions, needs = [] }: PlannedTask) => {
    const by = workers[names.includes(worker) ? worker : (names[0] ?? "")] ?? []
    return (
      <Part timeout={props.timeout} by={by} id={`${id}:do:${task}`} output={workerOutput}>
        {(ctx) => {
          const { left, result } = roundIn(ctx)
          const given = Object.fromEntries(needs.map((need) => [`The result of ${need}`, result(need)]))
          return told(instructions, { ...given, "Done before, and rejected": ctx.iteration === 0 ? undefined : left.get(task) })
        }}
      </Part>
    )
  }
  return (
    <Sequence skipIf={props.skipIf}>
      <Part timeout={props.timeout} by={props.boss} id={`${id}:plan`} output={props.planOutput}>
        {(ctx) => [`Plan tasks for your workers: ${names.join(", ")}. At most ${maxTasks} tasks.\n\n`, say(children, ctx)]}
      </Part>
      <Loop
        id={rounds}
        until={(ctx) => planIn(ctx).fault !== undefined || account(ctx).left.size === 0}
        maxIterations={props.maxIterations ?? 3}
        onMaxReached="return-last"
      >
        <Here>
          {(ctx) => (
            <ForEach
              id={`${id}:tasks`}
              items={roundIn(ctx).open}
              by={(task) => task.id}
              maxConcurrency={props.maxConcurrency ?? 4}
              settled={props.onParticipantFailure !== "fail"}
              more
              until={({ done, failed }, inner) => done + failed >= roundIn(inner).open.length}
            >
              {delegated}
            </ForEach>
          )}
        </Here>
        <Part timeout={props.timeout} by={props.boss} id={review} output={props.reviewOutput}>
          {(ctx) => {
            const { ready, result } = roundIn(ctx)
            const results = ready.map(({ id: task }) => [task, result(task) ?? "There is no result."])
            const asked = "Review the results. Reject each that is not what you asked for."
            return told(asked, Object.fromEntries(results), say(children, ctx))
          }}
        </Part>
      </Loop>
      <Outcome
        {...props}
        failsFor={({ outcome, left }) =>
          onExhausted === "fail" && Object.keys(left).length > 0 && `"${id}" is ${outcome}, with ${Delegation.shown(left)} left`
        }
      >
        {(ctx): SupervisorOutcome<ValueOf<W>> => {
          const [found, { fault, order }] = [account(ctx), planIn(ctx)]
          const over = found.left.size > 0 ? "exhausted" : order.length === 0 ? "empty" : "done"
          const [done, left] = [Object.fromEntries(found.done), Object.fromEntries(found.left)]
          return { outcome: fault ?? over, rounds: found.rounds, done, left }
        }}
      </Outcome>
    </Sequence>
  )
}
