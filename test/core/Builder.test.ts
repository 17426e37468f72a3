import { describe, expect, it } from "@effect/vitest"
import { InvalidWorkflow } from "@smithers/core/Errors"
import * as Smithers from "@smithers/core/Smithers"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"
import * as z from "zod"

/** The builder as JavaScript sees it. */
type Untyped = Record<
  "step" | "sequence" | "parallel" | "branch" | "switch" | "loop" | "fragment" | "previous",
  (...args: ReadonlyArray<unknown>) => unknown
>

const createWorkflow = Smithers.createWorkflow as (options: unknown) => {
  readonly build: (write: unknown) => Smithers.Workflow<unknown, unknown>
}

const build = (write: ($: Untyped) => unknown, options: object = {}) =>
  createWorkflow({ name: "w", input: Schema.Void, ...options }).build(write)

const caught = (action: () => unknown): unknown => {
  try {
    action()
  } catch (thrown) {
    return thrown
  }
  return "nothing was thrown"
}

/** Where and why a workflow was refused. */
const refusal = (write: ($: Untyped) => unknown, options?: object) => {
  const error = caught(() => build(write, options))
  expect(error).toBeInstanceOf(InvalidWorkflow)
  const { where, problem, message, _tag } = error as InvalidWorkflow
  expect(message).toBe(`Workflow "${(error as InvalidWorkflow).workflow}" cannot be built: ${problem} (at ${where}).`)
  expect(_tag).toBe("InvalidWorkflow")
  return { where, problem }
}

const work = { output: Schema.Number, run: () => 1 }
const idRule = "a text of 1 to 1000 characters"

