/** What of React works in a workflow, what has no effect, and what cannot be, each with an error that says so. */
import * as Effect from "effect/Effect"
import * as React from "react"
import {
  createSmithers,
  type JsxWorkflow,
  Loop,
  type RenderOptions,
  renderPlan,
  Sequence,
  Smithers,
  Task,
  useCtx,
  Workflow,
} from "smithers-orchestrator"
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest"
import { z } from "zod"

const { smithers, outputs } = createSmithers({ note: z.string(), data: z.object({ n: z.number() }) })

const Note = ({ id, text = "" }: { id: string; text?: unknown }) => (
  <Task id={id} output={outputs.note}>
    {`${text}`}
  </Task>
)

const workflowOf = (draw: () => React.ReactNode) => smithers(() => <Workflow name="w">{draw()}</Workflow>)

const tasksOf = (workflow: JsxWorkflow<unknown>, options?: RenderOptions) =>
  renderPlan(workflow, options).tasks.map(
    ({ id, content }) => `${id}: ${typeof content === "string" ? content : JSON.stringify(content)}`,
  )

/** The tasks of a plan of these nodes, with what is in them. */
const planOf = (draw: () => React.ReactNode, options?: RenderOptions) => tasksOf(workflowOf(draw), options)

const executed = (workflow: JsxWorkflow<unknown>) => Effect.runPromise(workflow.execute({}).pipe(Effect.provide(Smithers.memory)))

/**
 * Runs two tasks and draws a component anew after each: gives what `use` gave in each frame, by the number of tasks done. `between` is
 * called while the second task runs.
 */
const framesOf = async (use: () => unknown, between: () => void = () => {}) => {
  const seen = new Map<number, unknown>()
  const Probe = () => {
    const ctx = useCtx()
    const done = ["one", "two"].filter((nodeId) => ctx.outputMaybe("note", { nodeId }) !== undefined).length
    seen.set(done, use())
    return <Note id="probe" />
  }
  await executed(
    workflowOf(() => (
      <>
        <Note id="one" />
        <Task id="two" output={outputs.note}>
          {async () => {
            between()
            await Promise.resolve()
            return "done"
          }}
        </Task>
        <Probe />
      </>
    )),
  )
  return [...seen].map(([done, value]) => `${done}: ${value}`)
}

/** Waits until React would have done what it puts off. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 20))

const failureOf = (act: () => unknown) => {
  try {
    act()
  } catch (thrown) {
    const { _tag, message, problem, where } = thrown as Error & { _tag?: string; problem?: string; where?: string }
    return { _tag, message, problem, where }
  }
  throw new Error("it did not fail")
}

/** What is said, and around what, with places in files left out. */
const refusalOf = (draw: () => React.ReactNode) => {
  const { _tag, problem, where } = failureOf(() => planOf(draw))
  return { _tag, problem, where: where?.replaceAll(/ \(.*?\)/g, "") }
}

/** React says in the console what it finds odd. Nothing that works here may be odd to it. */
const complaints: Array<unknown> = []
beforeEach(() => {
  complaints.length = 0
  for (const level of ["error", "warn"] as const) vi.spyOn(console, level).mockImplementation((...said) => complaints.push(said))
})
afterEach(() => {
  vi.restoreAllMocks()
  expect(complaints).toEqual([])
})

