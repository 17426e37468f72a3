import { describe, expect, it } from "@effect/vitest"
import * as Codec from "@smithers/core/Codec"
import { InvalidWorkflow } from "@smithers/core/Errors"
import * as Plan from "@smithers/core/Plan"
import * as PlanLayout from "@smithers/core/PlanLayout"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { lower } from "./simulation/Lowering.ts"
import { branch, loop, need, parallel, previous, sequence, step } from "./simulation/Nodes.ts"
import * as Scenario from "./simulation/Scenario.ts"

const refusal = (root: Plan.Node): { readonly where: string; readonly problem: string } => {
  try {
    PlanLayout.make("w", root)
  } catch (thrown) {
    if (thrown instanceof InvalidWorkflow) return { where: thrown.where, problem: thrown.problem }
    throw thrown
  }
  throw new Error("the plan was accepted")
}

const yes = () => true
const at = (plan: Plan.Plan, id: string): number => plan.positions.get(id) as number
const gates = (plan: Plan.Plan, id: string): ReadonlyArray<number> => plan.needs(at(plan, id)).map(({ gate }) => gate)

describe("a plan is laid out in document order", () => {
  const plan = PlanLayout.make(
    "w",
    sequence(
      step("a"),
      parallel([step("b"), loop("outer", sequence(step("c"), loop("inner", step("d")), step("e")))]),
      branch(yes, step("f"), step("g")),
    ),
  )

  it("with each node before its children and after its elder siblings", () => {
    expect(plan.nodes.map((node) => ("id" in node ? node.id : node._tag))).toEqual([
      "Sequence",
      "a",
      "Parallel",
      "b",
      "outer",
      "Sequence",
      "c",
      "inner",
      "d",
      "e",
      "Branch",
      "f",
      "g",
    ])
    expect(plan.nodes.map((_, position) => plan.parent(position))).toEqual([-1, 0, 0, 2, 2, 4, 5, 5, 7, 5, 0, 10, 10])
    expect(plan.nodes.map((_, position) => plan.end(position))).toEqual([13, 2, 10, 4, 10, 10, 7, 9, 9, 10, 13, 12, 13])
  })

  it("and a node knows the innermost loop around it, which for a loop is not itself", () => {
    const loops = ["a", "b", "outer", "c", "inner", "d", "e", "f"].map((id) => plan.loopOf(at(plan, id)))
    expect(loops).toEqual([-1, -1, -1, 4, 4, 7, 4, -1])
  })

  it("and is looked up by position as what it is: anything else is a mistake of the caller's", () => {
    expect(plan.step(1).id).toBe("a")
    expect(plan.loop(4).id).toBe("outer")
    expect([plan.id(7), plan.leaf(9).id]).toEqual(["inner", "e"])
    expect(plan.find("g")).toBe(plan.nodes[12])
    expect(plan.find("h")).toBeUndefined()
    expect(() => plan.node(13)).toThrow("a plan of 13 nodes has none at 13")
    expect(() => plan.step(2)).toThrow("the node at 2 is a Parallel and not a Step")
    expect(() => plan.leaf(4)).toThrow("the node at 4 is a Loop and not a Step or Wait")
    expect(() => plan.loop(1)).toThrow("the node at 1 is a Step and not a Loop")
    expect(() => plan.boundary(4)).toThrow("the node at 4 is a Loop and not a Scope, Saga or TryCatch")
    expect(() => plan.id(0)).toThrow("the node at 0 is a Sequence and not a node with an id")
  })

  it("of whatever shape it is", () => {
    FastCheck.assert(
      FastCheck.property(FastCheck.nat(), (seed) => {
        const scenario = Scenario.undrawn(Scenario.make(seed))
        const { root } = scenario
        const index = Scenario.index(root)
        // A race or a list is several nodes of a plan.
        FastCheck.pre(!index.nodes.some(Scenario.isRegion))
        const { nodes, size: inTree, parent, end, loopOf } = lower(scenario, () => expect.fail("nothing runs")).plan
        const labels = index.nodes.map(({ label }) => label)
        expect(nodes.slice(0, inTree)).toHaveLength(labels.length)
        for (const [position, label] of labels.entries()) {
          const size = labels.filter((other) => index.contains(label, other)).length
          expect(end(position)).toBe(position + size)
          expect(parent(position)).toBe(index.position.get(index.parent(label)?.label ?? "") ?? -1)
          expect(loopOf(position)).toBe(index.position.get(index.loopOf(label)?.label ?? "") ?? -1)
        }
      }),
      { numRuns: 100, seed: 20_260_101 },
    )
  })
})

describe("a need is gated", () => {
  it("by its target, or by the outermost loop around the target that the reader is not in", () => {
    const plan = PlanLayout.make(
      "w",
      sequence(
        step("a"),
        loop("l1", loop("l2", sequence(step("b"), step("inside", { needs: [need("b")] })))),
        step("after", { needs: [need("a"), need("b"), need("l2")] }),
      ),
    )
    expect(gates(plan, "inside")).toEqual([at(plan, "b")])
    expect(gates(plan, "after")).toEqual([at(plan, "a"), at(plan, "l1"), at(plan, "l1")])
    expect(plan.dependents.get(at(plan, "l1"))).toEqual([at(plan, "after"), at(plan, "after")])
  })

  it("by nothing where it is of the pass before, or of a loop's own body", () => {
    const body = sequence(step("a", { needs: [previous("a"), previous("b")] }), step("b"))
    const plan = PlanLayout.make("w", loop("l", body, { needs: [need("b")] }))
    expect(gates(plan, "a")).toEqual([-1, -1])
    expect(gates(plan, "l")).toEqual([-1])
    expect(plan.dependents.size).toBe(0)
  })

  it("within an arm by the steps of the same arm", () => {
    const plan = PlanLayout.make("w", branch(yes, sequence(step("a"), branch(yes, step("b", { needs: [need("a")] }))), step("c")))
    expect(gates(plan, "b")).toEqual([at(plan, "a")])
  })
})