describe("a schema whose values can never be stored", () => {
  class Person extends Schema.Class<Person>("Person")({ name: Schema.String }) {}
  interface Tree {
    readonly at: Date
    readonly of?: Tree | undefined
  }
  const Tree: Schema.Schema<Tree> = Schema.Struct({
    at: Schema.DateFromSelf,
    of: Schema.optional(Schema.suspend(() => Tree)),
  })
  const ZodTree = z.object({
    get of() {
      return ZodTree.optional()
    },
    at: z.date(),
  })
  const datetime = "use z.iso.datetime(), and new Date(…) where it is read"
  const unstorable: ReadonlyArray<readonly [what: string, schema: unknown, problem: string]> = [
    ["z.date()", z.date(), `a Date cannot be stored: ${datetime}`],
    ["z.coerce.date()", z.object({ at: z.coerce.date() }), `a Date cannot be stored (at at): ${datetime}`],
    [
      "a codec",
      z.codec(z.string(), z.date(), { decode: (text) => new Date(text), encode: String }),
      `a Date cannot be stored: ${datetime}`,
    ],
    ["z.bigint()", z.array(z.bigint()), "a bigint cannot be stored (at *): use z.string(), and BigInt(…) where it is read"],
    [
      "z.map()",
      z.object({ a: z.map(z.string(), z.number()).optional() }),
      "a Map cannot be stored (at a): use z.record(z.string(), …)",
    ],
    ["z.set()", z.union([z.string(), z.set(z.string())]), "a Set cannot be stored: use z.array(…)"],
    ["z.symbol()", z.record(z.string(), z.symbol().nullable()), "a symbol cannot be stored (at *): use z.string() or z.enum(…)"],
    ["z.nan()", z.tuple([z.string(), z.nan()]), "NaN cannot be stored (at 1): use z.number(), or z.null() for none"],
    ["z.instanceof()", z.instanceof(URL), "an instance of URL cannot be stored: use an object of its fields"],
    ["z.instanceof(Date)", z.instanceof(Date), `a Date cannot be stored: ${datetime}`],
    [
      "a date that may be left out",
      z.preprocess((value) => value, z.date().default(new Date(0)).readonly()),
      `a Date cannot be stored: ${datetime}`,
    ],
    [
      "a date of one kind",
      z.discriminatedUnion("t", [z.object({ t: z.literal("a") }), z.object({ t: z.literal("b"), at: z.date() })]),
      `a Date cannot be stored (at at): ${datetime}`,
    ],
    [
      "a part of two",
      z.intersection(z.object({ a: z.string() }), z.object({ at: z.date() })),
      `a Date cannot be stored (at at): ${datetime}`,
    ],
    ["a schema that contains itself", ZodTree, `a Date cannot be stored (at at): ${datetime}`],
    [
      "Schema.DateFromSelf",
      Schema.Struct({ at: Schema.DateFromSelf }),
      "a value of type Date cannot be stored (at at): use Schema.Date",
    ],
    ["Schema.BigIntFromSelf", Schema.Array(Schema.BigIntFromSelf), "a bigint cannot be stored (at *): use Schema.BigInt"],
    [
      "Schema.MapFromSelf",
      Schema.MapFromSelf({ key: Schema.String, value: Schema.String }),
      "a value of type ReadonlyMap cannot be stored: use Schema.ReadonlyMap",
    ],
    [
      "what is in a map",
      Schema.Map({ key: Schema.String, value: Schema.DateFromSelf }),
      "a value of type Date cannot be stored (at *.1): use Schema.Date",
    ],
    [
      "Schema.OptionFromSelf",
      Schema.NullOr(Schema.OptionFromSelf(Schema.String)),
      "a value of type Option cannot be stored: use Schema.Option",
    ],
    ["Schema.DateTimeUtcFromSelf", Schema.DateTimeUtcFromSelf, "a value of type Utc cannot be stored: use Schema.DateTimeUtc"],
    [
      "Schema.Uint8ArrayFromSelf",
      Schema.Uint8ArrayFromSelf,
      "a value of type Uint8Array cannot be stored: use Schema.Uint8ArrayFromBase64",
    ],
    ["Schema.SymbolFromSelf", Schema.SymbolFromSelf, "a symbol cannot be stored: use Schema.Symbol"],
    [
      "Schema.instanceOf",
      Schema.instanceOf(URL),
      "an instance of URL cannot be stored: use Schema.Class, or Schema.transform from what is stored",
    ],
    [
      "the type of a class",
      Schema.typeSchema(Person),
      "an instance of Person cannot be stored: use the class itself as the schema, whose encoded form is an object",
    ],
    [
      "a field with a default",
      Schema.Struct({ at: Schema.optionalWith(Schema.DateFromSelf, { default: () => new Date(0) }) }),
      "a value of type Date cannot be stored (at at): use Schema.Date",
    ],
    ["an Effect Schema that contains itself", Tree, "a value of type Date cannot be stored (at at): use Schema.Date"],
    [
      "a field named by a symbol",
      Schema.Struct({ [Symbol.for("s")]: Schema.String }),
      "a field named by Symbol(s) cannot be stored: use a name that is text",
    ],
  ]

  it.each(unstorable)("is refused wherever it is given: %s", (_, schema, problem) => {
    const uses = (name: string, options: object) =>
      (($: Untyped) => ($ as Record<string, Untyped["step"]>)[name]?.("a", options)) as never
    expect(refusal(uses("step", { ...work, output: schema }))).toEqual({ where: 'step "a"', problem: `"output": ${problem}` })
    expect(refusal(uses("human", { prompt: "?", output: schema }))).toEqual({ where: 'human "a"', problem: `"output": ${problem}` })
    expect(refusal(uses("signal", { name: "s", payload: schema }))).toEqual({
      where: 'signal "a"',
      problem: `"payload": ${problem}`,
    })
    expect(refusal(($) => $.step("a", work), { input: schema })).toEqual({
      where: "createWorkflow",
      problem: `"input": ${problem}`,
    })
  })

  it.each<[what: string, schema: unknown]>([
    ["text of a time", z.iso.datetime()],
    ["what a transform makes of text", z.string().transform(Number).pipe(z.number())],
    ["JSON", z.json()],
    ["anything", z.any()],
    ["a date that is read as text", z.string().transform((text) => text)],
    [
      "a date with an encoded form",
      Schema.Struct({ at: Schema.Date, ids: Schema.Map({ key: Schema.BigInt, value: Schema.Option(Schema.DateTimeUtc) }) }),
    ],
    ["a class", Person],
    ["what an author declares", Schema.declare((value): value is { readonly a: 1 } => typeof value === "object")],
    ["nothing", Schema.Void],
  ])("is told from one whose values can: %s", (_, schema) => {
    expect(() => build(($) => $.step("a", { output: schema, run: () => 1 }), { input: schema })).not.toThrow()
  })
})

