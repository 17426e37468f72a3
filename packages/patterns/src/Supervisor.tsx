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
  /** The tasks that the boss rejects. A task that is not among them is accepted if it was done. */
  readonly reviewOutput: Having<R, { readonly rejected: ReadonlyArray<{ readonly id: string; readonly feedback: string }> }>
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
  const {
    id,
    workers,
    planOutput,
    workerOutput,
    reviewOutput,
    maxIterations = 3,
    maxTasks = 20,
    maxConcurrency = 4,
    onExhausted = "fail",
    children,
  } = props
  const [plan, review, names] = [`${id}:plan`, `${id}:review`, Object.keys(workers)]
  if (names.length === 0) throw new TypeError(`Supervisor "${id}": it has no "workers"`)
  const tasksIn = (ctx: Ctx): ReadonlyArray<PlannedTask> => {
    const tasks: ReadonlyArray<PlannedTask> = ctx.outputMaybe<Output>(planOutput, { nodeId: plan })?.tasks ?? []
    return tasks.filter((task, index) => tasks.findIndex((other) => other.id === task.id) === index)
  }
  const nodeOf = (task: string): string => `${id}:do:${task}`
  const workIn = (ctx: Ctx, task: string, iteration: number) =>
    ctx.outputMaybe<Output>(workerOutput, { nodeId: nodeOf(task), iteration })
  const roundsIn = (ctx: Ctx): number => ctx.iterationCount<Output>(reviewOutput, review)
  /** The reason why a task is left after some rounds; `undefined` once it was accepted. */
  const leftAfter = (ctx: Ctx, task: string, rounds: number): string | undefined => {
    let reason: string | undefined = "not begun"
    for (let round = 0; round < rounds && reason !== undefined; round++) {
      const rejected: ReadonlyArray<{ readonly id: string; readonly feedback: string }> =
        ctx.outputMaybe<Output>(reviewOutput, { nodeId: review, iteration: round })?.rejected ?? []
      reason = workIn(ctx, task, round) === undefined ? "its worker has failed" : rejected.find((one) => one.id === task)?.feedback
    }
    return reason
  }
  const leftIn = (ctx: Ctx) => tasksIn(ctx).filter((task) => leftAfter(ctx, task.id, roundsIn(ctx)) !== undefined)
  const isOverplanned = (ctx: Ctx): boolean => tasksIn(ctx).length > maxTasks
  return (
    <Sequence skipIf={props.skipIf}>
      <Part by={props.boss} id={plan} output={planOutput}>
        {(ctx) => (
          <>
            <p>
              Plan tasks for your workers: {names.join(", ")}. At most {maxTasks} tasks.
            </p>
            {say(children, ctx)}
          </>
        )}
      </Part>
      <Loop
        id={`${id}:rounds`}
        until={(ctx) => isOverplanned(ctx) || leftIn(ctx).length === 0}
        maxIterations={maxIterations}
        onMaxReached="return-last"
      >
        <Here>
          {(ctx) => (
            <ForEach
              id={`${id}:tasks`}
              items={tasksIn(ctx)}
              by={(task) => task.id}
              maxConcurrency={maxConcurrency}
              settled={props.onParticipantFailure !== "fail"}
            >
              {({ id: task, worker = "", instructions }) => {
                const reason = leftAfter(ctx, task, ctx.iteration)
                const nodeId = nodeOf(task)
                // Accepted work is kept in each round, so that the rounds can be read by their number.
                if (reason === undefined)
                  return <Kept id={nodeId} output={workerOutput} value={workIn(ctx, task, ctx.iteration - 1)} />
                return (
                  <Part by={workers[worker] ?? workers[names[0] ?? ""] ?? []} id={nodeId} output={workerOutput}>
                    {(ctx) => (
                      <>
                        {instructions}
                        <Given title="Done before, and rejected" value={ctx.iteration === 0 ? undefined : reason} />
                      </>
                    )}
                  </Part>
                )
              }}
            </ForEach>
          )}
        </Here>
        <Part by={props.boss} id={review} output={reviewOutput}>
          {(ctx) => (
            <>
              <p>Review the results. Reject each that is not what you asked for.</p>
              <Given
                title="The results"
                value={Object.fromEntries(tasksIn(ctx).map((task) => [task.id, workIn(ctx, task.id, ctx.iteration) ?? "none"]))}
              />
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
          const [tasks, rounds] = [tasksIn(ctx), roundsIn(ctx)]
          const reasons = tasks.map((task) => [task.id, leftAfter(ctx, task.id, rounds)] as const)
          const left = Object.fromEntries(
            reasons.flatMap(([task, reason]) => (reason === undefined ? [] : [[task, reason] as const])),
          )
          const done = Object.fromEntries(
            reasons.flatMap(([task, reason]) => (reason === undefined ? [[task, workIn(ctx, task, rounds - 1)] as const] : [])),
          )
          const over = Object.keys(left).length > 0 ? "exhausted" : "done"
          return { outcome: isOverplanned(ctx) ? "overplanned" : tasks.length === 0 ? "empty" : over, rounds, done, left }
        }}
      </Outcome>
    </Sequence>
  )
}