describe("a plan is refused, and the error says where,", () => {
  it.each<[what: string, root: Plan.Node, where: string, problem: string]>([
    [
      "when an id is taken",
      sequence(step("a"), parallel([step("b"), step("a")])),
      `sequence > [1] parallel > [1] step "a"`,
      `id "a" is already taken by sequence > [0] step "a"`,
    ],
    [
      "when a loop has the id of a step",
      sequence(step("a"), loop("a", step("b"))),
      `sequence > [1] loop "a"`,
      `id "a" is already taken by sequence > [0] step "a"`,
    ],
    ["when an id is empty", step(""), `step ""`, `id "" is not a text of 1 to 1000 characters`],
    ["when an id reads as that of a compensation", loop("a~compensate", step("b")), `loop "a~compensate"`, "is not a text of"],
    ["when an id holds half a surrogate pair", step("a\ud83d"), `step "a`, `id "a\\ud83d" is not a text of`],
    ["when an id is too long", step("x".repeat(1001)), `step "xxx`, "is not a text of 1 to 1000 characters"],
    [
      "when a need is not there",
      step("a", { needs: [need("b")] }),
      `step "a"`,
      `need "b" is "b", which is not part of this workflow`,
    ],
    [
      "when a need is a node of another workflow",
      sequence(step("a"), step("b", { needs: [need(step("a"), "x")] })),
      `sequence > [1] step "b"`,
      `need "x" is "a", which is not part of this workflow`,
    ],
    [
      "when a need comes later",
      sequence(step("a", { needs: [need("b")] }), step("b")),
      `sequence > [0] step "a"`,
      `need "b" is "b", which comes later (sequence > [1] step "b")`,
    ],
    [
      "when a branch needs a step of its own arm",
      branch(yes, step("a"), undefined, [need("a")]),
      "branch",
      `need "a" is "a", which comes later (branch > [0] step "a")`,
    ],
    ["when a node needs itself", step("a", { needs: [need("a")] }), `step "a"`, `need "a" is a node around this one`],
    [
      "when a node needs a loop it is in",
      loop("l", sequence(step("a"), step("b", { needs: [need("l")] }))),
      `loop "l" > [0] sequence > [1] step "b"`,
      `need "l" is a node around this one`,
    ],
    [
      "when a need is in an arm that may not be taken",
      sequence(branch(yes, sequence(step("a"))), step("b", { needs: [need("a")] })),
      `sequence > [1] step "b"`,
      `need "a" is in an arm of sequence > [0] branch, which may not be taken: need that itself, or take it with $.maybe`,
    ],
    [
      "when a need is in the other arm",
      sequence(branch(yes, step("a"), step("b", { needs: [need("a")] }))),
      `sequence > [0] branch > [1] step "b"`,
      `need "a" is in one arm of sequence > [0] branch and this node in the other`,
    ],
    [
      "when a loop asks for a step of its body that may not have run",
      loop("l", branch(yes, step("a")), { needs: [need("a")] }),
      `loop "l"`,
      `need "a" is in an arm of loop "l" > [0] branch`,
    ],
    [
      "when the previous pass is of a step in no loop",
      sequence(step("a"), loop("l", step("b", { needs: [previous("a")] }))),
      `sequence > [1] loop "l" > [0] step "b"`,
      `need "a" is the previous pass of "a", which is in no loop around this node`,
    ],
    [
      "when the previous pass is of a loop the reader is not in",
      sequence(loop("l", step("a")), step("b", { needs: [previous("a")] })),
      `sequence > [1] step "b"`,
      `need "a" is the previous pass of "a", which is in no loop around this node`,
    ],
    [
      "when the previous pass is of a loop and not of a step",
      loop("l", sequence(loop("m", step("a")), step("b", { needs: [previous("m")] }))),
      `loop "l" > [0] sequence > [1] step "b"`,
      `need "m" is the previous pass of "m", which is not a step`,
    ],
    [
      "when a need expects another schema",
      sequence(step("a"), step("b", { needs: [{ ...need("a"), codec: Codec.make(Schema.String) }] })),
      `sequence > [1] step "b"`,
      `need "a" expects another output schema than that of sequence > [0] step "a"`,
    ],
    [
      "when a group has room for nothing",
      parallel([], { maxConcurrency: 0 }),
      "parallel",
      '"maxConcurrency" must be a whole number of at least 1, or Infinity, and not 0',
    ],
    [
      "when a group has room for half a step",
      parallel([], { maxConcurrency: 1.5 }),
      "parallel",
      '"maxConcurrency" must be a whole number of at least 1, or Infinity, and not 1.5',
    ],
    [
      "when a loop may make no pass",
      loop("l", step("a"), { maxIterations: 0 }),
      `loop "l"`,
      '"maxIterations" must be a whole number of at least 1, or Infinity, and not 0',
    ],
    [
      "when a loop may make no number of passes",
      loop("l", step("a"), { maxIterations: Number.NaN }),
      `loop "l"`,
      '"maxIterations" must be a whole number of at least 1, or Infinity, and not NaN',
    ],
  ])("%s", (_, root, where, problem) => {
    const found = refusal(root)
    expect(found.where).toContain(where)
    expect(found.problem).toContain(problem)
  })

  it.each([...Plan.reservedNames])("when a need is named %s, which a step's context has already", (name) => {
    const root = sequence(step("a"), step("b", { needs: [need("a", name)] }))
    expect(refusal(root)).toEqual({ where: `sequence > [1] step "b"`, problem: `a need cannot be named "${name}"` })
  })
})
