import * as React from "react"
import { createSmithers, renderPlan, runWorkflow, Smithers, Task as AnyTask, Workflow as W, useCtx as anyCtx } from "smithers-orchestrator"
import { z } from "zod"
const { Workflow, Task, Loop, Sequence, Parallel, Branch, smithers, outputs, useCtx } = createSmithers({ note: z.string(), obj: z.object({ a: z.number() }), obj2: z.object({ b: z.number() }) })
const N = (p: { id: string; children?: any }) => <Task id={p.id} output={outputs.note}>{p.children ?? "x"}</Task>
const show = (name: string, draw: (ctx: any) => React.ReactNode, options: any = {}) => {
  try {
    const p = renderPlan(smithers(draw) as any, { input: {}, ...options })
    console.log("##", name, "→", JSON.stringify(p.tasks.map((t) => [t.id, t.content])), p.impurities.length ? p.impurities : "")
  } catch (e: any) { console.log("##", name, "→ THROWN", e._tag, "|", e.message?.replace(/\n/g, "\n      "), e._tag === undefined ? e.stack : "", "where=", JSON.stringify(e.where)) }
}
const wf = (children: any) => <Workflow name="w">{children}</Workflow>
// features
const Memo = React.memo(N)
show("memo", () => wf(<Memo id="a" />))
const S = () => { const [v, set] = React.useState("initial"); return <N id="a">{v}</N> }
show("useState", () => wf(<S />))
const SetInRender = () => { const [v, set] = React.useState(0); if (v < 3) set(v + 1); return <N id="a">{String(v)}</N> }
show("set in render", () => wf(<SetInRender />))
const Forever = () => { const [v, set] = React.useState(0); set(v + 1); return <N id="a">{String(v)}</N> }
show("set forever", () => wf(<Forever />))
const Eff = () => { React.useEffect(() => { console.log("EFFECT") }); React.useLayoutEffect(() => { console.log("LAYOUT") }); React.useInsertionEffect(() => { console.log("INS") }); return <N id="a" /> }
show("effects", () => wf(<Eff />))
const Ref = () => { const r = React.useRef<any>(1); r.current++; React.useImperativeHandle(r, () => { console.log("IMP") }); return <N id="a">{String(r.current)}</N> }
show("ref", () => wf(<Ref />))
show("ref callback on Task", () => wf(<Task {...{ ref: () => console.log("REF") } as any} id="a" output={outputs.note}>x</Task>))
show("ref callback on Sequence", () => wf(<Sequence {...{ ref: () => console.log("REF") } as any}><N id="a"/></Sequence>))
show("ref callback on Loop", () => wf(<Loop {...{ ref: () => console.log("REF") } as any} until={true}><N id="a"/></Loop>))
const Id = () => <N id={`t${React.useId()}`} />
show("useId", () => wf(<Id />))
const Ext = () => { const v = React.useSyncExternalStore((cb) => { console.log("SUBSCRIBED"); return () => {} }, () => "snap"); return <N id="a">{v}</N> }
show("useSyncExternalStore", () => wf(<Ext />))
class Cls extends React.Component<{}, { n: number }> { override state = { n: 4 }; override componentDidMount() { console.log("MOUNT") } override render() { return <N id="a">{String(this.state.n)}</N> } }
show("class", () => wf(<Cls />))
class Boundary extends React.Component<{ children: any }, { failed?: unknown }> { override state: any = {}; static getDerivedStateFromError(e: unknown) { return { failed: e } } override componentDidCatch() { console.log("DIDCATCH") } override render() { return this.state.failed ? <N id="fallback">{String(this.state.failed)}</N> : this.props.children } }
const Bad = () => { throw new Error("boom") }
show("boundary", () => wf(<Boundary><Bad /></Boundary>))
show("boundary + siblings", () => wf([<N id="a" key="a" />, <Boundary key="b"><N id="gone" /><Bad /></Boundary>, <N id="z" key="z" />]))
const Fwd = React.forwardRef((p: any, ref) => <N id="a">{String(ref)}</N>)
show("forwardRef", () => wf(<Fwd />))
show("fragment key, arrays", () => wf([<React.Fragment key="f"><N id="a" /><N id="b" /></React.Fragment>, [<N id="c" />, [<N id="d" />]], null, false, "text", 0, "", undefined]))
show("strict", () => <React.StrictMode>{wf(<React.Profiler id="p" onRender={() => console.log("PROFILED")}><N id="a" /></React.Profiler>)}</React.StrictMode>)
const Reducer = () => { const [s] = React.useReducer((s: number) => s + 1, 5, (x) => x * 2); const m = React.useMemo(() => s + 1, [s]); const cb = React.useCallback(() => m, [m]); return <N id="a">{String(cb())}</N> }
show("reducer memo callback", () => wf(<Reducer />))
show("createElement", () => React.createElement(Workflow, { name: "w" }, React.createElement(N, { id: "a" }), React.createElement(Task as any, { id: "b", output: outputs.note }, "x ", "y ", 3)))
show("createElement Task with object", () => React.createElement(Workflow, { name: "w" }, React.createElement(Task as any, { id: "b", output: outputs.obj }, { a: 1 })))
show("createElement fn", () => React.createElement(Workflow, { name: "w" }, React.createElement(Task as any, { id: "b", output: outputs.obj }, () => ({ a: 1 }))))
show("createElement agent pieces", () => React.createElement(Workflow, { name: "w" }, React.createElement(Task as any, { id: "b", agent: { generate: async () => ({ text: "" }) } }, "Hello ", { a: 1 }, React.createElement("b", null, "bold"))))
show("createElement agent pieces2", () => React.createElement(Workflow, { name: "w" }, React.createElement(Task as any, { id: "b", agent: { generate: async () => ({ text: "" }) } }, "Hello ", { a: 1 })))
show("cloneElement", () => wf(React.cloneElement(<N id="a" />, { id: "b" })))
show("cloneElement Task", () => wf(React.cloneElement(<Task id="a" output={outputs.note}>x</Task> as any, { id: "b" }, "y ", "z")))
show("Children.map", () => wf(React.Children.map([<N id="a" />, <N id="b" />], (c) => c)))
show("Children.toArray", () => wf(React.Children.toArray([<N id="a" />, <N id="b" />])))
show("use context", () => { const C = React.createContext("d"); const U = () => <N id="a">{React.use(C)}</N>; return <C value="given">{wf(<U />)}</C> })
show("Consumer", () => { const C = React.createContext("d"); return <C.Provider value="p">{wf(<C.Consumer>{(v) => <N id="a">{v}</N>}</C.Consumer>)}</C.Provider> })
show("transition", () => { const U = () => { const [p, start] = React.useTransition(); return <N id="a">{String(p)}</N> }; return wf(<U />) })
show("deferred", () => { const U = () => { const d = React.useDeferredValue("v", "init"); return <N id="a">{d}</N> }; return wf(<U />) })
show("optimistic/actionstate", () => { const U = () => { const [o] = React.useOptimistic("o"); const [s] = React.useActionState(async () => "x", "s"); return <N id="a">{o + s}</N> }; return wf(<U />) })
show("debugvalue", () => { const U = () => { React.useDebugValue("x"); return <N id="a" /> }; return wf(<U />) })
// errors
const Async = async () => <N id="a" />
show("async", () => wf(<Async {...({} as any)} />))
const p1 = Promise.resolve("x"); const Use = () => <N id="a">{React.use(p1)}</N>
show("use promise", () => wf(<Use />))
show("use promise in Suspense", () => wf(<React.Suspense fallback={<N id="f" />}><Use /></React.Suspense>))
show("suspense fine", () => wf(<React.Suspense fallback={<N id="f" />}><N id="a" /></React.Suspense>))
const Lazy = React.lazy(async () => ({ default: N }))
show("lazy", () => wf(<Lazy id="a" />))
show("lazy in Suspense", () => wf(<React.Suspense fallback={null}><Lazy id="a" /></React.Suspense>))
show("portal", () => wf({ $$typeof: Symbol.for("react.portal"), key: null, children: <N id="a" />, containerInfo: {}, implementation: null }))
const Undef: any = undefined
show("undefined component", () => wf(<Undef />))
show("undefined component createElement", () => wf(React.createElement(Undef)))
show("object component", () => { const O: any = { a: 1 }; return wf(<O />) })
show("object child", () => wf({ a: 1 }))
show("function child", () => wf(() => 1))
show("symbol child", () => wf(Symbol("x")))
show("bigint child", () => wf(3n))
show("date child", () => wf(new Date()))
show("promise child", () => wf(Promise.resolve(<N id="a" />)))
show("map child", () => wf(new Map([["a", 1]])))
show("set of elements child", () => wf(new Set([<N id="a" key="a" />])))
try { React.useState(1) } catch (e) { console.log("hook outside", String(e)) }
try { useCtx() } catch (e) { console.log("useCtx outside", String(e)) }
show("hook in function child", () => wf(<Bad2 />))
function Bad2() { return <N id="a">{(() => { React.useState(0); return "x" }) as any}</N> }
show("thrown error", () => wf(<Bad />))
show("thrown string", () => { throw "nope" })
show("thrown undefined", () => { throw undefined })
show("thrown in Root", () => { throw new RangeError("far") })
show("async draw", (async () => wf(<N id="a" />)) as any)
show("nothing", () => null)
show("undefined", () => undefined)
show("text only", () => "hello")
show("workflow in fragment", () => <>{wf(<N id="a" />)}</>)
process.exit(0)
