// Node's entry to "nabla/data": data sets that can read files.
import "./platform.ts";

export * from "../data/index.ts";
