/**
 * Loggers and tracers that no secret gets into. An engine puts those of its runs behind them, so logs and spans of steps pass them
 * whichever loggers and tracer the program provides. {@link layer} does the same for the rest of a program.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberRef from "effect/FiberRef"
import * as HashMap from "effect/HashMap"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as List from "effect/List"
import * as Logger from "effect/Logger"
import * as Tracer from "effect/Tracer"
import { asError } from "./ErrorInfo.ts"
import { isPlainObject } from "./internal/json.ts"
import * as SecretSettings from "./SecretSettings.ts"
import * as Secrets from "./Secrets.ts"
import * as Thrown from "./Thrown.ts"

/** Tells whether a text that is made of a value holds a secret. */
const isSecret = (make: () => string | undefined): boolean => {
  try {
    return Secrets.problemIn(make() ?? "") !== undefined
  } catch {
    return false
  }
}

/** Any value without secrets. Instances of classes that hold one become what is stored of an error, or their JSON. */
const clean = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null) return Secrets.value(value)
  if (value instanceof Error) {
    const isHeld =
      isSecret(() => Cause.pretty(Cause.fail(value), { renderErrorCause: true })) || isSecret(() => JSON.stringify(value))
    return isHeld ? asError(Thrown.describe(value)) : value
  }
  if (Cause.isCause(value)) return cleanCause(value)
  if (Array.isArray(value)) return value.map(clean)
  if (value instanceof Map) return new Map(Array.from(value, ([key, one]) => [clean(key), clean(one)]))
  if (value instanceof Set) return new Set(Array.from(value, clean))
  if (isPlainObject(value)) return Secrets.value(Object.fromEntries(Object.entries(value).map(([key, one]) => [key, clean(one)])))
  const isHeld = isSecret(() => JSON.stringify(value)) || isSecret(() => String(value))
  return isHeld ? Secrets.text(isSecret(() => String(value)) ? String(value) : JSON.stringify(value)) : value
}

/** A cause without secrets. */
const cleanCause = (cause: Cause.Cause<unknown>): Cause.Cause<unknown> =>
  Cause.match(cause, {
    onEmpty: Cause.empty,
    onFail: (error) => Cause.fail(clean(error)),
    onDie: (defect) => Cause.die(clean(defect)),
    onInterrupt: Cause.interrupt,
    onSequential: Cause.sequential,
    onParallel: Cause.parallel,
  })

const isNeeded = (): boolean => !Secrets.redactor().isEmpty

/** A logger that no secret gets into. */
export const logger = <Output>(inner: Logger.Logger<unknown, Output>): Logger.Logger<unknown, Output> => {
  const known = loggers.get(inner)
  if (known !== undefined) return known as Logger.Logger<unknown, Output>
  const made = Logger.make<unknown, Output>((options) =>
    inner.log(
      isNeeded()
        ? {
            ...options,
            message: clean(options.message),
            cause: cleanCause(options.cause),
            annotations: HashMap.fromIterable(
              Array.from(options.annotations, ([key, value]) => [Secrets.text(key), clean(value)] as const),
            ),
            spans: List.map(options.spans, (span) => ({ ...span, label: Secrets.text(span.label) })),
          }
        : options,
    ),
  )
  loggers.set(inner, made)
  loggers.set(made, made)
  return made
}
const loggers = new WeakMap<object, Logger.Logger<unknown, unknown>>()

/** A tracer that no secret gets into. Its spans are those of the tracer, which their exporters know. */
export const tracer = (inner: Tracer.Tracer): Tracer.Tracer => {
  const known = tracers.get(inner)
  if (known !== undefined) return known
  const cleanLinks = (links: ReadonlyArray<Tracer.SpanLink>) =>
    links.map((link) => ({ ...link, attributes: Secrets.value(link.attributes) }))
  const made: Tracer.Tracer = Tracer.make({
    span: (name, parent, context, links, startTime, kind, options) => {
      const span = inner.span(Secrets.text(name), parent, context, cleanLinks(links), startTime, kind, options)
      const { attribute, event, addLinks, end } = span
      span.attribute = (key, value) => attribute.call(span, Secrets.text(key), isNeeded() ? clean(value) : value)
      span.event = (title, time, attributes) =>
        event.call(span, Secrets.text(title), time, attributes === undefined ? undefined : Secrets.value(attributes))
      span.addLinks = (more) => addLinks.call(span, cleanLinks(more))
      span.end = (time, exit) =>
        end.call(span, time, Exit.isFailure(exit) && isNeeded() ? Exit.failCause(cleanCause(exit.cause)) : exit)
      return span
    },
    context: (act, fiber) => inner.context(act, fiber),
  })
  tracers.set(inner, made)
  tracers.set(made, made)
  return made
}
const tracers = new WeakMap<object, Tracer.Tracer>()

type Loggers = HashSet.HashSet<Logger.Logger<unknown, unknown>>

/** Loggers that no secret gets into, made once for all runs that have the same. */
const cleaned = (given: Loggers): Loggers => {
  const known = loggerSets.get(given)
  if (known !== undefined) return known
  const made = HashSet.map(given, logger)
  loggerSets.set(given, made)
  return made
}
const loggerSets = new WeakMap<Loggers, Loggers>()

const enter = Effect.zipRight(FiberRef.update(FiberRef.currentLoggers, cleaned), SecretSettings.notice)

/**
 * The program of a fiber whose logs hold no secret and, if it is traced, whose spans hold none. What it reads by `Config.redacted` is one.
 * Nothing is put back at its end, so the fiber must be its own.
 */
export const within = <A, E, R>(isTraced: boolean, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
  const logged = Effect.zipRight(enter, effect)
  return isTraced ? Effect.flatMap(Effect.tracer, (provided) => Effect.withTracer(logged, tracer(provided))) : logged
}

/**
 * Puts the loggers and the tracer of a program behind ones that no secret gets into, and makes secrets of what it reads by
 * `Config.redacted`. Provide it inside of theirs.
 */
export const layer: Layer.Layer<never> = Layer.unwrapEffect(
  Effect.gen(function* () {
    const loggers = yield* FiberRef.get(FiberRef.currentLoggers)
    const clean = Layer.mergeAll(
      SecretSettings.layer,
      Layer.setTracer(tracer(yield* Effect.tracer)),
      ...Array.from(loggers, (one) => Logger.replace(one, logger(one))),
    )
    return clean
  }),
)
