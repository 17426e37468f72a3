/**
 * An operation: one thing that can be read or done, with schemas of its input and output and the scope it needs. HTTP and tools of
 * models are made of the same operations.
 */
import type * as Effect from "effect/Effect"
import type * as Schema from "effect/Schema"
import type { Scope } from "./Caller.ts"

/** An error with a tag and a message. */
export interface Tagged {
  readonly _tag: string
  readonly message: string
}

/** One thing that can be read or done. */
export interface Operation<I extends Schema.Schema.AnyNoContext, O extends Schema.Schema.AnyNoContext, A, E extends Tagged, R> {
  readonly name: string
  /** One sentence that opens with a verb. */
  readonly title: string
  readonly scope: Scope
  readonly input: I
  readonly output: O
  readonly run: (input: Schema.Schema.Type<I>) => Effect.Effect<A, E, R>
}

/** Defines an operation. */
export const define = <
  I extends Schema.Schema.AnyNoContext,
  O extends Schema.Schema.AnyNoContext,
  A extends Schema.Schema.Type<O>,
  E extends Tagged,
  R,
>(
  operation: Operation<I, O, A, E, R>,
): Operation<I, O, Schema.Schema.Type<O>, E, R> => operation
