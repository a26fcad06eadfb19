// data: data sets, loaders, and the sets the field learns on.
// `import { mnist } from "nabla/data"`.
export type { Column } from "./column.ts";
export { type Batch, Dataset, dataset } from "./dataset.ts";
export { Loader, type LoaderOptions } from "./loader.ts";
export { type Digits, mnist, type MnistOptions, parseIdx } from "./mnist.ts";
export { Scaler } from "../nn/scaler.ts";
export { minMaxScaler, standardScaler } from "./scaler.ts";
