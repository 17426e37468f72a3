/**
 * The API as a web handler. Loaded with the first request: a server listens before.
 */
import * as HttpApiBuilder from "@effect/platform/HttpApiBuilder"
import * as HttpServer from "@effect/platform/HttpServer"
import * as OpenApi from "@effect/platform/OpenApi"
import { ports, type StorageShape } from "@smithers/core/Storage"
import { Workspaces, type WorkspacesShape } from "@smithers/core/Workspaces"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Tracer from "effect/Tracer"
import type { CallerShape } from "../operations/Caller.ts"
import { Database, type DatabaseInfo } from "../operations/database.ts"
import type { CommandFailed } from "../operations/Errors.ts"
import { Processes, type ProcessesShape } from "../operations/Processes.ts"
import { WorkflowFiles, type WorkflowFilesShape } from "../operations/WorkflowFiles.ts"
import { Api } from "./Api.ts"
import * as Handlers from "./Handlers.ts"

/** What the operations work with. */
export interface Services {
  readonly storage: StorageShape
  readonly processes: ProcessesShape
  readonly files: WorkflowFilesShape
  /** Compares the files of snapshots. */
  readonly workspaces: WorkspacesShape
  /** Examines the database. */
  readonly check: Effect.Effect<typeof DatabaseInfo.Type, CommandFailed>
}

export interface Web {
  readonly handle: (request: Request, caller: CallerShape | undefined) => Promise<Response>
  /** Describes the API as OpenAPI. */
  readonly description: () => string
  /** Lists the methods that a path of the API takes; none for a path that is not there. */
  readonly methodsOf: (pathname: string) => ReadonlyArray<string>
  readonly dispose: () => Promise<void>
}

let described: string | undefined

/** Patterns of the paths of the API, and the methods of each. */
const paths = (): ReadonlyArray<{ readonly pattern: RegExp; readonly methods: ReadonlyArray<string> }> =>
  Object.entries(OpenApi.fromApi(Api).paths).map(([path, item]) => ({
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`),
    methods: Object.keys(item).map((method) => method.toUpperCase()),
  }))
let known: ReturnType<typeof paths> | undefined

/** Makes the handler of the API. */
export const make = ({ storage, processes, files, workspaces, check }: Services, tracer: Tracer.Tracer): Web => {
  const services = Layer.mergeAll(
    Layer.succeedContext(ports(storage)),
    Layer.succeed(Processes, processes),
    Layer.succeed(WorkflowFiles, files),
    Layer.succeed(Workspaces, workspaces),
    Layer.succeed(Database, { check }),
  )
  const { handler, dispose } = HttpApiBuilder.toWebHandler(
    Layer.mergeAll(Layer.provide(Handlers.layer, services), HttpServer.layerContext, Layer.setTracer(tracer)),
  )
  return {
    handle: (request, caller) => {
      if (caller !== undefined) Handlers.admit(request, caller)
      return handler(request)
    },
    description: () => {
      described ??= JSON.stringify(OpenApi.fromApi(Api))
      return described
    },
    methodsOf: (pathname) => {
      known ??= paths()
      return known.flatMap(({ pattern, methods }) => (pattern.test(pathname) ? methods : []))
    },
    dispose,
  }
}
