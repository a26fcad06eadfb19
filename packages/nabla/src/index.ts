// The public API of nabla. `import { nn, optim, train, tensor, grad } from "nabla"`.
// On Node the entry is node/index.ts, which installs the platform first.
import { type DeviceReport, WasmDevice } from "./devices/wasm/device.ts";
import { ValueError } from "./errors/errors.ts";
import { defaultDevice, installDefaultDevice } from "./tensor/storage.ts";

installDefaultDevice(() => new WasmDevice());

/**
 * What the engine found on this machine: instructions, threads, memory.
 *
 * @example
 * (await deviceReport()).threads;
 */
export async function deviceReport(): Promise<DeviceReport> {
  const device = defaultDevice();
  if (!(device instanceof WasmDevice)) throw new ValueError(`The default device is "${device.name}", which has no report.`, "Use the wasm device.");
  await device.finish();
  return device.report();
}

export * as io from "./io/index.ts";
export * as metrics from "./metrics/index.ts";
export * as nn from "./nn/index.ts";
export * as optim from "./optim/index.ts";
export * as random from "./random/index.ts";
export * as train from "./train/index.ts";
export type { Layer, Module } from "./nn/module.ts";
export * as tree from "./tensor/pytree.ts";

export { arange, eye, full, fullLike, linspace, ones, onesLike, tensor, type TensorData, type TensorOptions, zeros, zerosLike } from "./tensor/creation.ts";
export type { Operand } from "./tensor/arithmetic.ts";
export type { CloseOptions } from "./tensor/comparison.ts";
export type { Axes, ReduceOptions } from "./tensor/reduction.ts";
export { einsum } from "./tensor/einsum.ts";
export { concat, stack, Tensor } from "./tensor/tensor.ts";
export { Variable, type VariableOptions } from "./tensor/variable.ts";
export type { SliceRange } from "./tensor/movement.ts";
export type { NestedArray, NestedNumbers } from "./tensor/nested.ts";
export { defaultDevice, setDefaultDevice } from "./tensor/storage.ts";

export { checkpoint } from "./transform/checkpoint.ts";
export { scan, type ScanOptions } from "./transform/scan.ts";
export { compile } from "./transform/compile.ts";
export { grad, jvp, valueAndGrad, vjp } from "./transform/derivatives.ts";
export { hessian, type MappedAxes, vmap } from "./transform/vmap.ts";

export type { Device } from "./devices/device.ts";
export { type DeviceReport, WasmDevice, type WasmDeviceOptions } from "./devices/wasm/device.ts";
export type { DType, TypedArray } from "./ops/dtype.ts";
export type { Shape } from "./ops/shape.ts";
export { DTypeError, FormatError, GradientError, LifetimeError, NablaError, ShapeError, ValueError } from "./errors/errors.ts";
export { DeviceError, OutOfMemoryError, PlatformError } from "./devices/errors.ts";