describe("the options of a step", () => {
  const refused = (options: unknown) => refusal(($) => $.step("a", options))
  const agent = { name: "writer", tools: { read: {}, bash: {} }, generate: async () => ({ text: "" }) }
  const asked = { output: work.output, agent, prompt: "Write." }
  const duration = `is not a duration such as "30s" or "2 minutes"`

  it.each<[what: string, options: unknown, problem: string]>([
    ["no options", undefined, "its options are missing"],
    ["null for options", null, "its options are missing"],
    ["no output", { run: work.run }, `"output" must be an Effect Schema or a Standard Schema`],
    [
      "an output that is no schema",
      { ...work, output: { type: "number" } },
      `"output" must be an Effect Schema or a Standard Schema`,
    ],
    ["no code", { output: work.output }, `"run" must be a function`],
    ["code that is no function", { ...work, run: Promise.resolve(1) }, `"run" must be a function`],
    ["a prompt without an agent", { ...work, prompt: "Write." }, `it has "prompt" but no agent`],
    ["rights without an agent", { ...work, allowTools: ["read"] }, `it has "allowTools" but no agent`],
    ["code and an agent", { ...asked, run: work.run }, `it has "run" and "agent", each of which does its work: give one of them`],
    ["an agent without a prompt", { ...asked, prompt: undefined }, `"prompt" must be text, or a function`],
    [
      "an agent that is none",
      { ...asked, agent: "gpt" },
      `its agent is not an agent: it has no method "generate", and is no model`,
    ],
    [
      "an agent that is undefined",
      { ...asked, agent: undefined },
      "its agent is undefined: check the name of the variable or property",
    ],
    ["corrections below 0", { ...asked, corrections: -1 }, "its corrections must be a whole number of at least 0"],
    ["tools that are no list", { ...asked, allowTools: "read" }, `"allowTools" must be an array of names of tools`],
    ["a tool without a name", { ...asked, allowTools: ["read", ""] }, `"allowTools" must be an array of names of tools`],
    ["a tool twice", { ...asked, allowTools: ["read", "read"] }, `"allowTools" lists "read" twice`],
    [
      "a tool that no agent has",
      { ...asked, allowTools: ["raed"] },
      `"allowTools" lists "raed", which no agent of it has: it has read, bash`,
    ],
    [
      "hosts that are no list",
      { ...asked, allowNetwork: "all" },
      `"allowNetwork" must be an array of hosts such as "api.github.com"`,
    ],
    [
      "a host with a scheme",
      { ...asked, allowNetwork: ["https://api.github.com"] },
      `"allowNetwork" "https://api.github.com" is an address with a scheme: name the host alone`,
    ],
    [
      "a host with a path",
      { ...asked, allowNetwork: ["api.github.com/repos"] },
      `"allowNetwork" "api.github.com/repos" is no host: write a name such as "api.github.com", "*.npmjs.org" or "localhost:8080", or "[::1]:8080"`,
    ],
    [
      "any host",
      { ...asked, allowNetwork: ["*"] },
      `"allowNetwork" "*" is no host: write a name such as "api.github.com", "*.npmjs.org" or "localhost:8080", or "[::1]:8080"`,
    ],
    [
      "a port beyond 65535",
      { ...asked, allowNetwork: ["api.github.com:70000"] },
      `"allowNetwork" "api.github.com:70000" has no port from 1 to 65535`,
    ],
    ["a root that is no text", { ...asked, root: 3 }, `"root" must be the path of a directory, from the root of the runtime`],
    ["a root that leads away", { ...asked, root: "src/../.." }, `"root" "src/../.." leads outside the root of the runtime`],
    [
      "a readOnly that is text",
      { ...asked, readOnly: "no" },
      `"readOnly" must be true or false, and not the text "no": write readOnly: false`,
    ],
    ["a skipIf that is no function", { ...work, skipIf: true }, `"skipIf" must be a function`],
    ["a compensate that is no function", { ...work, compensate: "undo" }, `"compensate" must be a function`],
    ["a need that is no node", { ...work, needs: { b: "b" } }, `need "b" is not a step or another node made by $`],
    ["a need that is nothing", { ...work, needs: { b: undefined } }, `need "b" is not a step or another node made by $`],
    ["needs that are no object", { ...work, needs: 1 }, `"needs" must be an object of nodes by name`],
    ["a timeout that is no duration", { ...work, timeout: "soon" }, `"timeout" "soon" ${duration}`],
    ["a timeout without end", { ...work, timeout: Number.POSITIVE_INFINITY }, `"timeout" Infinity ${duration}`],
    ["a timeout of nothing", { ...work, timeout: "0s" }, `"timeout" "0s" is not longer than 0`],
    [
      "a heartbeat timeout that is no duration",
      { ...work, heartbeatTimeout: {} },
      `"heartbeatTimeout" [object Object] ${duration}`,
    ],
    ["a continueOnFail that is no boolean", { ...work, continueOnFail: 1 }, `"continueOnFail" must be true or false`],
    [
      "a continueOnFail that is text",
      { ...work, continueOnFail: "yes" },
      `"continueOnFail" must be true or false, and not the text "yes": write continueOnFail: true`,
    ],
    ["a label that is no text", { ...work, label: 1 }, `"label" must be text`],
    [
      "a meta that is no JSON",
      { ...work, meta: { owner: { since: new Date(0) } } },
      `"meta" must be JSON: owner.since a Date is not a JSON value`,
    ],
    ["a meta that is no object", { ...work, meta: ["x"] }, `"meta" must be an object`],
    ["a retry that is a number", { ...work, retry: 3 }, `"retry" must be an object, a Schedule or false`],
    ["a retry that is true", { ...work, retry: true }, `"retry" must be an object, a Schedule or false`],
    [
      "attempts below one",
      { ...work, retry: { maxAttempts: 0 } },
      "retry.maxAttempts must be a whole number of at least 1, or Infinity",
    ],
    [
      "an unknown back-off",
      { ...work, retry: { backoff: "random" } },
      `retry.backoff must be "exponential", "linear" or "constant"`,
    ],
    [
      "a first delay that is no duration",
      { ...work, retry: { initialDelay: "soon" } },
      `retry.initialDelay "soon" is not a duration`,
    ],
    ["a longest delay that is no duration", { ...work, retry: { maxDelay: "-1s" } }, `retry.maxDelay "-1s" is not a duration`],
    ["jitter that is text", { ...work, retry: { jitter: "no" } }, "retry.jitter must be true or false"],
    [
      "attempts as text",
      { ...work, retry: { maxAttempts: "3" } },
      "retry.maxAttempts must be a whole number of at least 1, or Infinity",
    ],
    ["a factor as text", { ...work, retry: { factor: "2" } }, "retry.factor must be greater than 0"],
    ["a retry that is a list", { ...work, retry: [] }, `"retry" must be an object, a Schedule or false`],
    ["a timeout beyond all dates", { ...work, timeout: 1e300 }, `"timeout" 1e+300 is longer than 8.64e15 ms`],
    ["a timeout that is true", { ...work, timeout: true }, `"timeout" a boolean is not a duration such as "30s" or "2 minutes"`],
    ["a timeout that is null", { ...work, timeout: null }, `"timeout" null is not a duration such as "30s" or "2 minutes"`],
    ["a factor of nothing", { ...work, retry: { factor: 0 } }, "retry.factor must be greater than 0"],
    ["a cache that is text", { ...work, cache: "yes" }, `"cache" must be true or an object`],
  ])("a step with %s is refused", (_what, options, problem) => {
    expect(refused(options)).toEqual({ where: `step "a"`, problem })
  })

  it.each<[what: string, options: unknown, where: string, problem: RegExp]>([
    [
      "a step",
      { ...work, retries: 3 },
      `step "a"`,
      /^it has no option "retries"; there are output, error, needs, run, retry, .*label, meta$/,
    ],
    ["retry", { ...work, retry: { attempts: 3 } }, `step "a"`, /^retry has no option "attempts"; there are maxAttempts, backoff/],
    [
      "cache",
      { ...work, cache: { maxAge: "1h" } },
      `step "a"`,
      /^"cache" has no option "maxAge"; there are key, ttl, scope, version$/,
    ],
  ])("an option of %s that does not exist is named, together with those that do", (_what, options, where, problem) => {
    const refusal = refused(options)
    expect(refusal.where).toBe(where)
    expect(refusal.problem).toMatch(problem)
  })

  it("a cache key that is no function and a time to live that is no duration are refused", () => {
    expect(refused({ ...work, cache: { key: "input" } })).toEqual({ where: `step "a"`, problem: `"cache.key" must be a function` })
    expect(refused({ ...work, cache: { ttl: "long" } })).toEqual({ where: `step "a"`, problem: `"cache.ttl" "long" ${duration}` })
  })

  it.each([
    ["nothing", "", `""`],
    ["1001 characters", "a".repeat(1001), `"${"a".repeat(199)}…`],
  ])("an id with %s is refused", (_what, id, shown) => {
    expect(refusal(($) => $.step(id, work))).toEqual({ where: `step ${shown}`, problem: `its id must be ${idRule}` })
    expect(refusal(($) => $.loop({ id, body: $.sequence(), until: () => true }))).toEqual({
      where: `loop ${shown}`,
      problem: `its id must be ${idRule}`,
    })
  })

  it("an id that is no text is refused", () => {
    expect(refusal(($) => $.step(7, work)).where).toBe(`step "7"`)
    expect(refusal(($) => $.step(undefined, work)).where).toBe(`step "undefined"`)
    expect(refusal(($) => $.loop(undefined)).where).toBe(`loop "undefined"`)
  })

  it("an id may have 200 characters of every kind allowed", () => {
    const id = "Az09_.:@-".padEnd(200, "x")
    expect(build(($) => $.step(id, work)).plan.positions.get(id)).toBe(0)
  })
})

