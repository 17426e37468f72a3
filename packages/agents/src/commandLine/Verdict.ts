/**
 * The errors of programs that gave no answer: from what the program said, how it ended, and what ended it.
 */
import { defined } from "@smithers/core/Struct"
import * as Either from "effect/Either"
import type { Ended, Times } from "./CliProcess.ts"
import * as Errors from "./Errors.ts"
import * as Problem from "./Problem.ts"

/** The error of a program that was ended because of its time; `undefined` for others. */
export const overdue = (agent: string, ended: Ended, times: Times): Errors.CommandLineError | undefined => {
  const tail = lastOf(ended)
  if (ended.stop === "idle") return new Errors.AgentStalled({ agent, idleMs: times.idleMs, ...tail })
  if (ended.stop === "total") return new Errors.AgentTimedOut({ agent, timeoutMs: times.totalMs, ...tail })
  return undefined
}

const lastOf = ({ tail }: Ended): { readonly tail?: string } => (tail.trim() === "" ? {} : { tail: tail.trim() })

/** The failure that a program has told of. Words that are not known are of a provider, or of the program: another attempt may help. */
export const failure = (facts: Problem.Facts, said: Problem.Said): Either.Either<never, Errors.CommandLineError> =>
  Either.left(
    Problem.read(facts, said) ??
      new Errors.AgentOverloaded({ agent: facts.agent, detail: said.text, ...defined({ status: said.status }) }),
  )

/** The error of a program that ended without a result. */
export const withoutResult = (
  facts: Problem.Facts,
  ended: Ended,
  said: Omit<Problem.Said, "text"> & { readonly text?: string } = {},
): Either.Either<never, Errors.CommandLineError> => {
  const { agent } = facts
  const text = [said.text ?? "", ended.tail].filter((part) => part.trim() !== "").join("\n")
  const isOwnEnd = ended.signal === undefined && ended.stop === undefined && ended.bound === undefined
  // What a program says before it is killed is about something else.
  const known = isOwnEnd && text !== "" ? Problem.read(facts, { ...said, text }) : undefined
  if (known !== undefined) return Either.left(known)
  if (ended.exitCode === 0 && ended.bound === undefined) {
    const problems = [
      ...(ended.tooLong > 0 ? [`${ended.tooLong} lines were too long`] : []),
      ...(ended.malformed > 0 ? [`${ended.malformed} lines are no JSON`] : []),
    ]
    const problem = problems.length === 0 ? "it ended without a result" : `it ended without a result, and ${problems.join(" and ")}`
    return Either.left(new Errors.AgentBadOutput({ agent, problem, ...lastOf(ended) }))
  }
  const { exitCode, signal, bound } = ended
  return Either.left(new Errors.AgentDied({ agent, ...defined({ exitCode, signal, bound }), ...lastOf(ended) }))
}
