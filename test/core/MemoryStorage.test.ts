import * as MemoryStorage from "@smithers/core/MemoryStorage"
import { suite } from "../contract/Storage.ts"

suite("the store in memory", MemoryStorage.layer)