describe("the options of control flow", () => {
  const notANode = "is not a step or another node made by $"

  it.each<[what: string, write: ($: Untyped) => unknown, where: string, problem: string]>([
    ["a sequence of text", ($) => $.sequence($.step("a", work), "b"), "sequence", `child 1 ${notANode}`],
    ["a sequence of an array", ($) => $.sequence([$.step("a", work)]), "sequence", `child 0 ${notANode}`],
    ["a parallel of null", ($) => $.parallel(null), "parallel", `child 0 ${notANode}`],
    ["a parallel with options in front", ($) => $.parallel({ failFast: true }, $.sequence()), "parallel", `child 0 ${notANode}`],
    ["a failFast that is no boolean", ($) => $.parallel({ failFast: 1 }), "parallel", `"failFast" must be true or false`],
    ["a switch without options", ($) => $.switch(), "switch", "its options are missing"],
    ["a switch without cases", ($) => $.switch({ on: () => "a" }), "switch", `"cases" must be an object of nodes by name`],
    [
      "a switch with a node for cases",
      ($) => $.switch({ on: () => "a", cases: $.sequence() }),
      "switch",
      `"cases" must be an object of nodes by name`,
    ],
    ["a switch with no cases", ($) => $.switch({ on: () => "a", cases: {} }), "switch", `"cases" has none`],
    ["a switch with text as a case", ($) => $.switch({ on: () => "a", cases: { a: "a" } }), "switch", `case "a" ${notANode}`],
    ["a switch without a choice", ($) => $.switch({ cases: { a: $.sequence() } }), "switch", `"on" must be a function`],
    [
      "a switch with text otherwise",
      ($) => $.switch({ on: () => "a", cases: { a: $.sequence() }, otherwise: "b" }),
      "switch",
      `"otherwise" ${notANode}`,
    ],
    ["a branch without options", ($) => $.branch(), "branch", "its options are missing"],
    ["a branch without a condition", ($) => $.branch({ then: $.sequence() }), "branch", `"when" must be a function`],
    ["a branch without an arm", ($) => $.branch({ when: () => true }), "branch", `"then" ${notANode}`],
    [
      "another arm that is no node",
      ($) => $.branch({ when: () => true, then: $.sequence(), else: 1 }),
      "branch",
      `"else" ${notANode}`,
    ],
    [
      "a branch that needs text",
      ($) => $.branch({ needs: { a: "a" }, when: () => true, then: $.sequence() }),
      "branch",
      `need "a" ${notANode}`,
    ],
    ["a loop without options", ($) => $.loop(), `loop "undefined"`, `its id must be ${idRule}`],
    ["a loop without a body", ($) => $.loop({ id: "l", until: () => true }), `loop "l"`, `"body" ${notANode}`],
    ["a loop without an end", ($) => $.loop({ id: "l", body: $.sequence() }), `loop "l"`, `"until" must be a function`],
    [
      "a loop that does not say how often",
      ($) => $.loop({ id: "l", body: $.sequence(), until: () => true }),
      `loop "l"`,
      `"maxIterations" is missing: a whole number of at least 1, or Infinity for no limit`,
    ],
    [
      "an unknown way to reach the limit",
      ($) => $.loop({ id: "l", body: $.sequence(), until: () => true, onMaxReached: "stop" }),
      `loop "l"`,
      `"onMaxReached" must be "return-last" or "fail"`,
    ],
  ])("%s is refused", (_what, write, where, problem) => {
    expect(refusal(write)).toEqual({ where, problem })
  })

  it("options that do not exist are refused", () => {
    expect(refusal(($) => $.parallel($.sequence(), { concurrency: 2 }))).toEqual({
      where: "parallel",
      problem: `it has no option "concurrency"; there are maxConcurrency, maxItems, failFast, sandbox`,
    })
    expect(refusal(($) => $.branch({ when: () => true, then: $.sequence(), otherwise: $.sequence() }))).toEqual({
      where: "branch",
      problem: `it has no option "otherwise"; there are needs, when, then, else`,
    })
    expect(refusal(($) => $.loop({ id: "l", body: $.sequence(), until: () => true, max: 3 }))).toEqual({
      where: `loop "l"`,
      problem: `it has no option "max"; there are id, needs, body, until, maxIterations, onMaxReached`,
    })
  })

  it.each([0, -1, 1.5, Number.NaN, "2"])("a limit of %s is refused", (limit) => {
    const wrong = `must be a whole number of at least 1, or Infinity, and not ${JSON.stringify(limit) === "null" ? "NaN" : JSON.stringify(limit)}`
    if (limit !== 0)
      expect(refusal(($) => $.sequence($.parallel($.sequence(), { maxConcurrency: limit })))).toEqual({
        where: "sequence > [0] parallel",
        problem: `"maxConcurrency" ${wrong}`,
      })
    expect(refusal(($) => $.loop({ id: "l", body: $.sequence(), until: () => true, maxIterations: limit }))).toEqual({
      where: `loop "l"`,
      problem: `"maxIterations" ${wrong}`,
    })
    expect(refusal(($) => $.sequence(), { maxConcurrency: limit })).toEqual({
      where: "createWorkflow",
      problem: `"maxConcurrency" ${wrong}`,
    })
  })
})

