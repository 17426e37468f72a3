/** @jsxImportSource smithers-orchestrator */
/** Cards go through columns in order. A column takes a card as soon as the one before has finished it, up to its limit at a time. */
import type { Ctx } from "@smithers/jsx/Ctx"
import { ForEach, Parallel, Sequence, useCtx } from "@smithers/jsx/components"
import type * as React from "react"
import {
  Outcome,
  type Output,
  Part,
  type Participant,
  type Patience,
  type PatternProps,
  type Prompt,
  say,
  told,
} from "./Participant.tsx"

export interface Column {
  readonly name: string
  readonly worker: Participant
  readonly output: Output
  /** Cards that are in the column at the same time. Default: no limit. */
  readonly limit?: number
  /** The task of its worker, who is told the card and the result of the column before. Default: that of the board. */
  readonly prompt?: Prompt
}

export interface KanbanOutcome {
  /** `empty`: there were no cards. `partial`: some are blocked. */
  readonly outcome: "done" | "partial" | "empty"
  readonly done: ReadonlyArray<string>
  /** Cards whose worker has failed, each with the column and the reason. */
  readonly blocked: ReadonlyArray<{ readonly key: string; readonly column: string; readonly failure: string }>
}

export interface KanbanProps<Card> extends PatternProps<KanbanOutcome> {
  readonly columns: ReadonlyArray<Column>
  readonly cards: ReadonlyArray<Card>
  /** Key of a card, unique and stable. Default: the card itself, if it is text or a number. */
  readonly by?: (card: Card, index: number) => string | number
  /** More cards may follow in later renders, so the board does not end before a render with `false`. Default: false. */
  readonly more?: boolean
  /** Outcome where a worker fails for good: `block` leaves the card in its column, `fail` fails the run. Default: `block`. */
  readonly onParticipantFailure?: "block" | "fail"
  /** Time of each participant in each round, all attempts counted. One that is late has failed. Default: none. */
  readonly timeout?: Patience
  readonly children?: Prompt
}

export const Kanban = <Card,>(props: KanbanProps<Card>): React.ReactNode => {
  const { id, columns, cards, by = (card: Card) => String(card), more = false, children } = props
  if (columns.length === 0) throw new TypeError(`Kanban "${id}": it has no "columns"`)
  const keyed = cards.map((card, index) => ({ key: String(by(card, index)), card }))
  const resultOf = (ctx: Ctx, { name, output }: Column, key: string): unknown =>
    ctx.outputMaybe<Output>(output, { nodeId: `${id}:${name}:${key}` })
  const blockedIn = (ctx: Ctx) =>
    columns.flatMap(({ name }) =>
      ctx.failures(`${id}:${name}`).map(({ key, error }) => ({ key, column: name, failure: error.message })),
    )
  const ctx = useCtx()
  return (
    <Sequence skipIf={props.skipIf}>
      <Parallel>
        {columns.map((column, index) => {
          const [earlier, before] = [columns.slice(0, index), columns[index - 1]]
          const isHere = (key: string): boolean => earlier.every((one) => resultOf(ctx, one, key) !== undefined)
          // The list stays open while a card may still come.
          const isStuck = (key: string): boolean => blockedIn(ctx).some((one) => one.key === key)
          const isOpen = more || keyed.some(({ key }) => !isHere(key) && !isStuck(key))
          return (
            <ForEach
              key={column.name}
              id={`${id}:${column.name}`}
              items={keyed.filter(({ key }) => isHere(key))}
              by={({ key }) => key}
              more={isOpen}
              maxConcurrency={column.limit ?? Number.POSITIVE_INFINITY}
              settled={props.onParticipantFailure !== "fail"}
            >
              {({ key, card }) => (
                <Part timeout={props.timeout} by={column.worker} id={`${id}:${column.name}:${key}`} output={column.output}>
                  {(ctx) =>
                    told(say(column.prompt ?? children, ctx), {
                      "The card": card,
                      "From the column before": before === undefined ? undefined : resultOf(ctx, before, key),
                    })
                  }
                </Part>
              )}
            </ForEach>
          )
        })}
      </Parallel>
      <Outcome {...props}>
        {(ctx): KanbanOutcome => {
          const done = keyed.flatMap(({ key }) =>
            columns.every((column) => resultOf(ctx, column, key) !== undefined) ? [key] : [],
          )
          return {
            outcome: keyed.length === 0 ? "empty" : done.length < keyed.length ? "partial" : "done",
            done,
            blocked: blockedIn(ctx),
          }
        }}
      </Outcome>
    </Sequence>
  )
}
