#!/bin/sh
":" //; for bun in bun "${0%/*}/bun" "${BUN_INSTALL:-$HOME/.bun}/bin/bun"; do command -v "$bun" >/dev/null 2>&1 && exec "$bun" --no-install --no-env-file --config=/dev/null "$0" "$@"; done; echo "smithers runs on Bun 1.3 or later, and there is none on the PATH. Install it for this project: npm install --save-dev bun" >&2; exit 127
// The line above is a command to the shell, and nothing to Bun: it has no code, environment or packages come from the folder it is called in.
import { main } from "@smithers/cli"

await main(process.argv.slice(2), { home: import.meta.dir })
