/** @jsxImportSource smithers-orchestrator */
/**
 * A boss plans tasks, workers do each as soon as the tasks it needs are done, and the boss reviews them. Only what was rejected or has failed, and what needs it, is done
 * again.
 */
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
  /** Ids of planned tasks that are done first. The worker is given their results. */
  readonly needs?: ReadonlyArray<string> | undefined
}

interface Rejection {
  readonly id: string
  readonly feedback: string
}

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
  readonly children: Prompt
}

const has = (tasks: ReadonlyArray<PlannedTask>, id: string): boolean => tasks.some((one) => one.id === id)

/** The first of the tasks with each id, each behind those that it needs, and why others can never begin. */
const ordered = (planned: ReadonlyArray<PlannedTask>) => {
  const tasks = planned.filter((task, index) => planned.findIndex((other) => other.id === task.id) === index)
  const order: Array<PlannedTask> = []
  for (let before = -1; before < order.length; ) {
    before = order.length
    for (const task of tasks) if (!has(order, task.id) && (task.needs ?? []).every((need) => has(order, need))) order.push(task)
  }
  const faults: Record<string, string> = {}
  for (const { id, needs = [] } of tasks.filter((task) => !has(order, task.id))) {
    const unknown = needs.find((need) => !has(tasks, need))
    faults[id] =
      unknown === undefined
        ? "its needs lead into a circle, or to a task that cannot begin"
        : `it needs "${unknown}", which is not planned`
  }
  return { tasks, order, faults }
}

export const Supervisor = <P extends Output, W extends Output, R extends Output>(
  props: SupervisorProps<P, W, R>,
): React.ReactNode => {
  const { id, workers, workerOutput, maxTasks = 20, onExhausted = "fail", children } = props
  const [plan, review, names] = [`${id}:plan`, `${id}:review`, Object.keys(workers)]
  if (names.length === 0) throw new TypeError(`Supervisor "${id}": it has no "workers"`)
  const planIn = (ctx: Ctx) => ordered(ctx.outputMaybe<Output>(props.planOutput, { nodeId: plan })?.tasks ?? [])
  const workIn = (ctx: Ctx, task: string, iteration: number) =>
    ctx.outputMaybe<Output>(workerOutput, { nodeId: `${id}:do:${task}`, iteration })
  const reviewIn = (ctx: Ctx, iteration: number): { readonly rejected: ReadonlyArray<Rejection> } | undefined =>
    ctx.outputMaybe<Output>(props.reviewOutput, { nodeId: review, iteration })
  const roundsIn = (ctx: Ctx): number => ctx.iterationCount<Output>(props.reviewOutput, review)
  /** What was accepted in some rounds, and what is left, each with the reason. A result is accepted with those that it needs, or later. */
  const account = (ctx: Ctx, rounds: number) => {
    const { tasks, order, faults } = planIn(ctx)
    const done: Record<string, ValueOf<W>> = {}
    const left: Record<string, string> = { ...Object.fromEntries(tasks.map(({ id: task }) => [task, "not begun"])), ...faults }
    for (let round = 0; round < rounds; round++) {
      for (const { id: task, needs = [] } of order.filter((one) => left[one.id] !== undefined)) {
        const open = needs.find((need) => left[need] !== undefined)
        const rejection = reviewIn(ctx, round)?.rejected.find((one) => one.id === task)?.feedback
        const work = open === undefined ? workIn(ctx, task, round) : undefined
        const failed = work === undefined ? "its worker has failed" : rejection
        left[task] = (open === undefined ? failed : (rejection ?? `it needs "${open}", which is not accepted`)) ?? ""
        if (work === undefined || rejection !== undefined) continue
        done[task] = work
        delete left[task]
      }
    }
    return { done, left }
  }
  const hasFault = (ctx: Ctx): "overplanned" | "misplanned" | undefined => {
    const { tasks, faults } = planIn(ctx)
    return tasks.length > maxTasks ? "overplanned" : Object.keys(faults).length > 0 ? "misplanned" : undefined
  }
  const isOver = (ctx: Ctx): boolean => hasFault(ctx) !== undefined || Object.keys(account(ctx, roundsIn(ctx)).left).length === 0
  /** The result of a task: the accepted one, or that of this round. */
  const resultIn = (ctx: Ctx, task: string, { done, left }: ReturnType<typeof account>) =>
    left[task] === undefined ? done[task] : workIn(ctx, task, ctx.iteration)
  /** The tasks of this round whose needs are there. */
  const readyIn = (ctx: Ctx): ReadonlyArray<PlannedTask> => {
    const [ready, found]: [Array<PlannedTask>, ReturnType<typeof account>] = [[], account(ctx, ctx.iteration)]
    const isThere = (need: string): boolean => has(ready, need) && resultIn(ctx, need, found) !== undefined
    for (const task of planIn(ctx).order) if ((task.needs ?? []).every(isThere)) ready.push(task)
    return ready
  }
  const resultOf = (ctx: Ctx, task: string): unknown =>
    has(readyIn(ctx), task) ? workIn(ctx, task, ctx.iteration) : "It was not begun: a task that it needs has no result."
  /** A task of a round. Accepted work is kept in each round, so that rounds can be read by their number. */
  const delegated = ({ id: task, worker = "", instructions, needs = [] }: PlannedTask, found: ReturnType<typeof account>) =>
    found.left[task] === undefined ? (
      <Kept id={`${id}:do:${task}`} output={workerOutput} value={found.done[task]} />
    ) : (
      <Part by={workers[worker] ?? workers[names[0] ?? ""] ?? []} id={`${id}:do:${task}`} output={workerOutput}>
        {(ctx) => (
          <>
            {instructions}
            {needs.map((need) => (
              <Given key={need} title={`The result of ${need}`} value={resultIn(ctx, need, account(ctx, ctx.iteration))} />
            ))}
            <Given title="Done before, and rejected" value={ctx.iteration === 0 ? undefined : found.left[task]} />
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
        <Part by={props.boss} id={review} output={props.reviewOutput}>
          {(ctx) => (
            <>
              <p>Review the results. Reject each that is not what you asked for.</p>
              {planIn(ctx).tasks.map(({ id: task }) => (
                <Given key={task} title={task} value={resultOf(ctx, task) ?? "There is no result."} />
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
          Object.keys(left).length > 0 &&
          `"${id}" is ${outcome}, with ${Object.entries(left)
            .map(([task, reason]) => `${task} (${reason})`)
            .join(", ")} left`
        }
      >
        {(ctx): SupervisorOutcome<ValueOf<W>> => {
          const found = account(ctx, roundsIn(ctx))
          const over = Object.keys(found.left).length > 0 ? "exhausted" : "done"
          const outcome = hasFault(ctx) ?? (planIn(ctx).tasks.length === 0 ? "empty" : over)
          return { outcome, rounds: roundsIn(ctx), ...found }
        }}
      </Outcome>
    </Sequence>
  )
}
