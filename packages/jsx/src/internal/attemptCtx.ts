import type { StepContext } from "@smithers/core/StepProgram"
import * as Thrown from "@smithers/core/Thrown"
import { attemptKey } from "@smithers/core/Transaction"
import type { Ctx } from "../Ctx.ts"

/** The ctx of an attempt. Its reads are prepared on first use, since most functions use few of them. */
export class AttemptCtx {
  readonly #context: StepContext<unknown>
  readonly #make: () => Ctx
  #ctx: Ctx | undefined
  constructor(context: StepContext<unknown>, make: () => Ctx) {
    this.#context = context
    this.#make = make
  }
  get #reads(): Ctx {
    this.#ctx ??= this.#make()
    return this.#ctx
  }
  get input() {
    return this.#context.input
  }
  get runId() {
    return this.#context.runId
  }
  get iteration() {
    return this.#context.iteration
  }
  get output() {
    return this.#reads.output
  }
  get outputMaybe() {
    return this.#reads.outputMaybe
  }
  get latest() {
    return this.#reads.latest
  }
  get iterationCount() {
    return this.#reads.iterationCount
  }
  get winner() {
    return this.#reads.winner
  }
  get winners() {
    return this.#reads.winners
  }
  get failures() {
    return this.#reads.failures
  }
  get outputs() {
    return Thrown.get(this.#reads, "outputs")
  }
  get iterations() {
    return Thrown.get(this.#reads, "iterations")
  }
  get latestArray() {
    return Thrown.get(this.#reads, "latestArray")
  }
  get resolveTableName() {
    return Thrown.get(this.#reads, "resolveTableName")
  }
  get taskId() {
    return this.#context.stepId
  }
  get attempt() {
    return this.#context.attempt
  }
  get idempotencyKey() {
    return this.#context.idempotencyKey
  }
  get [attemptKey]() {
    return this.#context[attemptKey]
  }
  get heartbeat() {
    return this.#context.heartbeat
  }
  get lastHeartbeat() {
    return this.#context.lastHeartbeat
  }
  get signal() {
    return this.#context.signal
  }
  get cwd() {
    return this.#context.cwd
  }
  get sandbox() {
    return this.#context.sandbox
  }
}
