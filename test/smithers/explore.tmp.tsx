import { Database } from "bun:sqlite"
import { mkdtempSync, readdirSync } from "node:fs"
import { runWorkflow, renderPlan } from "smithers-orchestrator"
const dir = "/work/main/test/smithers/fixtures/promised"
const { asked, reset } = await import(`${dir}/agents.ts`)
const inputs: any = { repos: { repos: [{id:"a",name:"A"},{id:"b",name:"B"}] }, tickets: { tickets: [{id:"t1",title:"Login"},{id:"t2",title:"Logout"}] } }
for (const f of process.argv.slice(2)) {
  reset()
  const { default: w } = await import(`${dir}/${f}.tsx`)
  const db = `${mkdtempSync("/tmp/x-")}/t.db`
  const input = inputs[f] ?? { repo: "acme/api", sha: "abc123", task: "a poem", description: "it loops", name: "Ada", isApproved: true }
  console.log("=====", f)
  try {
  const r: any = await runWorkflow(w, { input, db, runId: "run" })
  console.log(JSON.stringify(r), r.error?.message)
  } catch (e) { console.log("REJECTED", String(e)) }
  for (const a of asked) console.log(a.agent, "|", JSON.stringify(a.prompt))
  const d = new Database(db)
  for (const row of d.query("select frame, type, payload from smithers_events order by seq").all() as any) console.log(row.frame, row.type, row.payload)
  const tables = d.query("select name from sqlite_master where type='table' and name not like 'smithers_%' and name not like 'sqlite_%'").all() as any
  for (const { name } of tables) console.log(name, JSON.stringify(d.query(`select * from "${name}"`).all()))
}
process.exit(0)
