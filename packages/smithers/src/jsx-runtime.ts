/// <reference path="./mdx-modules.d.ts" />
export * from "@smithers/jsx/jsx-runtime"