describe("what works", () => {
  it("components are composed, with props and children", () => {
    const Pair = ({ name, children }: { name: string; children: React.ReactNode }) => (
      <Sequence>
        <Note id={`${name}-before`} />
        {children}
        <Note id={`${name}-after`} />
      </Sequence>
    )
    const plan = planOf(() => (
      <Pair name="outer">
        <Pair name="inner">
          <Note id="core" />
        </Pair>
      </Pair>
    ))
    expect(plan).toEqual(["outer-before: ", "inner-before: ", "core: ", "inner-after: ", "outer-after: "])
  })

  it("a context gives the value of the nearest provider, and its default where there is none", () => {
    const Level = React.createContext("none")
    const ByHook = ({ id }: { id: string }) => <Note id={id} text={React.useContext(Level)} />
    const ByUse = ({ id }: { id: string }) => <Note id={id} text={React.use(Level)} />
    const plan = planOf(() => (
      <>
        <ByHook id="a" />
        <Level.Provider value="outer">
          <ByUse id="b" />
          <Level value="inner">
            <ByHook id="c" />
            <Level.Consumer>{(level) => <Note id="d" text={level} />}</Level.Consumer>
          </Level>
          <ByHook id="e" />
        </Level.Provider>
      </>
    ))
    expect(plan).toEqual(["a: none", "b: outer", "c: inner", "d: inner", "e: outer"])
  })

  it("a context around the workflow reaches into it", () => {
    const Level = React.createContext("none")
    const Reader = () => <Note id="a" text={React.useContext(Level)} />
    const workflow = smithers(() => (
      <Level value="around">
        <Workflow name="w">
          <Reader />
        </Workflow>
      </Level>
    ))
    expect(tasksOf(workflow)).toEqual(["a: around"])
  })

  it("useCtx and hooks made of it read the run, anywhere in the tree", () => {
    const useName = () => useCtx().input.name
    const useSeen = () => useCtx().outputMaybe("note", { nodeId: "first" }) ?? "nothing"
    const Deep = () => <Note id="second" text={`${useName()} saw ${useSeen()}`} />
    const draw = () => (
      <Sequence>
        <Note id="first" />
        <Deep />
      </Sequence>
    )
    expect(planOf(draw, { input: { name: "Ada" } })).toEqual(["first: ", "second: Ada saw nothing"])
    expect(planOf(draw, { input: { name: "Ada" }, outputs: { first: "it" } })).toEqual(["first: ", "second: Ada saw it"])
  })

  it("conditions decide what is mounted, frame by frame", () => {
    const draw = () => {
      const seen = useCtx().outputMaybe("note", { nodeId: "first" })
      return (
        <>
          <Note id="first" />
          {seen === "yes" && <Note id="and" />}
          {seen === undefined ? <Note id="not-yet" /> : <Note id="now" />}
          {seen === "no" ? <Note id="no" /> : null}
        </>
      )
    }
    expect(planOf(draw)).toEqual(["first: ", "not-yet: "])
    expect(planOf(draw, { outputs: { first: "yes" } })).toEqual(["first: ", "and: ", "now: "])
    expect(planOf(draw, { outputs: { first: "no" } })).toEqual(["first: ", "now: ", "no: "])
  })

  it("render props are called by the component that takes them", () => {
    const Each = ({ of, children }: { of: ReadonlyArray<string>; children: (item: string, index: number) => React.ReactNode }) => (
      <>{of.map(children)}</>
    )
    expect(planOf(() => <Each of={["x", "y"]}>{(item, index) => <Note id={`${item}${index}`} />}</Each>)).toEqual(["x0: ", "y1: "])
  })

  it("higher-order components wrap others", () => {
    const shouting =
      <P extends { text: string }>(Component: React.ComponentType<P>) =>
      (props: P) => <Component {...props} text={props.text.toUpperCase()} />
    const Shout = shouting(Note as React.ComponentType<{ id: string; text: string }>)
    const Forwarded = React.forwardRef<unknown, { id: string }>((props, ref) => <Note id={props.id} text={ref} />)
    const Memo = React.memo(Shout)
    expect(
      planOf(() => (
        <>
          <Shout id="a" text="hey" />
          <Memo id="b" text="you" />
          <Forwarded id="c" />
        </>
      )),
    ).toEqual(["a: HEY", "b: YOU", "c: null"])
  })

  it("class components render, with state from their constructor and a static context", () => {
    const Level = React.createContext("none")
    class Old extends React.Component<{ id: string }, { n: number }> {
      static override contextType = Level
      override state = { n: 3 }
      override render() {
        return <Note id={this.props.id} text={`${this.state.n} ${this.context}`} />
      }
    }
    expect(
      planOf(() => (
        <Level value="given">
          <Old id="a" />
        </Level>
      )),
    ).toEqual(["a: 3 given"])
  })

  it("fragments, arrays and what iterates hold nodes, and what is neither a node nor text among them is nothing", () => {
    const plan = planOf(() => [
      <React.Fragment key="f">
        <Note id="a" />
        <Note id="b" />
      </React.Fragment>,
      [<Note key="c" id="c" />, [<Note key="d" id="d" />]],
      new Set([<Note key="e" id="e" />]),
      null,
      undefined,
      false,
      true,
      0,
      10n,
      "",
      " ",
    ])
    expect(plan).toEqual(["a: ", "b: ", "c: ", "d: ", "e: "])
  })

  it("StrictMode, Profiler and a Suspense in which nothing suspends show what is in them", () => {
    const onRender = vi.fn()
    const workflow = smithers(() => (
      <React.StrictMode>
        <Workflow name="w">
          <React.Profiler id="p" onRender={onRender}>
            <React.Suspense fallback={<Note id="fallback" />}>
              <Note id="a" />
            </React.Suspense>
          </React.Profiler>
        </Workflow>
      </React.StrictMode>
    ))
    expect(tasksOf(workflow)).toEqual(["a: "])
    expect(onRender).not.toHaveBeenCalled()
  })

  it("an error boundary shows something else for what threw, and nothing of what was begun beside it", async () => {
    const caught = vi.fn()
    class Boundary extends React.Component<{ children: React.ReactNode }, { problem?: Error }> {
      override state: { problem?: Error } = {}
      static getDerivedStateFromError(problem: Error) {
        return { problem }
      }
      override componentDidCatch() {
        caught()
      }
      override render() {
        const { problem } = this.state
        return problem === undefined ? this.props.children : <Note id="instead" text={problem.message} />
      }
    }
    const Bad = (): never => {
      throw new Error("boom")
    }
    const workflow = workflowOf(() => (
      <>
        <Note id="before" />
        <Boundary>
          <Note id="beside" />
          <Sequence>
            <Note id="beside-too" />
          </Sequence>
          <Bad />
        </Boundary>
        <Note id="after" text="the end" />
      </>
    ))
    expect(tasksOf(workflow)).toEqual(["before: ", "instead: boom", "after: the end"])
    expect(await executed(workflow)).toBe("the end")
    expect(caught).not.toHaveBeenCalled()
  })

  it("elements may be made with createElement and cloneElement, and gone through with Children", () => {
    const { createElement: h } = React
    const workflow = smithers(() =>
      h(
        Workflow,
        { name: "w" },
        h(Sequence, null, h(Note, { id: "a", text: "made" }), h(Note, { id: "b" })),
        React.cloneElement(<Note id="c" text="before" />, { text: "cloned" }),
        React.Children.map([<Note key="d" id="d" />, <Note key="e" id="e" />], (child) => child),
        React.Children.toArray([<Note key="f" id="f" />, null, <Note key="g" id="g" />]),
      ),
    )
    expect(tasksOf(workflow)).toEqual(["a: made", "b: ", "c: cloned", "d: ", "e: ", "f: ", "g: "])
  })

  it("tasks made with createElement hold a prompt, a function or a value, as those of JSX do", () => {
    const agent = { name: "a", generate: async () => ({ text: "" }) }
    const h = React.createElement as (
      type: unknown,
      props: object | null,
      ...children: ReadonlyArray<unknown>
    ) => React.ReactElement
    const clone = React.cloneElement as (
      element: React.ReactElement,
      props: object,
      ...children: ReadonlyArray<unknown>
    ) => React.ReactElement
    const workflow = smithers(() =>
      h(
        Workflow,
        { name: "w" },
        h(Task, { id: "value", output: outputs.data }, { n: 1 }),
        h(Task, { id: "text", output: outputs.note }, "text"),
        h(Task, { id: "function", output: outputs.data }, () => ({ n: 2 })),
        h(Task, { id: "pieces", agent }, "Hello ", 3, " times"),
        h(Task, { id: "elements", agent }, "Hello ", h("b", null, "you")),
        clone(h(Task, { id: "clone", agent }, "old"), { id: "cloned" }, "new"),
      ),
    )
    expect(tasksOf(workflow)).toEqual([
      'value: {"n":1}',
      "text: text",
      "function: undefined",
      "pieces: Hello 3 times",
      "elements: Hello **you**",
      "cloned: new",
    ])
  })

  it("a component made with createElement after a read that is pending waits for what was read", () => {
    const workflow = smithers((ctx) => {
      const first = React.createElement(Note, { id: "first" })
      const text = ctx.output("note", { nodeId: "first" })
      return (
        <Workflow name="w">
          {first}
          {React.createElement(Note, { id: "second", text })}
        </Workflow>
      )
    })
    const { tasks } = renderPlan(workflow)
    expect(tasks.map(({ id, isProvisional }) => ({ id, isProvisional }))).toEqual([
      { id: "first", isProvisional: false },
      { id: "second", isProvisional: true },
    ])
    expect(tasksOf(workflow, { outputs: { first: "there" } })).toEqual(["first: ", "second: there"])
  })
})

