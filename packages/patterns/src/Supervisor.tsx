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
  Given,
  type Having,
  Here,
  Kept,
  Outcome,
  type Output,
  Part,
  type Participant,
  type Patience,
  type PatternProps,
  type Prompt,
  say,
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
  const [review, names] = [`${id}:review`, Object.keys(workers)]
  if (names.length === 0) throw new TypeError(`Supervisor "${id}": it has no "workers"`)
  const planIn = (ctx: Ctx) =>
    Delegation.ordered(ctx.outputMaybe<Output>(props.planOutput, { nodeId: `${id}:plan` })?.tasks ?? [], maxTasks)
  const workIn = (ctx: Ctx, task: string, iteration = ctx.iteration): ValueOf<W> | undefined =>
    ctx.outputMaybe<Output>(workerOutput, { nodeId: `${id}:do:${task}`, iteration })
  const roundsIn = (ctx: Ctx): number => ctx.iterationCount<Output>(props.reviewOutput, review)
  /** Accepted results and remaining tasks after some rounds. */
  const account = (ctx: Ctx, rounds = roundsIn(ctx)) =>
    Delegation.account(
      planIn(ctx),
      Array.from({ length: rounds }, (_, iteration) => ({
        work: (task: string) => workIn(ctx, task, iteration),
        rejected: ctx.outputMaybe<Output>(props.reviewOutput, { nodeId: review, iteration })?.rejected ?? [],
      })),
    )
  /** The result of a task in a round: the accepted one of an earlier round, or that of this one. */
  const resultIn = (ctx: Ctx, task: string) => account(ctx, ctx.iteration).done[task] ?? workIn(ctx, task)
  const readyIn = (ctx: Ctx) => Delegation.ready(planIn(ctx), (task) => resultIn(ctx, task) !== undefined)
  /** A task of a round. Accepted work is kept in each round, so that a round is read by its number. */
  const delegated = (
    { id: task, worker = "", instructions, needs = [] }: PlannedTask,
    { done, left }: ReturnType<typeof account>,
  ) =>
    left[task] === undefined ? (
      <Kept id={`${id}:do:${task}`} output={workerOutput} value={done[task]} />
    ) : (
      <Part
        timeout={props.timeout}
        by={workers[worker] ?? workers[names[0] ?? ""] ?? []}
        id={`${id}:do:${task}`}
        output={workerOutput}
      >
        {(ctx) => (
          <>
            {instructions}
            {needs.map((need) => (
              <Given key={need} title={`The result of ${need}`} value={resultIn(ctx, need)} />
            ))}
            <Given title="Done before, and rejected" value={ctx.iteration === 0 ? undefined : left[task]} />
          </>
        )}
      </Part>
    )
  return (
    <Sequence skipIf={props.skipIf}>
      <Part timeout={props.timeout} by={props.boss} id={`${id}:plan`} output={props.planOutput}>
        {(ctx) => (
          <>
            <p>{`Plan tasks for your workers: ${names.join(", ")}. At most ${maxTasks} tasks.`}</p>
            {say(children, ctx)}
          </>
        )}
      </Part>
      <Loop
        id={`${id}:rounds`}
        until={(ctx) => planIn(ctx).fault !== undefined || Object.keys(account(ctx).left).length === 0}
        maxIterations={props.maxIterations ?? 3}
        onMaxReached="return-last"
      >
        <Here>
          {(ctx) => (
            <ForEach
              id={`${id}:tasks`}
              items={readyIn(ctx)}
              by={(task) => task.id}
              maxConcurrency={props.maxConcurrency ?? 4}
              settled={props.onParticipantFailure !== "fail"}
              more
              until={({ done, failed }, inner) => done + failed >= readyIn(inner).length}
            >
              {(task) => delegated(task, account(ctx, ctx.iteration))}
            </ForEach>
          )}
        </Here>
        <Part timeout={props.timeout} by={props.boss} id={review} output={props.reviewOutput}>
          {(ctx) => (
            <>
              <p>Review the results. Reject each that is not what you asked for.</p>
              {readyIn(ctx).map(({ id: task }) => (
                <Given key={task} title={task} value={workIn(ctx, task) ?? "There is no result."} />
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
          onExhausted === "fail" && Object.keys(left).length > 0 && `"${id}" is ${outcome}, with ${Delegation.shown(left)} left`
        }
      >
        {(ctx): SupervisorOutcome<ValueOf<W>> => {
          const [found, { fault, order }] = [account(ctx), planIn(ctx)]
          const over = Object.keys(found.left).length > 0 ? "exhausted" : order.length === 0 ? "empty" : "done"
          return { outcome: fault ?? over, rounds: roundsIn(ctx), ...found }
        }}
      </Outcome>
    </Sequence>
  )
}
