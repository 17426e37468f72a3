/** Spans as they end, for tests that look at them. */
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"

export interface Ended {
  readonly name: string
  /** The name of the span around it. */
  readonly parent: string | undefined
  readonly isFailed: boolean
  readonly attributes: { readonly [name: string]: unknown }
}

/** A tracer, and the spans of it that have ended, in order. */
export const make = (): { readonly tracer: Tracer.Tracer; readonly ended: ReadonlyArray<Ended> } => {
  const ended: Array<Ended> = []
  const tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind) => {
      const attributes = new Map<string, unknown>()
      return {
        _tag: "Span",
        spanId: `${name}-id`,
        traceId: "trace",
        sampled: true,
        name,
        parent,
        context,
        links,
        kind,
        attributes,
        status: { _tag: "Started", startTime },
        attribute: (key, value) => attributes.set(key, value),
        event: () => {},
        addLinks: () => {},
        end: (_, exit) => {
          const above = Option.getOrUndefined(parent)
          ended.push({
            name,
            parent: above?._tag === "Span" ? above.name : undefined,
            isFailed: Exit.isFailure(exit),
            attributes: Object.fromEntries(attributes),
          })
        },
      }
    },
    context: (run) => run(),
  })
  return { tracer, ended }
}
