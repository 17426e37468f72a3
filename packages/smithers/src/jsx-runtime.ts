export * from "@smithers/jsx/jsx-runtime"
