/// <reference path="./mdx-modules.d.ts" preserve="true" />
export * from "@smithers/jsx/jsx-runtime"
