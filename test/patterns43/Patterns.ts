/**
 * The 43 classical control-flow patterns (Russell, ter Hofstede, van der Aalst, Mulyar: Workflow Control-Flow Patterns, 2006), each with what happens
 * around it and what has to come of it. The programs that say them are in `Builder.ts` and `Components.tsx`.
 */
import * as Commands from "@smithers/core/Commands"
import * as Effect from "effect/Effect"
import { type Plot, runId, type Said } from "./Kills.ts"

/** One for each pattern, by its number. */
export type Numbered<A> = { readonly [number: number]: A }

/** How a front end says a pattern: directly, by a node, or else by the shortest form there is. */
export interface Form {
  readonly is: "direct" | "by"
  readonly with: string
}

interface Expected {
  /** How the run ends. */
  readonly end: string
  /** Nodes in the order in which their code begins, in a run that is not disturbed. */
  readonly begun: string
  /** The most that are at work at once. */
  readonly atOnce: number
}

/** A pattern. */
export interface Pattern extends Expected {
  readonly name: string
  /** What it is, in a sentence. */
  readonly says: string
  readonly builder: Form
  readonly components: Form
  readonly plot?: Plot
  /** Nodes of which no two may be at work at once. */
  readonly section?: ReadonlyArray<string>
  /** What is other with components. */
  readonly componentsExpected?: Partial<Expected>
}

const direct = (form: string): Form => ({ is: "direct", with: form })
const by = (form: string): Form => ({ is: "by", with: form })

/** Sends a signal, once per asking. */
const send =
  (name: string, payload: unknown): Said =>
  ({ nodeId, iteration }) =>
    Commands.signal(runId, name, { payload, id: `${name} ${nodeId} ${iteration}` })
const both =
  (...all: ReadonlyArray<Said>): Said =>
  (wait) =>
    Effect.forEach(all, (said) => said(wait), { discard: true })
/** What has been found by then: x, then y as well, then z. */
const finding: Said = (wait) => send("found", ["x", "y", "z"].slice(0, wait.iteration + 1))(wait)

