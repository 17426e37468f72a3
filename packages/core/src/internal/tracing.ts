/**
 * Spans of runs, steps, attempts and waits, and annotations of the logs inside them. Spans are made only if a tracer was
 * provided: they are a fifth of the cost of a step, and the default tracer drops them.
 */
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import { asError } from "../ErrorInfo.ts"
import type { RunEvent } from "../RunEvent.ts"
import type { EndedResult } from "../RunResult.ts"
import * as RunState from "../RunState.ts"

/** The default tracer, which drops its spans. */
const nativeTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Tells whether a tracer was provided. */
export const isTraced: Effect.Effect<boolean> = Effect.map(Effect.tracer, (tracer) => tracer !== nativeTracer)

/** Labels of a log or span: attributes of spans, and annotations of logs. */
export interface Labels {
  readonly runId: string
  readonly workflow: string
  readonly nodeId?: string
  readonly iteration?: number
  readonly attempt?: number
}

/** The fields of a {@link Labels}. A run inside a step of another run is not at that step. */
const words = ["runId", "workflow", "nodeId", "iteration", "attempt"] as const

const annotated = (annotations: HashMap.HashMap<string, unknown>, labels: Labels): HashMap.HashMap<string, unknown> =>
  HashMap.mutate(annotations, (next) => {
    for (const word of words) {
      if (labels[word] === undefined) HashMap.remove(next, word)
      else HashMap.set(next, word, labels[word])
    }
  })

/** Runs an effect in its own fiber with labels: annotates its logs and, if traced, all spans in it. */
export const at = <A, E, R>(labels: Labels, traced: boolean, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  // The fiber ends with the effect, so nothing has to be restored.
  Effect.flatMap(annotate(FiberRef.currentLogAnnotations, labels), () =>
    traced ? Effect.flatMap(annotate(FiberRef.currentTracerSpanAnnotations, labels), () => effect) : effect,
  )

/** The labels of an attempt of a run. */
type AttemptLabels = Required<Labels>

/**
 * Annotates the logs of the attempts of one run. Most attempts differ by their node alone, so that the annotations which they share are made once:
 * five entries for each would be a tenth of the cost of a step.
 */
export const ofAttempts = (): (<A, E, R>(labels: AttemptLabels, effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>) => {
  let made: (Pick<AttemptLabels, "iteration" | "attempt"> & { readonly of: Annotations; readonly shared: Annotations }) | undefined
  const annotationsOf = (before: Annotations, { nodeId, ...labels }: AttemptLabels): Annotations => {
    const { iteration, attempt } = labels
    if (made === undefined || made.of !== before || made.iteration !== iteration || made.attempt !== attempt)
      made = { of: before, iteration, attempt, shared: annotated(before, labels) }
    return HashMap.set(made.shared, "nodeId", nodeId)
  }
  return (labels, effect) =>
    Effect.zipRight(
      FiberRef.update(FiberRef.currentLogAnnotations, (before) => annotationsOf(before, labels)),
      effect,
    )
}

type Annotations = HashMap.HashMap<string, unknown>

const annotate = (annotations: FiberRef.FiberRef<HashMap.HashMap<string, unknown>>, labels: Labels): Effect.Effect<void> =>
  FiberRef.update(annotations, (before) => annotated(before, labels))

/** Runs an effect in a span that ends with the exit that `ended` returns: a successful effect may have a failure as its result. */
export const within = <A, E, R>(
  name: string,
  options: Tracer.SpanOptions,
  effect: Effect.Effect<A, E, R>,
  ended: (exit: Exit.Exit<A, E>, span: Tracer.Span) => Exit.Exit<unknown, unknown>,
): Effect.Effect<A, E, R> =>
  Effect.flatMap(Effect.makeSpan(name, { ...options, captureStackTrace: false }), (span) =>
    Effect.onExit(Effect.withParentSpan(effect, span), (exit) =>
      Effect.map(Effect.clock, (clock) => span.end(clock.unsafeCurrentTimeNanos(), ended(exit, span))),
    ),
  ) as Effect.Effect<A, E, R>

/** The end of the span of a run. */
export const endOfRun = <E>(exit: Exit.Exit<EndedResult<unknown>, E>, span: Tracer.Span): Exit.Exit<unknown, unknown> => {
  if (Exit.isFailure(exit)) return exit
  span.attribute("outcome", exit.value.status)
  return exit.value.status === "failed" ? Exit.fail(exit.value.error) : exit
}

/** The trace of a run's start, stored in its first event. */
export interface Trace {
  readonly traceId: string
  readonly spanId: string
}

/** The trace of the current span. */
export const currentTrace: Effect.Effect<Trace | undefined> = Effect.map(Effect.option(Effect.currentSpan), (found) => {
  const span = Option.getOrUndefined(found)
  return span === undefined ? undefined : { traceId: span.traceId, spanId: span.spanId }
})

/** Links the current span to the trace of its run's start. */
export const linkTo = (trace: Trace): Effect.Effect<void> =>
  Effect.ignore(
    Effect.linkSpanCurrent(Tracer.externalSpan({ ...trace, sampled: true }), { "smithers.link": "first" }) as Effect.Effect<void>,
  )

/** Makes the spans of waits that ended, each from the wait's beginning, in any process. */
export const waits = (state: RunState.RunState, events: ReadonlyArray<RunEvent>): Effect.Effect<void> =>
  Effect.gen(function* () {
    const tracer = yield* Effect.tracer
    const parent = yield* Effect.option(Effect.currentSpan)
    for (const event of events) {
      if (event._tag !== "WaitEnded" && event._tag !== "NodeWithdrawn") continue
      const { nodeId, iteration } = event
      const wait = RunState.step(state, nodeId, iteration)?.wait
      if (wait?.endedAt === undefined) continue
      const span = tracer.span("smithers.wait", parent, Context.empty(), [], nanos(wait.since), "internal", {})
      const outcome = event._tag === "WaitEnded" ? event.reason : "withdrawn"
      const child = wait.kind === "subflow" ? { childRunId: wait.name } : { signal: wait.name }
      const { runId, workflow } = state
      const said = { runId, workflow, nodeId, iteration, kind: wait.kind, outcome, ...(wait.name === undefined ? {} : child) }
      for (const [name, value] of Object.entries(said)) span.attribute(name, value)
      const error = event._tag === "WaitEnded" && event.status === "failed" ? event.error : undefined
      span.end(nanos(wait.endedAt), error === undefined ? Exit.void : Exit.fail(asError(error)))
    }
  })

const nanos = (ms: number): bigint => BigInt(ms) * 1_000_000n
