/** Providers of sandboxes of one's own: a way to run commands, completed by what every provider does. */
import { heldLimits, type SandboxProvider } from "@smithers/core/Sandboxes"
import * as Effect from "effect/Effect"
import type { ProviderParts } from "./ProviderParts.ts"

export type { ProviderParts } from "./ProviderParts.ts"

/** Makes a provider whose files are in a directory of this machine, from a way to run commands there. */
export const make = (parts: ProviderParts): SandboxProvider => {
  // Loaded with the first sandbox, and once: it holds the locks of the provider.
  const loaded = Effect.runSync(Effect.cached(Effect.promise(async () => (await import("./Sandboxes.ts")).make(parts))))
  return {
    name: parts.name,
    limits: parts.limits ?? heldLimits,
    open: (request) => Effect.flatMap(loaded, (provider) => provider.open(request)),
    patch: (request) => Effect.flatMap(loaded, (provider) => provider.patch(request)),
    close: (request) => Effect.flatMap(loaded, (provider) => provider.close(request)),
  }
}