export const patterns: Numbered<Pattern> = {
  1: {
    name: "Sequence",
    says: "One task begins when the one before it is over.",
    builder: direct("`$.sequence`"),
    components: direct("`<Sequence>`, and whatever stands one after another"),
    begun: "a b c",
    atOnce: 1,
    end: 'finished with "c"',
  },
  2: {
    name: "Parallel split",
    says: "One thread becomes several that go on at the same time.",
    builder: direct("`$.parallel`"),
    components: direct("`<Parallel>`"),
    begun: "a b c",
    atOnce: 2,
    end: 'finished with ["b","c"]',
  },
  3: {
    name: "Synchronization",
    says: "What follows begins when all threads of the split have arrived.",
    builder: direct("the end of a `$.parallel`"),
    components: direct("the end of a `<Parallel>`"),
    begun: "a b both",
    atOnce: 2,
    end: 'finished with "ab"',
  },
  4: {
    name: "Exclusive choice",
    says: "One of several ways is taken, by what is known.",
    builder: direct("`$.branch`, `$.switch`"),
    components: direct("`<Branch>`, or a condition of JavaScript"),
    begun: "kind fix",
    atOnce: 1,
    end: 'finished with "fix"',
  },
  5: {
    name: "Simple merge",
    says: "Ways of which one was taken come together, and what follows is done once.",
    builder: direct("what stands behind a `$.branch` or `$.switch`, which it can need"),
    components: direct("what stands behind the condition"),
    begun: "kind plan after",
    atOnce: 1,
    end: 'finished with "after plan"',
  },
  6: {
    name: "Multi-choice",
    says: "One or more of several ways are taken at the same time, each by a condition of its own.",
    builder: direct("`$.parallel` of `$.branch`"),
    components: direct("`<Parallel>` with conditions in it"),
    begun: "wanted a c",
    atOnce: 2,
    end: 'finished with ["a",null,"c"]',
    componentsExpected: { end: 'finished with ["a","c"]' },
  },
  7: {
    name: "Structured synchronizing merge",
    says: "After a multi-choice, what follows waits for the ways that were taken, and for no others.",
    builder: direct("the end of that `$.parallel`"),
    components: direct("the end of that `<Parallel>`"),
    begun: "wanted a c after",
    atOnce: 2,
    end: 'finished with "a+c"',
  },
  8: {
    name: "Multi-merge",
    says: "Threads come together without waiting for one another: what follows is done once for each.",
    builder: by("a `$.fragment` of what follows, at the end of each branch: it has ids of its own in each"),
    components: by("a component of what follows, at the end of each branch: it has ids of its own in each"),
    begun: "a b a.after b.after",
    atOnce: 2,
    end: 'finished with ["after","after"]',
    componentsExpected: { end: 'finished with ["a.after","b.after"]' },
  },
  9: {
    name: "Structured discriminator",
    says: "What follows begins with the first of several threads; the others end without any effect on it.",
    builder: direct('`$.race` with `rest: "keep"`'),
    components: direct('`<Race rest="keep">`'),
    begun: "a b c after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  10: {
    name: "Arbitrary cycles",
    says: "A cycle that has more than one way in or out.",
    builder: by("a `$.loop` over a `$.switch`: a step says which place comes next, and `$.previous` takes it up"),
    components: by("a `<Loop>` that draws the place which the pass before has named"),
    begun: "a next b next c next b next c next",
    atOnce: 1,
    end: 'finished with "end"',
  },
  11: {
    name: "Implicit termination",
    says: "The whole ends when nothing is left to do, without an end that is drawn.",
    builder: direct("the run itself"),
    components: direct("the run itself"),
    begun: "a b c",
    atOnce: 2,
    end: 'finished with ["a","c"]',
  },
  12: {
    name: "Multiple instances without synchronization",
    says: "A task is begun several times over, and nothing waits for any of them.",
    builder: direct("`$.map` of `$.subflow` with `attach: false`"),
    components: direct("`<ForEach>` of `<Subflow attach={false}>`"),
    begun: "after mail mail",
    atOnce: 3,
    end: 'finished with "after"',
  },
  13: {
    name: "Multiple instances with a number known at design time",
    says: "A task is done a fixed number of times at once, and what follows waits for all.",
    builder: direct("`$.map` over a fixed list"),
    components: direct("`<ForEach>` over a fixed list"),
    begun: "x:do y:do z:do after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  14: {
    name: "Multiple instances with a number known at run time",
    says: "How many there are is known when they begin.",
    builder: direct("`$.map` over what a step has found"),
    components: direct("`<ForEach>` over what a task has found"),
    begun: "found x:do y:do after",
    atOnce: 2,
    end: 'finished with "after"',
  },
  15: {
    name: "Multiple instances with a number not known before",
    says: "Others may be added while those before are at work, until it is said that no more will come.",
    plot: { words: "Three signals `found` come, with x, with x and y, and with x, y and z.", tell: { found: finding } },
    builder: direct("`$.map` with `more`"),
    components: direct("`<ForEach more>`"),
    begun: "x:do y:do z:do after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  16: {
    name: "Deferred choice",
    says: "Which way is taken is decided by what happens first outside.",
    plot: {
      words: "After an hour the signal `paid` comes.",
      later: [["1 hour", Commands.signal(runId, "paid", { payload: "5" })]],
    },
    builder: direct("`$.race` of what can happen, and a `$.switch` on its winner"),
    components: direct("`<Race>` of what can happen, and a condition on `ctx.winner`"),
    begun: "ship",
    atOnce: 1,
    end: 'finished with "ship"',
  },
  17: {
    name: "Interleaved parallel routing",
    says: "Tasks in any order that a partial order allows, and never two at once.",
    section: ["a", "b", "c"],
    builder: direct("`$.parallel` with `maxConcurrency: 1`, and `needs` for what comes before what"),
    components: direct("`<Parallel maxConcurrency={1}>`, and `dependsOn` for what comes before what"),
    begun: "a b c after",
    atOnce: 1,
    end: 'finished with "after"',
  },
  18: {
    name: "Milestone",
    says: "A task can be done as long as the run is in a certain state, and not any more afterwards.",
    plot: {
      words: "After an hour the signal `change` comes.",
      later: [["1 hour", Commands.signal(runId, "change", { payload: "blue" })]],
    },
    builder: direct("`$.scope` with `cancelWhen`, beginning where the state does"),
    components: direct("`<Scope cancelWhen>`, beginning where the state does"),
    begun: "apply close after",
    atOnce: 1,
    end: 'finished with "after"',
  },
  19: {
    name: "Cancel task",
    says: "A task is withdrawn before or while it is done, and the run goes on behind it.",
    plot: {
      words: 'After an hour `Smithers.cancelNode(runId, "search")` is called.',
      later: [["1 hour", Commands.cancelNode(runId, "search")]],
    },
    builder: direct("`$.scope` around it, and `Smithers.cancelNode`"),
    components: direct("`<Scope>` around it, and `Smithers.cancelNode`"),
    begun: "look after",
    atOnce: 1,
    end: 'finished with "after"',
  },
  20: {
    name: "Cancel case",
    says: "The whole run is stopped, with all that is at work and all that waits in it.",
    plot: { words: "After an hour `Smithers.cancel(runId)` is called.", later: [["1 hour", Commands.cancel(runId)]] },
    builder: direct("`Smithers.cancel`"),
    components: direct("`Smithers.cancel`"),
    begun: "a b",
    atOnce: 2,
    end: "cancelled",
  },
  21: {
    name: "Structured loop",
    says: "A part is done again until a condition holds.",
    builder: direct("`$.loop`"),
    components: direct("`<Loop>`"),
    begun: "draft draft draft",
    atOnce: 1,
    end: "finished with 3",
  },
  22: {
    name: "Recursion",
    says: "A task is the whole process again, one level down.",
    builder: direct("`$.subflow` with `workflow: () => X`"),
    components: direct("`<Subflow workflow={() => x}>`"),
    begun: "here here here bottom",
    atOnce: 1,
    end: 'finished with "at the bottom"',
  },
  23: {
    name: "Transient trigger",
    says: "A signal counts if a task waits for it when it is sent, and is lost for it otherwise.",
    plot: {
      words: 'The signal `go` comes as "early" before anything has begun, and as "late" once it is waited for.',
      tell: { start: both(send("go", "early"), send("start", "")), go: send("go", "late") },
    },
    builder: direct("`$.signal` with `transient: true`"),
    components: direct("`<Signal transient>`"),
    begun: "a",
    atOnce: 1,
    end: 'finished with "late"',
  },
  24: {
    name: "Persistent trigger",
    says: "A signal is kept until a task comes to wait for it.",
    plot: {
      words: 'The signal `go` comes as "early" before anything has begun.',
      tell: { start: both(send("go", "early"), send("start", "")) },
    },
    builder: direct("`$.signal`"),
    components: direct("`<Signal>`"),
    begun: "a",
    atOnce: 1,
    end: 'finished with "early"',
  },
  25: {
    name: "Cancel region",
    says: "A part of the process is withdrawn, with all that is at work in it; what is beside it goes on.",
    plot: { words: "After an hour the signal `stop` comes.", later: [["1 hour", Commands.signal(runId, "stop", { payload: "" })]] },
    builder: direct("`$.scope` with `cancelWhen`, or `Smithers.cancelNode`"),
    components: direct("`<Scope cancelWhen>`, or `Smithers.cancelNode`"),
    begun: "a b beside after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  26: {
    name: "Cancel multiple instance task",
    says: "All instances that are not over are withdrawn, and the run goes on without them.",
    plot: {
      words: 'After an hour `Smithers.cancelNode(runId, "each")` is called.',
      later: [["1 hour", Commands.cancelNode(runId, "each")]],
    },
    builder: direct("`Smithers.cancelNode` of a `$.map`"),
    components: direct("`Smithers.cancelNode` of a `<ForEach>`"),
    begun: "x:do y:do z:do after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  27: {
    name: "Complete multiple instance task",
    says: "Instances that are not over are withdrawn, and the run goes on with what the others gave.",
    plot: {
      words: 'After an hour `Smithers.completeNode(runId, "each")` is called.',
      later: [["1 hour", Commands.completeNode(runId, "each")]],
    },
    builder: direct("`Smithers.completeNode` of a `$.map`"),
    components: direct("`Smithers.completeNode` of a `<ForEach>`"),
    begun: "x:do y:do z:do after",
    atOnce: 3,
    end: 'finished with "x+y+cancelled"',
  },
  28: {
    name: "Blocking discriminator",
    says: "A discriminator that is begun again only when all threads of the time before have arrived.",
    builder: direct('a `$.loop` around a `$.race` with `rest: "keep"`'),
    components: direct('a `<Loop>` around a `<Race rest="keep">`'),
    begun: "a b after a b after",
    atOnce: 2,
    end: 'finished with "after"',
  },
  29: {
    name: "Cancelling discriminator",
    says: "What follows begins with the first of several threads, and the others are withdrawn.",
    builder: direct("`$.race`"),
    components: direct("`<Race>`"),
    begun: "a b after",
    atOnce: 2,
    end: 'finished with "after"',
  },
  30: {
    name: "Structured partial join",
    says: "What follows begins when n of m threads have arrived; the others end without any effect on it.",
    builder: direct('`$.race` with `count` and `rest: "keep"`'),
    components: direct('`<Race count rest="keep">`'),
    begun: "a b c after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  31: {
    name: "Blocking partial join",
    says: "A partial join that is begun again only when all threads of the time before have arrived.",
    builder: direct('a `$.loop` around a `$.race` with `count` and `rest: "keep"`'),
    components: direct('a `<Loop>` around a `<Race count rest="keep">`'),
    begun: "a b c after a b c after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  32: {
    name: "Cancelling partial join",
    says: "What follows begins when n of m threads have arrived, and the others are withdrawn.",
    builder: direct("`$.race` with `count`"),
    components: direct("`<Race count>`"),
    begun: "a b c after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  33: {
    name: "Generalized AND-join",
    says: "One thread of each kind makes one of what follows; what comes early of a kind is kept for the next time.",
    plot: {
      words: "Two signals `left` come after a minute, and a signal `right` after one hour and after two.",
      later: [
        ...["left", "left"].map((name, index) => ["1 minute", Commands.signal(runId, name, { payload: `l${index}` })] as const),
        ...["right", "right"].map(
          (name, index) => [`${index + 1} hours`, Commands.signal(runId, name, { payload: `r${index}` })] as const,
        ),
      ],
    },
    builder: by("a `$.loop` over a `$.parallel` of signals, which the threads send: signals are kept, in order"),
    components: by("a `<Loop>` over a `<Parallel>` of signals, which the threads send: signals are kept, in order"),
    begun: "after after",
    atOnce: 1,
    end: 'finished with "after"',
  },
  34: {
    name: "Static partial join for multiple instances",
    says: "What follows begins when n of the instances are over; the others end without any effect on it.",
    builder: direct('`$.map` with `until` and `rest: "keep"`'),
    components: direct('`<ForEach until rest="keep">`'),
    begun: "x:do y:do z:do after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  35: {
    name: "Cancelling partial join for multiple instances",
    says: "What follows begins when n of the instances are over, and the others are withdrawn.",
    builder: direct("`$.map` with `until`"),
    components: direct("`<ForEach until>`"),
    begun: "x:do y:do z:do after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  36: {
    name: "Dynamic partial join for multiple instances",
    says: "Instances may be added, and a condition on what they have given tells when what follows begins.",
    plot: { words: "Three signals `found` come, with x, with x and y, and with x, y and z.", tell: { found: finding } },
    builder: direct("`$.map` with `more` and `until`"),
    components: direct("`<ForEach more until>`"),
    begun: "x:do y:do z:do after",
    atOnce: 3,
    end: 'finished with "after"',
  },
  37: {
    name: "Local synchronizing merge",
    says: "What follows waits for the ways that were taken, wherever they stand, by what the choices before have said.",
    builder: direct("`$.maybe` as a need"),
    components: direct("`dependsOn`, with `skipIf` for what is not taken"),
    begun: "wanted a beside merge",
    atOnce: 2,
    end: 'finished with ["a",null,"a, no b","beside"]',
  },
  38: {
    name: "General synchronizing merge",
    says: "What follows waits for each thread that can still come, also one that goes round in a loop.",
    builder: direct("`$.maybe` as a need, also into a loop"),
    components: direct("`dependsOn`, also into a loop, with `skipIf` for what is not taken"),
    begun: "a round beside round b merge",
    atOnce: 3,
    end: 'finished with ["a","b","a, b","beside"]',
  },
  39: {
    name: "Critical section",
    says: "Parts of several threads of which never two are at work at once.",
    section: ["lock-a", "lock-b"],
    builder: direct(
      "the parts in a `$.parallel` with `maxConcurrency: 1`, and what is before and behind them beside it, by `needs`",
    ),
    components: direct(
      "the parts in a `<Parallel maxConcurrency={1}>`, and what is before and behind them beside it, by `dependsOn`",
    ),
    begun: "a b lock-a lock-b after-a after-b",
    atOnce: 2,
    end: 'finished with ["a","b",["lock-a","lock-b"],"after-a","after-b"]',
  },
  40: {
    name: "Interleaved routing",
    says: "Each of several tasks once, in any order, and never two at once.",
    section: ["a", "b", "c"],
    builder: direct("`$.parallel` with `maxConcurrency: 1`"),
    components: direct("`<Parallel maxConcurrency={1}>`"),
    begun: "a b c after",
    atOnce: 1,
    end: 'finished with "after"',
  },
  41: {
    name: "Thread merge",
    says: "A number of threads in one branch become one thread.",
    builder: direct("the end of a `$.map`"),
    components: direct("the end of a `<ForEach>`"),
    begun: "x:do y:do one",
    atOnce: 2,
    end: 'finished with "x+y"',
  },
  42: {
    name: "Thread split",
    says: "One thread becomes a number of threads in the same branch.",
    builder: direct("`$.map`"),
    components: direct("`<ForEach>`"),
    begun: "a x:do y:do",
    atOnce: 2,
    end: 'finished with ["x","y"]',
  },
  43: {
    name: "Explicit termination",
    says: "The whole ends when a certain point is reached, whatever else is still at work.",
    builder: direct("`$.scope` around the whole, with `completeWhen`"),
    components: direct("`<Scope until>` around the whole"),
    begun: "a b end",
    atOnce: 2,
    end: 'finished with ["end",null,null]',
  },
}

export type FrontEnd = "builder" | "components"

/** The patterns by their numbers. */
export const entries: ReadonlyArray<readonly [number, Pattern]> = Object.entries(patterns).map(([number, pattern]) => [
  Number(number),
  pattern,
])

/** How many a front end says directly, and how many not. */
export const summaryOf = (frontEnd: FrontEnd): string => {
  const count = entries.filter(([, pattern]) => pattern[frontEnd].is === "direct").length
  return `${count} directly, ${entries.length - count} by a form of several nodes`
}
