/** What tests of whole flows share: stores and processes to run them on, and steps that say that they ran. */
import * as Engine from "@smithers/core/Engine"
import * as MemoryStorage from "@smithers/core/MemoryStorage"
import * as Smithers from "@smithers/core/Smithers"
import { type Ports, ports, type Storage } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"

export const stores: ReadonlyArray<readonly [string, Layer.Layer<Ports, unknown>]> = [
  ["memory", MemoryStorage.layer],
  ["SQLite", SqliteStorage.layer({ filename: ":memory:" })],
]

/** Longer than any test lets time pass. */
const lease = "100 days"

/** Runs an effect on a store, with an engine of its own. */
export const runningOn =
  (store: Layer.Layer<Ports, unknown>) =>
  <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) =>
    Effect.provide(effect, Smithers.onStorage(store, { lease }))

/** An engine on a store, as another process would have. */
export const processOn = (storage: Storage["Type"], options: Engine.EngineOptions = {}) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const engine = yield* Engine.make({ lease, ...options }).pipe(Effect.provide(ports(storage)), Scope.extend(scope))
    return { engine, scope, stop: Scope.close(scope, Exit.void) }
  })

const Input = Schema.Struct({})
export type Builder = Smithers.Builder<typeof Input.Type>
export const Text = Schema.String

/** A workflow `w` that is given nothing. */
export const workflow = <A, R>(build: ($: Builder) => Smithers.Node<A, R>, name = "w") =>
  Smithers.createWorkflow({ name, input: Input }).build<A, R>(build)

interface Noted {
  readonly needs?: Readonly<Record<string, Smithers.Node<unknown>>>
  readonly fails?: () => boolean
}

/** Steps that say in what order they were done and undone. They give their id, unless told. */
export const journal = (gives: (id: string, count: number) => string = (id) => id) => {
  const done: Array<string> = []
  const options = (id: string, { needs = {}, fails = () => false }: Noted) => ({
    needs,
    output: Text,
    retry: false as const,
    run: () => {
      done.push(id)
      if (fails()) throw new Error(`${id} is no good`)
      return gives(id, done.length)
    },
  })
  /** Nobody undoes it. */
  const step = ($: Builder, id: string, noted: Noted = {}) => $.step(id, options(id, noted))
  /** `undo` is called when it is undone, once that was said. */
  const undoable = ($: Builder, id: string, { undo, ...noted }: Noted & { readonly undo?: () => unknown } = {}) =>
    $.step(id, {
      ...options(id, noted),
      compensate: ({ output, idempotencyKey }) => {
        done.push(`undo ${output} ${idempotencyKey.split(":")[2]}`)
        return undo?.()
      },
    })
  return { done, step, undoable }
}

export const always = () => true
