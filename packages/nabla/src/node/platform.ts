// Installs Node under the library: threads and code, garbage collection, files, the terminal's progress bar.
// Imported for its effect by Node's entries.
import { installHost } from "../devices/wasm/host.ts";
import { installFiles } from "../io/files.ts";
import { installReporter } from "../train/reporter.ts";
import { installCollector } from "../tensor/reclaim.ts";
import { nodeCollector } from "./collect.ts";
import { nodeFiles } from "./files.ts";
import { nodeHost } from "./host.ts";
import { terminalReporter } from "./progress.ts";

installHost(nodeHost());
installCollector(nodeCollector());
installFiles(nodeFiles);
installReporter(terminalReporter);
