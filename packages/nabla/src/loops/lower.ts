// From what a kernel computes to a function of the loop IR: one generator a kind of kernel.
import type { Kernel, LoopKernel, SimpleKernel } from "../kernels/kernel.ts";
import { bytesPerElement } from "../ops/dtype.ts";
import { lowerGemm } from "./gemm.ts";
import type { Lowered, LoweredKernel, LoweredLoop, Target } from "./ir.ts";
import { lowerMap } from "./map.ts";
import { lowerReduce } from "./reduce.ts";
import { lowerScatterAdd } from "./scatter.ts";

/** Lowers any kernel of a program for `target`. */
export function lowerKernel(kernel: SimpleKernel, target: Target): LoweredKernel;
export function lowerKernel(kernel: Kernel, target: Target): Lowered;
export function lowerKernel(kernel: Kernel, target: Target): Lowered {
  switch (kernel.kind) {
    case "map":
      return lowerMap(kernel, target);
    case "reduce":
      return lowerReduce(kernel, target);
    case "gemm":
      return lowerGemm(kernel, target);
    case "scatterAdd":
      return lowerScatterAdd(kernel, target);
    case "loop":
      return lowerLoop(kernel, target);
  }
}

function lowerLoop({ length, reverse, program, bindings, starts, arena }: LoopKernel, target: Target): LoweredLoop {
  return {
    length, reverse,
    kernels: program.kernels.map((kernel) => lowerKernel(kernel, target)),
    phases: program.phases,
    table: program.buffers.map(({ dtype, place }) => {
      if (place.kind === "arena") return { buffer: arena!, offset: place.offset, stride: 0 };
      const { buffer, offset, stride } = bindings[place.slot]!;
      return { buffer, offset: offset * bytesPerElement[dtype], stride: stride * bytesPerElement[dtype] };
    }),
    starts: starts.map(({ from, to, dtype, size }) => {
      const bytes = bytesPerElement[dtype];
      return { from: { buffer: from.buffer, offset: from.offset * bytes }, to: { buffer: to.buffer, offset: to.offset * bytes }, bytes: size * bytes };
    }),
  };
}
