/** A new tab asks the other tabs of this browser for the token, so that links open in new tabs. */
import { setToken, token } from "./Client.ts"

/** Milliseconds that a tab without a token waits for the others. */
const patience = 150

export const shareToken = async (): Promise<void> => {
  if (typeof BroadcastChannel === "undefined") return
  const channel = new BroadcastChannel("smithers-token")
  channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
    const mine = token()
    if (data === "ask" && mine !== undefined) channel.postMessage({ token: mine })
  })
  if (token() !== undefined) return
  await new Promise<void>((resolve) => {
    channel.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
      if (typeof data !== "object" || data === null || !("token" in data) || typeof data.token !== "string") return
      setToken(data.token)
      resolve()
    })
    channel.postMessage("ask")
    setTimeout(resolve, patience)
  })
}
