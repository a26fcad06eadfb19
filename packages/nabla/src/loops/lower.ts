// From what a kernel computes to a function of the loop IR: one generator a kind of kernel.
import type { LoweredKernel, Target } from "./ir.ts";
import type { Kernel } from "../kernels/kernel.ts";
import { lowerGemm } from "./gemm.ts";
import { lowerMap } from "./map.ts";
import { lowerReduce } from "./reduce.ts";
import { lowerScatterAdd } from "./scatter.ts";

/** Lowers any kernel of a program for `target`. */
export function lowerKernel(kernel: Kernel, target: Target): LoweredKernel {
  switch (kernel.kind) {
    case "map":
      return lowerMap(kernel, target);
    case "reduce":
      return lowerReduce(kernel, target);
    case "gemm":
      return lowerGemm(kernel, target);
    case "scatterAdd":
      return lowerScatterAdd(kernel, target);
  }
}
