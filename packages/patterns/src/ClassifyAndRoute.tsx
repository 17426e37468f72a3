/** @jsxImportSource smithers-orchestrator */
/** A classifier names the category of each item, and the specialist of that category handles it. Code picks the route. */
import type { Ctx } from "@smithers/jsx/Ctx"
import { ForEach, Sequence } from "@smithers/jsx/components"
import type * as React from "react"
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

/** An item and how it was routed. */
export interface Routed<Answer = unknown> {
  readonly key: string
  readonly category: string | undefined
  /** `otherwise`: its category is unknown or too uncertain. `unrouted`: so it is, and there is no `otherwise`. `failed`: a participant failed. */
  readonly outcome: "routed" | "otherwise" | "unrouted" | "failed"
  readonly answer: Answer | undefined
}

export interface RouteOutcome<Answer = unknown> {
  /** `routed`: each item has an answer. `partial`: some have none. `empty`: there were no items. */
  readonly outcome: "routed" | "partial" | "empty"
  readonly items: ReadonlyArray<Routed<Answer>>
}

export interface ClassifyAndRouteProps<Item, C extends Output, R extends Output> extends PatternProps<RouteOutcome<ValueOf<R>>> {
  readonly items: ReadonlyArray<Item>
  /** Key of an item, unique and stable. Default: the item itself, if it is text or a number. */
  readonly by?: (item: Item, index: number) => string | number
  readonly classifier: Participant
  readonly classifyOutput: Having<C, { readonly category: string; readonly confidence?: number | undefined }>
  /** Specialists by category. */
  readonly routes: { readonly [category: string]: Participant }
  readonly routeOutput: R
  /** Specialist for items of no known category, or whose confidence is too low. Default: none. */
  readonly otherwise?: Participant
  /** Confidence below which an item goes `otherwise`. A missing confidence counts as 0. Default: 0. */
  readonly minConfidence?: number
  readonly maxConcurrency?: number
  /** Outcome where a participant fails for good: `skip` marks the item as failed, `fail` fails the run. Default: `skip`. */
  readonly onParticipantFailure?: "skip" | "fail"
  /** Time of each participant in each round, all attempts counted. One that is late has failed. Default: none. */
  readonly timeout?: Patience
  /** The task. The classifier is told the categories, and both are told the item. */
  readonly children: Prompt
}

export const ClassifyAndRoute = <Item, C extends Output, R extends Output>(
  props: ClassifyAndRouteProps<Item, C, R>,
): React.ReactNode => {
  const { id, items, by = String, classifyOutput, routes, routeOutput, otherwise, minConfidence = 0, children } = props
  const categories = Object.keys(routes)
  if (categories.length === 0) throw new TypeError(`ClassifyAndRoute "${id}": it has no "routes"`)
  checkLimits(`ClassifyAndRoute "${id}"`, 0, { minConfidence })
  const keys = items.map((item, index) => String(by(item, index)))
  const classOf = (ctx: Ctx, key: string) => ctx.outputMaybe<Output>(classifyOutput, { nodeId: `${id}:classify:${key}` })
  /** The category of an item if there is a route for it, and it is certain enough. */
  const routeOf = (ctx: Ctx, key: string): string | undefined => {
    const { category, confidence = 0 } = classOf(ctx, key) ?? {}
    return categories.includes(category) && !(confidence < minConfidence) ? category : undefined
  }
  const handling = (item: Item, key: string) => (ctx: Ctx) => {
    const by = classOf(ctx, key) === undefined ? undefined : (routes[routeOf(ctx, key) ?? ""] ?? otherwise)
    if (by === undefined) return null
    return (
      <Part timeout={props.timeout} by={by} id={`${id}:handle:${key}`} output={routeOutput}>
        {(ctx) => told(say(children, ctx), { "The item": item })}
      </Part>
    )
  }
  return (
    <Sequence skipIf={props.skipIf}>
      <ForEach
        id={`${id}:items`}
        items={items}
        by={by}
        maxConcurrency={props.maxConcurrency ?? Number.POSITIVE_INFINITY}
        settled={props.onParticipantFailure !== "fail"}
      >
        {(item, index) => (
          <Sequence>
            <Part timeout={props.timeout} by={props.classifier} id={`${id}:classify:${keys[index]}`} output={classifyOutput}>
              {(ctx) => told(`Name the category of the item: ${categories.join(", ")}.`, { "The item": item }, say(children, ctx))}
            </Part>
            <Here>{handling(item, keys[index] ?? "")}</Here>
          </Sequence>
        )}
      </ForEach>
      <Outcome {...props}>
        {(ctx): RouteOutcome<ValueOf<R>> => {
          const routed = keys.map((key): Routed<ValueOf<R>> => {
            const [found, isRouted] = [classOf(ctx, key), routeOf(ctx, key) !== undefined]
            if (found === undefined) return { key, category: undefined, outcome: "failed", answer: undefined }
            const { category } = found
            if (!isRouted && otherwise === undefined) return { key, category, outcome: "unrouted", answer: undefined }
            const answer = ctx.outputMaybe<Output>(routeOutput, { nodeId: `${id}:handle:${key}` })
            return { key, category, outcome: answer === undefined ? "failed" : isRouted ? "routed" : "otherwise", answer }
          })
          const isAll = routed.every(({ outcome }) => outcome === "routed" || outcome === "otherwise")
          return { outcome: routed.length === 0 ? "empty" : isAll ? "routed" : "partial", items: routed }
        }}
      </Outcome>
    </Sequence>
  )
}