describe("a workflow as a whole", () => {
  it.each<[what: string, options: object, problem: string]>([
    ["no name", { name: undefined }, `its name must be ${idRule}`],
    ["an empty name", { name: "" }, `its name must be ${idRule}`],
    ["no input", { input: undefined }, `"input" must be an Effect Schema or a Standard Schema`],
    ["a version that is no text", { version: 2 }, `"version" must be a string`],
    [
      "an unknown option",
      { retries: 3 },
      `it has no option "retries"; there are name, input, version, maxConcurrency, budget, deadline, snapshots`,
    ],
  ])("a workflow with %s is refused", (_what, options, problem) => {
    expect(refusal(($) => $.sequence(), options)).toEqual({ where: "createWorkflow", problem })
  })

  it.each<[what: string, result: unknown]>([
    ["nothing", undefined],
    ["a promise", Promise.resolve()],
    ["a list of nodes", []],
    ["something with a plan of another kind", { plan: null }],
  ])("a build that returns %s is refused", (_what, result) => {
    expect(refusal(() => result)).toEqual({ where: "createWorkflow", problem: "build must return a node made by $" })
  })

  it("an id that is taken is refused, wherever it was first used", () => {
    expect(refusal(($) => $.sequence($.step("a", work), $.parallel($.step("b", work), $.step("a", work))))).toEqual({
      where: `sequence > [1] parallel > [1] step "a"`,
      problem: `id "a" is already taken by sequence > [0] step "a"`,
    })
    expect(refusal(($) => $.loop({ id: "a", body: $.step("a", work), until: () => true, maxIterations: 2 }))).toEqual({
      where: `loop "a" > [0] step "a"`,
      problem: `id "a" is already taken by loop "a"`,
    })
  })

  it("a step that stands in two places is refused", () => {
    const write = ($: Untyped) => {
      const a = $.step("a", work)
      return $.sequence(a, $.branch({ when: () => true, then: $.sequence(), else: a }))
    }
    expect(refusal(write)).toEqual({
      where: `sequence > [1] branch > [1] step "a"`,
      problem: `id "a" is already taken by sequence > [0] step "a"`,
    })
  })
})

