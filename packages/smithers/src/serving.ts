/**
 * Puts the API, the event streams, MCP, metrics, hooks and the page of `smithers serve` into a program: as a layer for a router, or as an
 * application to mount anywhere.
 */
import { existsSync } from "node:fs"
import { join } from "node:path"
import { InvalidSetting } from "@smithers/core/Errors"
import type { Plan } from "@smithers/core/Plan"
import * as Thrown from "@smithers/core/Thrown"
import * as Workspaces from "@smithers/core/Workspaces"
import { renderPlan } from "@smithers/jsx/renderPlan"
import { blueprintKey, type JsxWorkflow } from "@smithers/jsx/Workflow"
import * as Embedded from "@smithers/server/embedded/Embedded"
import type { ServerOptions } from "@smithers/server/embedded/Options"
import type { Draw, ServicesOf, Value } from "@smithers/server/embedded/Values"
import * as Static from "@smithers/server/http/Static"
import type { Problem } from "@smithers/server/views/Against"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import type { Runtime } from "./Smithers.ts"

export type { HttpApp, Router } from "@smithers/server/embedded/Embedded"
export type { HookOptions, ServerOptions, TokenOptions } from "@smithers/server/embedded/Options"

const isJsx = (workflow: object): workflow is JsxWorkflow<unknown> => blueprintKey in workflow

const isBuilt = (workflow: object): workflow is { readonly plan: Plan } => "plan" in workflow

const draw: Draw = (workflow: { readonly name: string }, input) => {
  if (isBuilt(workflow)) return Either.right({ plan: workflow.plan, pending: [], problems: [] })
  return Either.try({
    try: () => {
      if (!isJsx(workflow)) throw new TypeError(`"${workflow.name}" has no plan`)
      const { plan, tasks, impurities, faults, warnings } = renderPlan(workflow, { input, checkPurity: true })
      const problemsOf = (kind: Problem["kind"], messages: ReadonlyArray<string>): ReadonlyArray<Problem> =>
        messages.map((message) => ({ kind, message }))
      return {
        plan,
        pending: tasks.filter(({ isProvisional }) => isProvisional).map(({ id }) => id),
        problems: [...problemsOf("impure", impurities), ...problemsOf("invalid", faults), ...problemsOf("warning", warnings)],
      }
    },
    catch: (thrown) => ({ _tag: "CannotRender", message: Thrown.describe(thrown).message }),
  })
}

/** The page that came with this package, if it was built. */
const page = (): Static.Page => {
  const folders = [join(import.meta.dirname, "..", "..", "page"), join(import.meta.dirname, "..", "..", "ui", "dist")]
  const built = folders.find((folder) => existsSync(join(folder, "index.html")))
  return built === undefined ? Static.text : Static.folder(built)
}

const parts: Embedded.Parts = {
  draw,
  page,
  workspaces: Workspaces.lazy(async () => (await import("@smithers/workspace/GitWorkspaces")).layer()),
  // A store in memory has one handle, which notices its own commits.
  tail: (storage) =>
    existsSync(storage.storeId)
      ? Effect.mapError(
          SqliteStorage.make({ filename: storage.storeId, access: "read" }),
          ({ message }) => new InvalidSetting({ setting: "store", received: storage.storeId, expected: `readable: ${message}` }),
        )
      : Effect.succeed(storage),
}

/**
 * Adds the paths of the server to the router of a program (`HttpLayerRouter`). Its workflows run in this process, on the engine beside it;
 * `Smithers.supervisor` fires its schedules and wakes its runs. Hosts, origins, tokens and bodies are checked as by `smithers serve`. Fails
 * with `InvalidSetting` for an invalid option.
 */
export const layer = <W extends Value<unknown>>(
  options: ServerOptions<W>,
): Layer.Layer<never, InvalidSetting, Embedded.Router | Exclude<Runtime | ServicesOf<W>, Scope.Scope>> =>
  Embedded.layer(parts, options)

/** Makes the server as an application, to be mounted by a router or served alone. It lives as long as the scope. */
export const httpApp = <W extends Value<unknown>>(
  options: ServerOptions<W>,
): Effect.Effect<Embedded.HttpApp, InvalidSetting, Runtime | ServicesOf<W> | Scope.Scope> =>
  Effect.map(Embedded.make(parts, options), ({ app }) => app)
