import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const fetchPage = (url: string) => Effect.succeed(`<h1>${url}</h1>`)

const Digest = Smithers.createWorkflow({
  name: "digest",
  input: Schema.Struct({ url: Schema.String }),
}).build(($) => {
  const page = $.step("fetch", {
    output: Schema.Struct({ html: Schema.String }),
    timeout: "30s",
    retry: { maxAttempts: 3, initialDelay: "1s" },
    run: ({ input }) => Effect.map(fetchPage(input.url), (html) => ({ html })),
  })
  const title = $.step("title", {
    needs: { page },
    output: Schema.String,
    run: ({ page }) => page.html.replace(/<[^>]*>/g, ""),
  })
  return $.sequence(page, title)
})

const program = Digest.execute({ url: "example.com" }, { runId: "digest-1" })
console.log(await Effect.runPromise(program.pipe(Effect.provide(Smithers.sqlite({ filename: "smithers.db" })))))