describe("a need", () => {
  it("cannot be a step that is not part of the workflow", () => {
    expect(refusal(($) => $.step("b", { ...work, needs: { a: $.step("a", work) } }))).toEqual({
      where: `step "b"`,
      problem: `need "a" is "a", which is not part of this workflow`,
    })
  })

  it("cannot be a step of another workflow with the same id", () => {
    let foreign: unknown
    build(($) => {
      foreign = $.step("a", work)
      return foreign
    })
    expect(refusal(($) => $.sequence($.step("a", work), $.step("b", { ...work, needs: { a: foreign } })))).toEqual({
      where: `sequence > [1] step "b"`,
      problem: `need "a" is "a", which is not part of this workflow`,
    })
  })

  it("cannot be a step that comes later", () => {
    const write = ($: Untyped) => {
      const b = $.step("b", work)
      return $.sequence($.parallel($.step("a", { ...work, needs: { b } })), b)
    }
    expect(refusal(write)).toEqual({
      where: `sequence > [0] parallel > [0] step "a"`,
      problem: `need "b" is "b", which comes later (sequence > [1] step "b")`,
    })
  })

  it.each([
    "input",
    "output",
    "heartbeat",
    "lastHeartbeat",
    "signal",
    "runId",
    "stepId",
    "iteration",
    "attempt",
    "idempotencyKey",
    "__proto__",
  ])("cannot have the name %s, which a step's context uses", (name) => {
    const write = ($: Untyped) => {
      const a = $.step("a", work)
      return $.sequence(a, $.step("b", { ...work, needs: Object.fromEntries([[name, a]]) }))
    }
    expect(refusal(write)).toEqual({ where: `sequence > [1] step "b"`, problem: `a need cannot be named "${name}"` })
  })

  it("cannot be a step in an arm that may not be taken", () => {
    const write = ($: Untyped) => {
      const a = $.step("a", work)
      return $.sequence($.branch({ when: () => true, then: a }), $.step("b", { ...work, needs: { a } }))
    }
    expect(refusal(write)).toEqual({
      where: `sequence > [1] step "b"`,
      problem: `need "a" is in an arm of sequence > [0] branch, which may not be taken: need that itself, or take it with $.maybe`,
    })
  })

  it("cannot be a step in the other arm", () => {
    const write = ($: Untyped) => {
      const a = $.step("a", work)
      return $.branch({ when: () => true, then: a, else: $.step("b", { ...work, needs: { a } }) })
    }
    expect(refusal(write)).toEqual({
      where: `branch > [1] step "b"`,
      problem: `need "a" is in one arm of branch and this node in the other`,
    })
    const cases = ($: Untyped) => {
      const a = $.step("a", work)
      return $.switch({ on: () => "a", cases: { a, b: $.sequence() }, otherwise: $.step("b", { ...work, needs: { a } }) })
    }
    expect(refusal(cases)).toEqual({
      where: `switch > [2] step "b"`,
      problem: `need "a" is in one arm of switch and this node in the other`,
    })
  })

  it("of a previous pass must be a step of a loop around both, with the same schema", () => {
    const previous = ($: Untyped, id: string, schema: unknown) =>
      $.step("b", { ...work, needs: { before: $.previous(id, schema) } })
    expect(refusal(($) => $.sequence($.step("a", work), previous($, "a", work.output)))).toEqual({
      where: `sequence > [1] step "b"`,
      problem: `need "before" is the previous pass of "a", which is in no loop around this node`,
    })
    const beside = ($: Untyped) =>
      $.sequence($.loop({ id: "l", body: $.step("a", work), until: () => true, maxIterations: 2 }), previous($, "a", work.output))
    expect(refusal(beside).problem).toBe(`need "before" is the previous pass of "a", which is in no loop around this node`)
    expect(refusal(($) => previous($, "c", work.output))).toEqual({
      where: `step "b"`,
      problem: `need "before" is "c", which is not part of this workflow`,
    })
    const other = ($: Untyped) =>
      $.loop({ id: "l", body: $.sequence($.step("a", work), previous($, "a", Schema.String)), until: () => true, maxIterations: 2 })
    expect(refusal(other)).toEqual({
      where: `loop "l" > [0] sequence > [1] step "b"`,
      problem: `need "before" expects another output schema than that of loop "l" > [0] sequence > [0] step "a"`,
    })
  })

  it("of a branch or a loop follows the same rules", () => {
    const late = ($: Untyped) => {
      const a = $.step("a", work)
      return $.sequence($.branch({ needs: { a }, when: () => true, then: $.sequence() }), a)
    }
    expect(refusal(late)).toEqual({
      where: "sequence > [0] branch",
      problem: `need "a" is "a", which comes later (sequence > [1] step "a")`,
    })
    const ownArm = ($: Untyped) => {
      const a = $.step("a", work)
      return $.branch({ needs: { a }, when: () => true, then: a })
    }
    expect(refusal(ownArm).where).toBe("branch")
    const reserved = ($: Untyped) => {
      const a = $.step("a", work)
      return $.loop({ id: "l", needs: { output: a }, body: a, until: () => true, maxIterations: 2 })
    }
    expect(refusal(reserved)).toEqual({ where: `loop "l"`, problem: `a need cannot be named "output"` })
  })
})

