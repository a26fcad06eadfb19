// metrics: accuracy, confusion matrix, running means.
// `import { metrics } from "nabla"`.
export { accuracy, binaryAccuracy, confusionMatrix, emptyMean, type Metric, type RunningMean, updateMean } from "./metrics.ts";
