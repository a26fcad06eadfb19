// Installs what only Node can do under the package: studies in files and databases.
// Imported for its effect by Node's entry.
import { installStorages } from "../storage/open.ts";
import { openOnNode } from "./storages.ts";

installStorages(openOnNode);