describe("fragments", () => {
  const Text = Schema.String
  const input = Schema.Struct({ topic: Schema.String })
  const declare = () => Smithers.createWorkflow({ name: "w", input })

  /** Two steps and a loop around them, the first step of which needs one from outside. */
  const refine = ($: Smithers.Builder<{ readonly topic: string }>, draft: Smithers.Node<string>, rounds: number) => {
    const before = $.previous("edit", Text)
    const edit = $.step("edit", { output: Text, needs: { draft, before }, run: ({ draft, before }) => before ?? draft })
    const check = $.step("check", { output: Schema.Boolean, needs: { edit }, run: ({ edit }) => edit.length > 3 })
    return $.loop({ id: "rounds", body: $.sequence(edit, check), until: ({ output }) => output === true, maxIterations: rounds })
  }

  const ids = (workflow: { readonly plan: { readonly positions: ReadonlyMap<string, number> } }) => [
    ...workflow.plan.positions.keys(),
  ]

  it("put their prefix in front of every id inside, of steps, loops and previous passes", () => {
    const workflow = declare().build(($) => {
      const draft = $.step("draft", { output: Text, run: ({ input }) => input.topic })
      return $.sequence(draft, $.fragment("one", refine, draft, 2), $.fragment("two", refine, draft, 3))
    })
    expect(ids(workflow)).toEqual(["draft", "one.rounds", "one.edit", "one.check", "two.rounds", "two.edit", "two.check"])
    const lines = workflow.plan.text.split("\n").map((line) => JSON.parse(line) as [number, string, Record<string, unknown>])
    const edit = lines.find(([, , data]) => data.id === "two.edit")
    expect(edit?.[2].needs).toEqual({ draft: "draft", before: "two.edit (previous)" })
  })

  it("nest, and their nodes can be needed from outside and by each other", () => {
    const workflow = declare().build(($) => {
      const outer = $.fragment("outer", ($) => {
        const inner = $.fragment("inner", ($) => $.step("a", { output: Text, run: () => "a" }))
        return $.sequence(inner, $.step("b", { output: Text, needs: { inner }, run: ({ inner }) => inner }))
      })
      const other = $.fragment("other", ($, text) => $.step("c", { output: Text, needs: { text }, run: ({ text }) => text }), outer)
      return $.sequence(outer, other, $.step("d", { output: Text, needs: { other }, run: ({ other }) => other }))
    })
    expect(ids(workflow)).toEqual(["outer.inner.a", "outer.b", "other.c", "d"])
  })

  it("used twice under one prefix are refused by the first id that is taken", () => {
    const write = ($: Untyped) => {
      const part = ($: Untyped) => $.step("a", work)
      return $.sequence($.fragment("p", part), $.fragment("p", part))
    }
    expect(refusal(write)).toEqual({
      where: `sequence > [1] step "p.a"`,
      problem: `id "p.a" is already taken by sequence > [0] step "p.a"`,
    })
  })

  it("are named in what is refused inside, and cannot make an id longer than 1000 characters", () => {
    const inside = (prefix: unknown, id: string, options: object) =>
      refusal(($) => $.fragment(prefix, ($: Untyped) => $.step(id, options)))
    expect(inside("p", "a", {})).toEqual({ where: `step "p.a"`, problem: `"output" must be an Effect Schema or a Standard Schema` })
    expect(inside("", "a", work)).toEqual({ where: `fragment ""`, problem: `its id must be ${idRule}` })
    expect(inside("p".repeat(950), "a".repeat(50), work)).toEqual({
      where: `step "${"p".repeat(199)}…`,
      problem: `its id must be ${idRule}`,
    })
  })
})

