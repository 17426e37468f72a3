#!/bin/sh
":" //; exec bun --no-install --no-env-file --config=/dev/null "$0" "$@"
// The line above is a command to the shell, and nothing to Bun: it has no code, environment or packages come from the folder it is called in.
import { main } from "@smithers/cli"

await main(process.argv.slice(2), { home: import.meta.dir })
