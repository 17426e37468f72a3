/**
 * Measures the redaction of secrets in a process of its own: `bun bench/redaction.ts <texts|steps> <secrets> <file>`. Prints one line of JSON.
 */
import * as Redactor from "@smithers/core/Redactor"
import * as Secrets from "@smithers/core/Secrets"
import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import { roundsOf, warm } from "./warm.ts"
import * as workflows from "./workflows.ts"

const [what, countText, filename = ""] = process.argv.slice(2)
const count = Number(countText)
const size = 1000

const random = (length: number): string => Buffer.from(crypto.getRandomValues(new Uint8Array(length))).toString("base64url")
const secrets = Array.from({ length: count }, (_, index) => ({
  name: `SECRET_${index}`,
  value: index % 10 === 0 ? `p"w&${random(20)}é` : `sk-ant-${random(40)}`,
}))

const words = 'the quick brown fox jumps over a lazy dog and returns { "ok": true, status: 200 } sk-live bearer\n'.split(" ")
const megabyte = (): string => {
  let text = ""
  for (let index = 0; text.length < 2 ** 20; index++) text += `${words[(index * 7919) % words.length]} `
  return text
}

const timed = (act: () => void): number => {
  const times = Array.from({ length: 30 }, () => {
    const begin = performance.now()
    act()
    return performance.now() - begin
  })
  return warm(times)
}

const inChunks = (redactor: Redactor.Redactor, text: string): void => {
  const stream = redactor.stream()
  for (let at = 0; at < text.length; at += 4096) stream.push(text.slice(at, at + 4096))
  stream.end()
}

if (what === "texts") {
  const redactor = Redactor.make(secrets)
  const text = megabyte()
  const hits = Array.from(
    { length: 200 },
    (_, index) => text.slice(index * 5000, (index + 1) * 5000) + secrets[index % count]?.value,
  )
  const base64 = random(786_432)
  const [clean, found, encoded] = [text, hits.join(""), base64].map((one) => timed(() => redactor.text(one)))
  console.log(JSON.stringify({ clean, found, encoded, chunks: timed(() => inChunks(redactor, text)) }))
} else {
  for (const { name, value } of secrets) Secrets.add(name, value)
  const workflow = workflows.sequential(size)
  // Time of the processor, which other programs of the machine change least.
  const used = (): number => process.cpuUsage().user + process.cpuUsage().system
  const once = Effect.gen(function* () {
    const begin = used()
    yield* workflow.execute({ count: size })
    return (used() - begin) / size
  })
  const all = Effect.all(Array.from({ length: 2 * roundsOf(size) }, () => once))
  const times = await Effect.runPromise(Effect.provide(all, Smithers.sqlite({ filename })))
  console.log(JSON.stringify({ us: warm(times) }))
}
