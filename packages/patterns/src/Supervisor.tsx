/** @jsxImportSource smithers-orchestrator */
/** A boss plans tasks, workers do them at the same time, and the boss reviews them. Only what was rejected or has failed is done again. */
import type { Ctx } from "@smithers/jsx/Ctx"
import { ForEach, Loop, Sequence } from "@smithers/jsx/components"
import type * as React from "react"
import {
  Given,
  type Having,
  Here,
  Kept,
  Outcome,
  type Output,
  Part,
  type Participant,
  type PatternProps,
  type Prompt,
  say,
  type ValueOf,
} from "./Participant.tsx"

/** A task as the boss plans it. */
export interface PlannedTask {
  readonly id: string
  /** Name of the worker. Default, also for a name that is unknown: the first one. */
  readonly worker?: string | undefined
  readonly instructions: string
}

interface Rejection {
  readonly id: string
  readonly feedback: string
}

export interface SupervisorOutcome<Work = unknown> {
  /** `empty`: there was nothing to do. `exhausted`: not everything was accepted. `overplanned`: more than `maxTasks`, so that none was begun. */
  readonly outcome: "done" | "empty" | "exhausted" | "overplanned"
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
  readonly children: Prompt
}

export const Supervisor = <P extends Output, W extends Output, R extends Output>(
  props: SupervisorProps<P, W, R>,
): React.ReactNode => {
  const { id, workers, workerOutput, maxTasks = 20, onExhausted = "fail", children } = props
  const [plan, review, names] = [`${id}:plan`, `${id}:review`, Object.keys(workers)]
  if (names.length === 0) throw new TypeError(`Supervisor "${id}": it has no "workers"`)
  const tasksIn = (ctx: Ctx): ReadonlyArray<PlannedTask> => {
    const tasks: ReadonlyArray<PlannedTask> = ctx.outputMaybe<Output>(props.planOutput, { nodeId: plan })?.tasks ?? []
    return tasks.filter((task, index) => tasks.findIndex((other) => other.id === task.id) === index)
  }
  const workIn = (ctx: Ctx, task: string, iteration: number) =>
    ctx.outputMaybe<Output>(workerOutput, { nodeId: `${id}:do:${task}`, iteration })
  const reviewIn = (ctx: Ctx, iteration: number): { readonly rejected: ReadonlyArray<Rejection> } | undefined =>
    ctx.outputMaybe<Output>(props.reviewOutput, { nodeId: review, iteration })
  const roundsIn = (ctx: Ctx): number => ctx.iterationCount<Output>(props.reviewOutput, review)
  /** What was accepted in some rounds, and what is left, each with the reason. */
  const account = (ctx: Ctx, rounds: number) => {
    const [done, left]: [Record<string, ValueOf<W>>, Record<string, string>] = [{}, {}]
    for (const { id: task } of tasksIn(ctx)) {
      let reason: string | undefined = "not begun"
      for (let round = 0; round < rounds && reason !== undefined; round++) {
        const rejection = reviewIn(ctx, round)?.rejected.find((one) => one.id === task)
        reason = workIn(ctx, task, round) === undefined ? "its worker has failed" : rejection?.feedback
      }
      if (reason === undefined) done[task] = workIn(ctx, task, rounds - 1)
      else left[task] = reason
    }
    return { done, left }
  }
  const isOverplanned = (ctx: Ctx): boolean => tasksIn(ctx).length > maxTasks
  const isOver = (ctx: Ctx): boolean => isOverplanned(ctx) || Object.keys(account(ctx, roundsIn(ctx)).left).length === 0
  /** A task of a round. Accepted work is kept in each round, so that rounds can be read by their number. */
  const delegated = ({ id: task, worker = "", instructions }: PlannedTask, { done, left }: ReturnType<typeof account>) =>
    left[task] === undefined ? (
      <Kept id={`${id}:do:${task}`} output={workerOutput} value={done[task]} />
    ) : (
      <Part by={workers[worker] ?? workers[names[0] ?? ""] ?? []} id={`${id}:do:${task}`} output={workerOutput}>
        {(ctx) => (
          <>
            {instructions}
            <Given title="Done before, and rejected" value={ctx.iteration === 0 ? undefined : left[task]} />
          </>
        )}
      </Part>
    )
  return (
    <Sequence skipIf={props.skipIf}>
      <Part by={props.boss} id={plan} output={props.planOutput}>
        {(ctx) => (
          <>
            <p>{`Plan tasks for your workers: ${names.join(", ")}. At most ${maxTasks} tasks.`}</p>
            {say(children, ctx)}
          </>
        )}
      </Part>
      <Loop id={`${id}:rounds`} until={isOver} maxIterations={props.maxIterations ?? 3} onMaxReached="return-last">
        <Here>
          {(ctx) => (
            <ForEach
              id={`${id}:tasks`}
              items={tasksIn(ctx)}
              by={(task) => task.id}
              maxConcurrency={props.maxConcurrency ?? 4}
              settled={props.onParticipantFailure !== "fail"}
            >
              {(task) => delegated(task, account(ctx, ctx.iteration))}
            </ForEach>
          )}
        </Here>
        <Part by={props.boss} id={review} output={props.reviewOutput}>
          {(ctx) => (
            <>
              <p>Review the results. Reject each that is not what you asked for.</p>
              {tasksIn(ctx).map((task) => (
                <Given key={task.id} title={task.id} value={workIn(ctx, task.id, ctx.iteration) ?? "There is no result."} />
              ))}
              <h2>The task</h2>
              {say(children, ctx)}
            </>
          )}
        </Part>
      </Loop>
      <Outcome
        {...props}
        failsFor={({ outcome, left }) =>
          onExhausted === "fail" &&
          (outcome === "exhausted" || outcome === "overplanned") &&
          `"${id}" is ${outcome}, with ${Object.keys(left).join(", ")} left`
        }
      >
        {(ctx): SupervisorOutcome<ValueOf<W>> => {
          const found = account(ctx, roundsIn(ctx))
          const over = Object.keys(found.left).length > 0 ? "exhausted" : "done"
          const outcome = isOverplanned(ctx) ? "overplanned" : tasksIn(ctx).length === 0 ? "empty" : over
          return { outcome, rounds: roundsIn(ctx), ...found }
        }}
      </Outcome>
    </Sequence>
  )
}
