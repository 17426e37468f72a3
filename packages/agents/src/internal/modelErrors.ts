/**
 * Errors of model calls within an attempt, noted by a telemetry integration of the AI SDK. A stream of the SDK rejects with a
 * `NoOutputGeneratedError` alone; the answer of the provider, with its status, goes to callbacks of the caller.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import * as Thrown from "@smithers/core/Thrown"

/** The last error of a model call. */
export interface Note {
  error?: unknown
}

const storage = new AsyncLocalStorage<Note>()

const integration = {
  executeLanguageModelCall: async <A>({ execute }: { readonly execute: () => PromiseLike<A> }): Promise<A> => {
    const note = storage.getStore()
    if (note === undefined) return await execute()
    try {
      return await execute()
    } catch (error) {
      note.error = error
      throw error
    }
  },
}

/** The list in which the SDK's `registerTelemetry` keeps integrations, of all copies of it in the process. */
const listed = "AI_SDK_TELEMETRY_INTEGRATIONS"

/** Registers the integration without loading the SDK, which an agent of another library does not need. */
const register = (): void => {
  const found: unknown = Thrown.get(globalThis, listed)
  const integrations: Array<unknown> = Array.isArray(found) ? found : []
  if (!integrations.includes(integration)) integrations.push(integration)
  if (found !== integrations) Reflect.set(globalThis, listed, integrations)
}

/** Runs a function whose model calls leave their errors in the note. */
export const within = <A>(note: Note, act: () => A): A => {
  register()
  return storage.run(note, act)
}
