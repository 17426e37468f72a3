#!/usr/bin/env bun
import { main } from "@smithers/cli"

await main(process.argv.slice(2), { home: import.meta.dir })
