/** Nodes of a plan, made by hand: what a front end makes, with everything left out that a test does not speak of. */
import * as Codec from "@smithers/core/Codec"
import type * as Plan from "@smithers/core/Plan"
import * as RetryPolicy from "@smithers/core/RetryPolicy"
import * as Schema from "effect/Schema"

const anything = Codec.makeUnknown(Schema.Unknown)

/** A need of the same pass, by the name its target has as an id. */
export const need = (target: Plan.Node | string, name = typeof target === "string" ? target : "need"): Plan.Need => ({
  name,
  target,
  pass: "current",
})

export const previous = (target: string, name = target): Plan.Need => ({ name, target, pass: "previous" })

export const step = (id: string, options: Partial<Plan.Step> = {}): Plan.Step => ({
  _tag: "Step",
  id,
  label: undefined,
  meta: undefined,
  needs: [],
  codec: anything,
  table: `test_${id}`,
  retry: RetryPolicy.none,
  timeoutMs: undefined,
  heartbeatTimeoutMs: undefined,
  skipIf: undefined,
  continueOnFail: false,
  cache: undefined,
  run: () => null,
  compensate: undefined,
  ...options,
})

export const sequence = (...children: ReadonlyArray<Plan.Node>): Plan.Sequence => ({ _tag: "Sequence", children })

export const parallel = (
  children: ReadonlyArray<Plan.Node>,
  options: { readonly maxConcurrency?: number; readonly failFast?: boolean } = {},
): Plan.Parallel => ({
  _tag: "Parallel",
  children,
  maxConcurrency: options.maxConcurrency,
  failFast: options.failFast === true,
})

export const branch = (
  when: Extract<Plan.Choice, { readonly kind: "when" }>["when"],
  then: Plan.Node,
  otherwise?: Plan.Node,
  needs: ReadonlyArray<Plan.Need> = [],
): Plan.Branch => ({
  _tag: "Branch",
  needs,
  arms: otherwise === undefined ? [then] : [then, otherwise],
  choice: { kind: "when", when },
})

export const switchOn = (
  on: Extract<Plan.Choice, { readonly kind: "switch" }>["on"],
  cases: { readonly [name: string]: Plan.Node },
  otherwise?: Plan.Node,
): Plan.Branch => ({
  _tag: "Branch",
  needs: [],
  arms: otherwise === undefined ? Object.values(cases) : [...Object.values(cases), otherwise],
  choice: { kind: "switch", on, cases: Object.keys(cases) },
})

export const loop = (id: string, body: Plan.Node, options: Partial<Plan.Loop> = {}): Plan.Loop => ({
  _tag: "Loop",
  id,
  needs: [],
  body,
  until: () => false,
  maxIterations: Number.POSITIVE_INFINITY,
  onMaxReached: "return-last",
  ...options,
})

const scope = (id: string, body: Plan.Node, options: Partial<Plan.Scope> = {}): Plan.Scope => ({
  ...{ _tag: "Scope", id, label: undefined, needs: [], body, completeWhen: undefined, cancelWhen: undefined },
  ...{ timeout: undefined, onTimeout: "fail" },
  ...options,
})

/** A race that the first branch to finish wins. */
export const race = (id: string, branches: { readonly [key: string]: Plan.Node }): Plan.Scope => {
  const children = Object.entries(branches).map(([key, body]) => scope(`${id}[${key}]`, body, { part: { key, isCatching: false } }))
  return scope(id, { _tag: "Race", children, count: 1, isList: false, rest: "cancel" })
}
