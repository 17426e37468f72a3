/**
 * Hot reload: watches the files of a workflow, and takes their changes over while its run is at work.
 */
export * as FolderWatch from "./FolderWatch.ts"
export * as Graph from "./Graph.ts"
export * as Hot from "./Hot.ts"
export * as Modules from "./Modules.ts"
