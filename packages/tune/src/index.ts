// The entry to "@nabla/tune" where there is no Node.
export * from "./everywhere.ts";
export { processExecutor, threadExecutor } from "./executors/elsewhere.ts";
