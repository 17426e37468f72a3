/**
 * Clients of a workflow, for callers without the services of its steps. A layer binds the services once and determines their
 * lifetime.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Tracer from "effect/Tracer"
import type { Engine } from "./Engine.ts"
import { InvalidWorkflow, unnamed } from "./Errors.ts"
import * as Millis from "./Millis.ts"
import type { NarrowPorts } from "./Storage.ts"
import * as Thrown from "./Thrown.ts"
import type { Runs, Writes } from "./Workflow.ts"

/** A method without requirements. */
type Bound<F> = F extends (...parameters: infer P) => Effect.Effect<infer A, infer E, infer _R>
  ? (...parameters: P) => Effect.Effect<A, E>
  : never

/** The methods of a workflow, without requirements. */
export interface Client<in I, out A, out E = never, out W = unknown> extends Writes<W> {
  readonly execute: Bound<Runs<I, A, never, E>["execute"]>
  readonly run: Bound<Runs<I, A, never, E>["run"]>
  readonly start: Bound<Runs<I, A, never, E>["start"]>
  readonly attach: Bound<Runs<I, A, never, E>["attach"]>
  readonly poll: Bound<Runs<I, A, never, E>["poll"]>
  readonly resume: Bound<Runs<I, A, never, E>["resume"]>
  readonly cancel: Bound<Runs<I, A, never, E>["cancel"]>
  readonly forceCancel: Bound<Runs<I, A, never, E>["forceCancel"]>
  readonly signalWithStart: Bound<Runs<I, A, never, E>["signalWithStart"]>
}

/** A workflow of either front end. */
interface Runnable<in I, out A, out R, out E, out W> extends Runs<I, A, R, E>, Writes<W> {
  readonly name: string
}

const keys = new WeakMap<object, string>()
let made = 0

/** The tag of the client of a workflow, unique and named after it. */
const tagOf = <I, A, R, E, W>(workflow: Runnable<I, A, R, E, W>): Context.Tag<Client<I, A, E, W>, Client<I, A, E, W>> => {
  ensure(workflow)
  const key = keys.get(workflow) ?? `@smithers/core/Client/${nameOf(workflow)}#${++made}`
  keys.set(workflow, key)
  return Context.GenericTag<Client<I, A, E, W>>(key)
}

/** The name of a workflow of components comes from a render, which may fail; the run reports that failure. */
const nameOf = (workflow: { readonly name: string }): string => {
  try {
    return workflow.name
  } catch {
    return "?"
  }
}

/** Callers without types may give what is none, such as a module that has one as its default export. */
const ensure = (workflow: unknown): void => {
  if (typeof Thrown.get(workflow, "execute") === "function") return
  const problem = `${Millis.show(workflow)} is given in place of a workflow`
  throw new InvalidWorkflow({ workflow: unnamed, where: "Smithers.client and Smithers.toLayer", problem })
}

/**
 * The client of a workflow, provided by {@link toLayer}.
 *
 * @example
 * ```ts
 * const handler = Effect.flatMap(Smithers.client(Review), (review) => review.execute(input, { runId }))
 * ```
 */
export const client = <I, A, R, E, W>(
  workflow: Runnable<I, A, R, E, W>,
): Effect.Effect<Client<I, A, E, W>, never, Client<I, A, E, W>> => tagOf(workflow)

/**
 * Binds a workflow to an engine, a store and the services of its steps. Its runs are driven with the services of the layer and
 * must not outlive it: an engine below the layer ends after it.
 */
export const toLayer = <I, A, R, E, W>(
  workflow: Runnable<I, A, R, E, W>,
): Layer.Layer<Client<I, A, E, W>, never, Engine | NarrowPorts | R> =>
  Layer.effect(
    tagOf(workflow),
    Effect.map(Effect.context<Engine | NarrowPorts | R>(), (context) => {
      // The span of the layer's construction is not the parent of later calls.
      const services = Context.omit(Tracer.ParentSpan)(context) as typeof context
      const bind =
        <P extends ReadonlyArray<unknown>, B, F, S extends Engine | NarrowPorts | R>(
          method: (...parameters: P) => Effect.Effect<B, F, S>,
        ) =>
        (...parameters: P): Effect.Effect<B, F> =>
          Effect.provide(method(...parameters), services)
      return {
        execute: bind(workflow.execute),
        run: bind(workflow.run),
        start: bind(workflow.start),
        attach: bind(workflow.attach),
        poll: bind(workflow.poll),
        resume: bind(workflow.resume),
        cancel: bind(workflow.cancel),
        forceCancel: bind(workflow.forceCancel),
        signalWithStart: bind(workflow.signalWithStart),
      }
    }),
  )