describe("what has no effect", () => {
  it("memo: a component is rendered in each frame, though its props are the same", async () => {
    let renders = 0
    const Memo = React.memo(() => {
      renders++
      return null
    })
    const Reader = () => <Note id="two" text={useCtx().outputMaybe("note", { nodeId: "one" })} />
    await executed(
      workflowOf(() => (
        <>
          <Note id="one" />
          <Memo />
          <Reader />
        </>
      )),
    )
    expect(renders).toBe(2)
  })

  it("useState has its initial value in each frame, whatever its setter is called with", async () => {
    let set: ((value: string) => void) | undefined
    const use = () => {
      const [value, setValue] = React.useState(() => "initial")
      set ??= setValue
      return value
    }
    expect(await framesOf(use, () => set?.("changed"))).toEqual(["0: initial", "1: initial", "2: initial"])
  })

  it("what is set after a frame was drawn draws nothing, whether it was drawn to the end or not", async () => {
    const kept: Array<() => void> = []
    let renders = 0
    const Keeper = () => {
      renders++
      const [, set] = React.useState(0)
      const [, dispatch] = React.useReducer((n: number) => n + 1, 0)
      const [, start] = React.useTransition()
      React.useDeferredValue("later", "at first")
      kept.push(
        () => set((n) => n + 1),
        dispatch,
        () => start(() => set(7)),
      )
      return <Note id="keeper" />
    }
    class Old extends React.Component {
      override render() {
        renders++
        kept.push(
          () => this.setState({ n: 1 }),
          () => this.forceUpdate(),
        )
        return null
      }
    }
    const Bad = (): never => {
      throw new Error("boom")
    }
    const draw = () => (
      <>
        <Keeper />
        <Old />
      </>
    )
    planOf(draw)
    expect(() => planOf(() => [<Bad key="b" />, <div key="d">{draw()}</div>])).toThrow("boom")
    expect(() => planOf(() => [<div key="d">{draw()}</div>, <Bad key="b" />])).toThrow("boom")
    expect(() => planOf(() => [<div key="d">{draw()}</div>, Promise.resolve(null)])).toThrow("promise")
    const before = renders
    await settled()
    expect(renders).toBe(before)
    for (const act of kept) act()
    await settled()
    expect(renders).toBe(before)
    expect(planOf(draw)).toEqual(["keeper: "])
  })

  it("a setter called while rendering draws the component again at once, as in React", () => {
    const Counter = () => {
      const [n, setN] = React.useState(0)
      if (n < 3) setN(n + 1)
      return <Note id="a" text={n} />
    }
    expect(planOf(() => <Counter />)).toEqual(["a: 3"])
  })

  it("useReducer has its initial state in each frame, whatever is dispatched", async () => {
    let dispatch: (() => void) | undefined
    const use = () => {
      const [state, act] = React.useReducer(
        (n: number) => n + 1,
        5,
        (n) => n * 2,
      )
      dispatch ??= act
      return state
    }
    expect(await framesOf(use, () => dispatch?.())).toEqual(["0: 10", "1: 10", "2: 10"])
  })

  it("effects are never run, nor cleaned up", async () => {
    const ran = vi.fn()
    const use = () => {
      React.useEffect(() => {
        ran("effect")
        return () => ran("cleanup")
      })
      React.useLayoutEffect(() => ran("layout"))
      React.useInsertionEffect(() => ran("insertion"))
      React.useImperativeHandle(
        () => ran("ref"),
        () => ran("handle"),
      )
    }
    await framesOf(use)
    expect(ran).not.toHaveBeenCalled()
  })

  it("the lifecycle of a class component is never run, and its setState does nothing", async () => {
    const ran = vi.fn()
    let first: React.Component<object, { n: number }> | undefined
    class Old extends React.Component<object, { n: number }> {
      override state = { n: 0 }
      override componentDidMount() {
        ran("mount")
      }
      override componentDidUpdate() {
        ran("update")
      }
      override componentWillUnmount() {
        ran("unmount")
      }
      override render() {
        first ??= this
        return <Note id="old" text={this.state.n} />
      }
    }
    const workflow = workflowOf(() => {
      const seen = useCtx().outputMaybe("note", { nodeId: "old" })
      if (seen !== undefined) first?.setState({ n: 7 })
      return (
        <>
          <Old />
          {seen !== undefined && <Note id="last" text={seen} />}
        </>
      )
    })
    expect(await executed(workflow)).toBe("0")
    expect(ran).not.toHaveBeenCalled()
  })

  it("refs are new in each frame, and none is ever set", async () => {
    const called = vi.fn()
    class Target extends React.Component {
      override render() {
        return null
      }
    }
    let kept: React.RefObject<Target | null> | undefined
    const use = () => {
      const count = React.useRef(0)
      count.current++
      const target = React.useRef<Target>(null)
      kept ??= target
      return count.current
    }
    const Holder = () => {
      const target = React.useRef<Target>(null)
      kept = target
      return (
        <>
          <Target ref={target} />
          <Target ref={called} />
          <Loop {...({ ref: called } as object)} until={true}>
            <Note id="in-loop" />
          </Loop>
        </>
      )
    }
    expect(await framesOf(use)).toEqual(["0: 1", "1: 1", "2: 1"])
    expect(planOf(() => <Holder />)).toEqual(["in-loop: "])
    expect(kept?.current).toBeNull()
    expect(called).not.toHaveBeenCalled()
  })

  it("useMemo and useCallback compute anew in each frame", async () => {
    let computed = 0
    const callbacks = new Set<unknown>()
    const use = () => {
      callbacks.add(React.useCallback(() => {}, []))
      return React.useMemo(() => ++computed, [])
    }
    const frames = await framesOf(use)
    expect(frames.length).toBe(3)
    expect(computed).toBe(callbacks.size)
    expect(new Set(frames.map((frame) => frame.split(" ")[1])).size).toBe(3)
  })

  it("useId tells components of a frame apart, and changes with what stands before: it is no id for a task", () => {
    const Named = ({ id }: { id: string }) => <Note id={id} text={React.useId()} />
    const [a, b] = planOf(() => [<Named key="a" id="x" />, <Named key="b" id="y" />]).map((line) => line.split(": ")[1])
    expect(a).not.toBe(b)
    const [alone] = planOf(() => <Named id="y" />).map((line) => line.split(": ")[1])
    expect(alone).not.toBe(b)
  })

  it("a store is read when a frame is drawn, and never subscribed to", async () => {
    const subscribe = vi.fn(() => () => {})
    let snapshot = "before"
    const use = () => React.useSyncExternalStore(subscribe, () => snapshot)
    const frames = await framesOf(use, () => {
      snapshot = "after"
    })
    expect(frames).toEqual(["0: before", "1: before", "2: after"])
    expect(subscribe).not.toHaveBeenCalled()
  })

  it("transitions, deferred and optimistic values are as they begin", async () => {
    const use = () => {
      const [isPending] = React.useTransition()
      const deferred = React.useDeferredValue("final", "first")
      const [optimistic] = React.useOptimistic("as it is")
      const [state] = React.useActionState(async () => "changed", "initial")
      return [isPending, deferred, optimistic, state].join(", ")
    }
    const each = "false, first, as it is, initial"
    expect(await framesOf(use)).toEqual([`0: ${each}`, `1: ${each}`, `2: ${each}`])
  })
})

