// data: data sets, loaders, and the sets the field learns on.
// `import { mnist } from "nabla/data"`.
export { type Batch, type Column, Dataset, dataset, Loader, type LoaderOptions } from "./dataset.ts";
export { type Digits, mnist, type MnistOptions, parseIdx } from "./mnist.ts";
