// Every test file runs on Node's platform, as a program that imports "nabla" does, but for its progress bar.
import { installHost } from "../packages/nabla/src/devices/wasm/host.ts";
import { installFiles } from "../packages/nabla/src/io/files.ts";
import { nodeCollector } from "../packages/nabla/src/node/collect.ts";
import { installReporter } from "../packages/nabla/src/train/reporter.ts";
import { nodeFiles } from "../packages/nabla/src/node/files.ts";
import { nodeHost } from "../packages/nabla/src/node/host.ts";
import { installCollector } from "../packages/nabla/src/tensor/reclaim.ts";
import "../packages/tune/src/node/platform.ts";

installHost(nodeHost());
installCollector(nodeCollector());
installFiles(nodeFiles);
installReporter(() => ({ show: () => undefined, end: () => undefined }));
