// Node's entry to "@nabla/tune": the public interface, with storages outside the process and workers beside it.
import "./platform.ts";

export * from "../everywhere.ts";
export { processExecutor, threadExecutor } from "../executors/workers.ts";
