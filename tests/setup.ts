// Every test file runs on the Node platform, as a program that imports "nabla" does.
import { installHost } from "../packages/nabla/src/devices/wasm/host.ts";
import { nodeHost } from "../packages/nabla/src/node/host.ts";

installHost(nodeHost());