const oneGo = "a plan is rendered synchronously, so components cannot be async, lazy or use() a promise. Wait in a task instead"

describe("what cannot be is refused", () => {
  const Outer = ({ children }: { children: React.ReactNode }) => <Sequence>{children}</Sequence>
  const around = "at Sequence\nat Outer\nat Workflow\nat smithers"

  it("an async component", () => {
    const Later = (async () => <Note id="a" />) as unknown as React.FC
    expect(
      refusalOf(() => (
        <Outer>
          <Later />
        </Outer>
      )),
    ).toEqual({ _tag: "RenderFailed", problem: `TypeError: Later suspends: ${oneGo}`, where: `at Later\n${around}` })
    const drawn = smithers((async () => <Workflow name="w" />) as unknown as () => React.ReactNode)
    expect(failureOf(() => renderPlan(drawn)).problem).toBe(`TypeError: smithers suspends: ${oneGo}`)
  })

  it("a promise that is used, and a promise as a child", () => {
    const promise = Promise.resolve("later")
    const User = () => <Note id="a" text={React.use(promise)} />
    expect(
      refusalOf(() => (
        <Outer>
          <User />
        </Outer>
      )),
    ).toEqual({ _tag: "RenderFailed", problem: `TypeError: User suspends: ${oneGo}`, where: `at User\n${around}` })
    expect(refusalOf(() => <Outer>{Promise.resolve(<Note id="a" />)}</Outer>)).toEqual({
      _tag: "RenderFailed",
      problem: `TypeError: a child of Sequence is a promise: ${oneGo}`,
      where: around,
    })
  })

  it("what suspends inside a Suspense, whatever its fallback", () => {
    const promise = Promise.resolve("later")
    const User = () => <Note id="a" text={React.use(promise)} />
    expect(
      refusalOf(() => (
        <Outer>
          <React.Suspense fallback={<Note id="fallback" />}>
            <User />
          </React.Suspense>
        </Outer>
      )),
    ).toEqual({
      _tag: "RenderFailed",
      problem: `TypeError: a child of the Suspense of Sequence suspends: ${oneGo}`,
      where: around,
    })
  })

  it("a lazy component, with a Suspense around it or without", () => {
    const Lazy = React.lazy(async () => ({ default: Note }))
    expect(
      refusalOf(() => (
        <Outer>
          <Lazy id="a" />
        </Outer>
      )),
    ).toEqual({
      _tag: "RenderFailed",
      problem: `TypeError: a lazy component suspends: ${oneGo}`,
      where: around,
    })
    const problem = `TypeError: a child of the Suspense of Workflow suspends: ${oneGo}`
    expect(
      refusalOf(() => (
        <React.Suspense>
          <Lazy id="a" />
        </React.Suspense>
      )).problem,
    ).toBe(problem)
  })

  it("and nothing is drawn when what was waited for is there", async () => {
    let renders = 0
    const promise = Promise.resolve("later")
    const User = () => {
      renders++
      return <Note id="a" text={React.use(promise)} />
    }
    expect(() => planOf(() => <User />)).toThrow("User suspends")
    const before = renders
    await promise
    await settled()
    expect(renders).toBe(before)
  })

  it("a portal", () => {
    const to = { nodeType: 1 }
    const portal = (children: React.ReactNode) =>
      ({
        $$typeof: Symbol.for("react.portal"),
        key: null,
        children,
        containerInfo: to,
        implementation: null,
      }) as unknown as React.ReactPortal
    for (const children of [<Note key="a" id="a" />, null, "text"]) {
      expect(refusalOf(() => <Outer>{portal(children)}</Outer>)).toEqual({
        _tag: "RenderFailed",
        problem: "TypeError: a portal leads out of the plan: render its children in place",
        where: around,
      })
    }
    expect(planOf(() => <Note id="a" />)).toEqual(["a: "])
  })

  it("an element without a component", () => {
    const Missing = undefined as unknown as React.FC
    const Here = () => <Missing />
    const problem = "TypeError: an element's type is undefined: the imported module may not export this component"
    expect(
      refusalOf(() => (
        <Outer>
          <Here />
        </Outer>
      )),
    ).toEqual({ _tag: "RenderFailed", problem, where: `at Here\n${around}` })
    expect(refusalOf(() => <Outer>{React.createElement(Missing)}</Outer>)).toEqual({ _tag: "RenderFailed", problem, where: around })
    const NotOne = { default: Here } as unknown as React.FC
    expect(refusalOf(() => <NotOne />).problem).toContain("an element's type is object")
  })

  it("an object or a function among nodes", () => {
    expect(refusalOf(() => <Outer>{{ a: 1 } as unknown as React.ReactNode}</Outer>)).toEqual({
      _tag: "RenderFailed",
      problem:
        "TypeError: an object cannot be a child here (object with keys {a}): make a value the only child of a Task, or part of a text",
      where: around,
    })
    expect(refusalOf(() => <Outer>{(() => <Note id="a" />) as unknown as React.ReactNode}</Outer>)).toEqual({
      _tag: "InvalidWorkflow",
      problem: "a Sequence: it has a function as a child, which is never called: put functions into a Task",
      where: "smithers > Workflow > Outer",
    })
  })

  it("a ref on a task", () => {
    const { _tag, problem } = refusalOf(() => (
      <Task {...({ ref: () => {} } as object)} id="a" output={outputs.note}>
        x
      </Task>
    ))
    expect(_tag).toBe("InvalidWorkflow")
    expect(problem).toContain('Task "a": it has no prop "ref"')
  })

  it("a component that sets its state each time", () => {
    const Restless = () => {
      const [n, setN] = React.useState(0)
      setN(n + 1)
      return <Note id="a" />
    }
    expect(
      refusalOf(() => (
        <Outer>
          <Restless />
        </Outer>
      )),
    ).toEqual({
      _tag: "RenderFailed",
      problem: "TypeError: a component sets its state in every render",
      where: `at Restless\n${around}`,
    })
  })

  it("a component that throws, whatever it throws", () => {
    const thrower = (thrown: unknown) => {
      const Thrower = (): never => {
        throw thrown
      }
      return refusalOf(() => (
        <Outer>
          <Thrower />
        </Outer>
      ))
    }
    expect(thrower(new RangeError("too far"))).toEqual({
      _tag: "RenderFailed",
      problem: "RangeError: too far",
      where: `at Thrower\n${around}`,
    })
    expect(thrower("a string").problem).toBe("a string")
    expect(thrower(undefined).problem).toBe("undefined")
  })

  it("a workflow that is drawn by a component of another, though not by a task", async () => {
    const inner = workflowOf(() => <Note id="a" />)
    const problem = "it is rendered inside a component of another workflow. Read its name or its plan outside of components"
    const Asking = () => <Note id="b" text={inner.name} />
    expect(refusalOf(() => <Asking />).problem).toContain(problem)
    const outer = workflowOf(() => (
      <Task id="b" output={outputs.note}>
        {() => inner.name}
      </Task>
    ))
    expect(await executed(outer)).toBe("w")
  })

  it("useCtx outside a workflow, and in a function that a task calls", async () => {
    expect(() => useCtx()).toThrow("useCtx() was called outside of a workflow. It works in components that smithers() renders")
    const workflow = workflowOf(() => (
      <Task id="a" output={outputs.note}>
        {() => useCtx().runId}
      </Task>
    ))
    const { error } = (await Effect.runPromise(workflow.run({}).pipe(Effect.provide(Smithers.memory)))) as { error?: Error }
    expect(error?.message).toContain("A function in a task gets the ctx as a parameter")
  })

  it("a hook outside a component, by React itself", () => {
    planOf(() => <Note id="a" />)
    expect(() => React.useState(0)).toThrow()
    complaints.length = 0
  })
})
