// Node's entry to "nabla": the public API on top of Node's platform.
import "./platform.ts";

export * from "../index.ts";
