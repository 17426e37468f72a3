/**
 * Types that make the first line of a compiler error name the slip. By default it lists all props for a misspelt one, and the types
 * of all schemas for a wrong return value.
 */

type AnyFunction = (...parameters: never) => unknown

/** Infers an `A` from a value, and accepts any. */
export type Infer<A> = [A] extends [Inferring] ? A : unknown

declare const Inferring: unique symbol
interface Inferring {
  readonly [Inferring]: never
}

/** Return type of a function, for a message. */
export interface InsteadOf<Returned> {
  readonly instead: Returned
}

/** A function that returns an `A`. `Instead` is for messages; the parameters are last, since they may be long. */
export type FunctionGiving<A, _Instead, Parameters extends ReadonlyArray<unknown>> = (...parameters: Parameters) => A

/**
 * A function that returns an `A`, or a value. A given function is compared only with the function type, so that the error is about
 * its return value.
 */
export type GivenAs<Given, A, Parameters extends ReadonlyArray<unknown>, Value = A> = [Given] extends [AnyFunction]
  ? FunctionGiving<A, InsteadOf<ReturnType<Given>>, Parameters>
  : Known<Value> | FunctionGiving<A, InsteadOf<unknown>, Parameters>

/** A type whose union with a function type keeps that type; `unknown` and `any` would absorb it. */
// biome-ignore lint/complexity/noBannedTypes: anything but null and undefined
type Known<Value> = unknown extends Value ? {} | null | undefined : Value

/** Rejects unknown props: each has a type that names it and its component. */
export type Only<Given, Known extends PropertyKey, Name extends string> = {
  readonly [Prop in keyof Given]?: Prop extends Known ? unknown : NoSuchProp<Prop & string, Known & string, Name>
}

type NoSuchProp<Prop extends string, Known extends string, Name extends string> = [Meant<Prop, Known>] extends [never]
  ? `${Name} has no prop ${Prop}`
  : `${Name} has no prop ${Prop}: did you mean ${Meant<Prop, Known>}?`

/**
 * Prop that an unknown name probably means: one with other case, one of another library's name, one spelt alike, or one that
 * contains it.
 */
type Meant<Prop extends string, Known extends string> = First<
  [SameLetters<Prop, Known>, CalledSo<Prop, Known>, SpeltAlike<Prop, Known>, Holding<Prop, Known>]
>

type First<Found extends ReadonlyArray<string>> = Found extends readonly [
  infer Head extends string,
  ...infer Tail extends ReadonlyArray<string>,
]
  ? [Head] extends [never]
    ? First<Tail>
    : Head
  : never

type SameLetters<Prop extends string, Known extends string> = Known extends string
  ? Lowercase<Prop> extends Lowercase<Known>
    ? Known
    : never
  : never

/** Names of our props in other libraries. */
interface Elsewhere {
  readonly after: "dependsOn"
  readonly allowedUsers: "approvers"
  readonly at: "until"
  readonly attempts: "retries"
  readonly catchErrors: "catch"
  readonly concurrency: "maxConcurrency"
  readonly completeWhen: "until"
  readonly deadline: "timeout"
  readonly each: "items"
  readonly condition: "if" | "until"
  readonly correlationId: "correlation"
  readonly delay: "duration"
  readonly delayMs: "durationMs"
  readonly event: "name"
  readonly fallbackAgent: "agent"
  readonly id: "name"
  readonly keyBy: "by"
  readonly keyOf: "by"
  readonly limit: "maxConcurrency" | "maxIterations"
  readonly max: "maxIterations"
  readonly maxAttempts: "retries"
  readonly message: "prompt"
  readonly model: "agent"
  readonly ms: "durationMs"
  readonly name: "id"
  readonly onError: "catch"
  readonly outputSchema: "output"
  readonly prompt: "children"
  readonly question: "prompt"
  readonly retry: "retries"
  readonly rollback: "compensate"
  readonly schema: "output"
  readonly seconds: "duration"
  readonly times: "maxIterations"
  readonly title: "request"
  readonly undo: "compensate"
  readonly when: "if"
  readonly while: "until"
  readonly winners: "count"
}

type CalledSo<Prop extends string, Known extends string> = Prop extends keyof Elsewhere ? Extract<Elsewhere[Prop], Known> : never

/** Names that differ by at most two letters in one place. */
type SpeltAlike<Prop extends string, Known extends string> = Known extends `${infer _}${infer _}${infer Third}${string}`
  ? Third extends ""
    ? never
    : IsAlike<Lowercase<Prop>, Lowercase<Known>> extends true
      ? Known
      : never
  : never

type IsAlike<A extends string, B extends string> =
  Unshared<A, B> extends [infer RestOfA extends string, infer RestOfB extends string]
    ? Unshared<Reversed<RestOfA>, Reversed<RestOfB>> extends [infer InA extends string, infer InB extends string]
      ? [IsShort<InA>, IsShort<InB>] extends [true, true]
        ? true
        : false
      : false
    : false

/** Two words without their common beginning. */
type Unshared<A extends string, B extends string> = A extends `${infer Letter}${infer RestOfA}`
  ? B extends `${Letter}${infer RestOfB}`
    ? Unshared<RestOfA, RestOfB>
    : [A, B]
  : [A, B]

type Reversed<A extends string, Done extends string = ""> = A extends `${infer Letter}${infer Rest}`
  ? Reversed<Rest, `${Letter}${Done}`>
  : Done

type IsShort<A extends string> = A extends `${infer _}${infer _}${infer Rest}` ? (Rest extends "" ? true : false) : true

/** Names of which one contains the other, with at least four letters. */
type Holding<Prop extends string, Known extends string> = Known extends string
  ? IsWord<Known> extends true
    ? Lowercase<Prop> extends `${string}${Lowercase<Known>}${string}`
      ? Known
      : IsWord<Prop> extends true
        ? Lowercase<Known> extends `${string}${Lowercase<Prop>}${string}`
          ? Known
          : never
        : never
    : never
  : never

type IsWord<A extends string> = A extends `${infer _}${infer _}${infer _}${infer Fourth}${string}`
  ? Fourth extends ""
    ? false
    : true
  : false
