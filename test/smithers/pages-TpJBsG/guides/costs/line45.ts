import { Smithers } from "smithers-orchestrator"

export const runtime = Smithers.sqlite({
  filename: "smithers.db",
  // US dollars per million tokens.
  prices: { "my-model": { input: 3, output: 15, cachedInput: 0.3, cacheWrite: 3.75 } },
})