describe("the text of a plan", () => {
  const declare = (change: { readonly label?: string; readonly timeout?: number; readonly run?: () => number } = {}) =>
    Smithers.createWorkflow({ name: "w", input: z.object({ n: z.number() }) }).build(($) => {
      const a = $.step("a", {
        output: Schema.Number,
        label: change.label ?? "First",
        meta: { team: "core", cost: [1, 2] },
        run: change.run ?? (() => 1),
      })
      const b = $.step("b", {
        output: z.number(),
        needs: { a },
        timeout: change.timeout ?? 1000,
        retry: { maxAttempts: 2, initialDelay: "1s" },
        run: ({ a }) => a,
      })
      return $.sequence(
        a,
        $.parallel(b, { maxConcurrency: 1, failFast: true }),
        $.branch({ when: ({ input }) => input.n > 1, then: $.sequence() }),
        $.switch({ on: () => "x", cases: { x: $.sequence(), y: $.sequence() }, otherwise: $.sequence() }),
      )
    })
  const lines = (text: string) =>
    text.split("\n").map((line) => JSON.parse(line) as [depth: number, kind: string, data: Record<string, unknown>])

  it("has one line per node, in document order, with its depth, kind, labels, meta, limits and needs", () => {
    const found = lines(declare().plan.text)
    expect(found.map(([depth, kind]) => [depth, kind])).toEqual([
      [0, "Sequence"],
      [1, "Step"],
      [1, "Parallel"],
      [2, "Step"],
      [1, "Branch"],
      [2, "Sequence"],
      [1, "Branch"],
      [2, "Sequence"],
      [2, "Sequence"],
      [2, "Sequence"],
    ])
    expect(found[6]?.[2]).toEqual({ cases: ["x", "y"], hasElse: true })
    expect(found[1]?.[2]).toMatchObject({ id: "a", label: "First", meta: { team: "core", cost: [1, 2] } })
    expect(found[2]?.[2]).toEqual({ maxConcurrency: 1, failFast: true })
    expect(found[3]?.[2]).toMatchObject({
      id: "b",
      needs: { a: "a" },
      timeoutMs: 1000,
      retry: { maxAttempts: 2, initialDelay: "1s" },
    })
  })

  it("is equal for equal workflows, whatever their functions do, and different where anything else is", () => {
    expect(declare({ run: () => 2 }).plan.text).toBe(declare().plan.text)
    expect(declare({ label: "Other" }).plan.text).not.toBe(declare().plan.text)
    expect(declare({ timeout: 2000 }).plan.text).not.toBe(declare().plan.text)
  })

  it("is not changed by what happens to an author's meta object afterwards", () => {
    const meta = { team: "core" }
    const workflow = build(($) => $.step("a", { ...work, meta }))
    meta.team = "other"
    expect(lines(workflow.plan.text)[0]?.[2].meta).toEqual({ team: "core" })
  })
})

describe("what a builder takes", () => {
  it.each<[written: unknown, ms: number]>([
    ["500ms", 500],
    ["2m", 120_000],
    ["1h", 3_600_000],
    ["1.5s", 1500],
    ["3 seconds", 3000],
    [250, 250],
    [Duration.minutes(1), 60_000],
  ])("%s is a duration", (written, ms) => {
    const { plan } = build(($) => $.step("a", { ...work, timeout: written, heartbeatTimeout: written }))
    expect(plan.nodes[0]).toMatchObject({ timeoutMs: ms, heartbeatTimeoutMs: ms })
  })

  it("a parallel may go without options and without children", () => {
    const parallel = (...args: ReadonlyArray<unknown>) => build(($) => $.parallel(...args)).plan.nodes[0]
    expect(parallel()).toMatchObject({ children: [], maxConcurrency: undefined, failFast: false })
    expect(parallel({})).toMatchObject({ children: [], maxConcurrency: undefined, failFast: false })
    expect(parallel({ maxConcurrency: Number.POSITIVE_INFINITY })).toMatchObject({ maxConcurrency: Number.POSITIVE_INFINITY })
  })

  it("an option that is undefined is one left out", () => {
    const nothing = {
      needs: undefined,
      retry: undefined,
      timeout: undefined,
      skipIf: undefined,
      cache: undefined,
      label: undefined,
      meta: undefined,
    }
    expect(build(($) => $.step("a", { ...work, ...nothing })).plan.text).toBe(build(($) => $.step("a", work)).plan.text)
  })

  it("a plan may be a hundred thousand nodes long and ten thousand deep", () => {
    const wide = build(($) => $.sequence(...Array.from({ length: 100_000 }, (_, index) => $.step(`s${index}`, work))))
    expect(wide.plan.nodes).toHaveLength(100_001)
    const deep = build(($) => Array.from({ length: 10_000 }).reduce((inside: unknown) => $.sequence(inside), $.step("a", work)))
    expect(deep.plan.nodes).toHaveLength(10_001)
    expect(deep.plan.text.split("\n")).toHaveLength(10_001)
  })
})
