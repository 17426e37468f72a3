/** @jsxImportSource react */
/** Where the page begins: takes the token out of the address, and draws. */
import { QueryClientProvider } from "@tanstack/react-query"
import { createRoot } from "react-dom/client"
import { setToken, token } from "./api/Client.ts"
import { client } from "./api/Queries.ts"
import { shareToken } from "./api/Token.ts"
import { App } from "./app/App.tsx"
import { tokenIn } from "./state/Url.ts"

const given = tokenIn(window.location.hash)
if (given !== undefined) {
  setToken(given)
  // The token must not stay in the address, which is copied, stored and shown.
  window.history.replaceState(null, "", window.location.pathname + window.location.search)
}
await shareToken()
const root = document.getElementById("root")
if (root !== null) {
  createRoot(root).render(
    <QueryClientProvider client={client}>
      <App />
    </QueryClientProvider>,
  )
}
if (token() === undefined) document.title = "Smithers"
