// V8 fuses pairs of 128-bit vectors under an experimental flag, and has fused wrongly before: it may not change a single bit.
// The same kernels run with and without fusing, over sizes that leave every kind of remainder.
import { afterAll, expect, test } from "vitest";
import { WasmDevice } from "../../packages/nabla/src/devices/wasm/device.ts";
import { accuracy } from "../../packages/nabla/src/metrics/index.ts";
import { crossEntropy } from "../../packages/nabla/src/nn/index.ts";
import { nodeHost } from "../../packages/nabla/src/node/host.ts";
import { adam } from "../../packages/nabla/src/optim/index.ts";
import { key, normal } from "../../packages/nabla/src/random/index.ts";
import { arange, full } from "../../packages/nabla/src/tensor/creation.ts";
import { setDefaultDevice } from "../../packages/nabla/src/tensor/storage.ts";
import type { Tensor } from "../../packages/nabla/src/tensor/tensor.ts";

const host = nodeHost();
/** An empty custom section: V8 gives a module whose bytes it has seen the code it has. */
const otherwise = (bytes: Uint8Array): Uint8Array<ArrayBuffer> => Uint8Array.from([...bytes, 0, 2, 1, 0x70]);
let probing = true;
const devices = [
  new WasmDevice({ threads: 1 }),
  new WasmDevice({ threads: 1, host: { ...host, compileModule: (bytes, fuse) => (probing ? host.compileModule(bytes, fuse) : host.compileModule(otherwise(bytes), false)) } }),
] as const;
probing = false;

afterAll(() => Promise.all(devices.map((device) => device.dispose())));

/** Values of `compute` on both devices, bit by bit. */
function expectSameBits(name: string, compute: () => readonly Tensor[]): void {
  const [fused, plain] = devices.map((device) => {
    const previous = setDefaultDevice(device);
    try {
      return compute().map((tensor) => new Uint8Array(tensor.dataSync().slice().buffer));
    } finally {
      setDefaultDevice(previous);
    }
  });
  expect(fused!.map((bytes) => Buffer.from(bytes).toString("hex")), name).toEqual(plain!.map((bytes) => Buffer.from(bytes).toString("hex")));
}

/** In memory, so that kernels read it instead of drawing it. */
function data(...shape: number[]): Tensor {
  const x = normal(key(shape.length), shape);
  x.dataSync();
  return x;
}
const lengths = [1, 2, 3, 4, 5, 7, 8, 9, 13, 16, 17, 20, 31, 33, 63, 129, 132, 134, 244];

test("elementwise kernels", () => {
  for (const n of lengths) {
    expectSameBits(`${n} elements`, () => {
      const [x, row] = [data(3, n), data(1, n)];
      const scalar = row.mean();
      return [x.mul(1.5).add(row).relu(), x.mul(scalar).add(scalar).exp().tanh(), x.greater(row).where(x.div(row.abs().add(1)), x.sigmoid()), x.transpose().add(scalar)];
    });
  }
});

test("the optimizer's update", () => {
  for (const n of lengths) {
    expectSameBits(`${n} parameters`, () => {
      const optimizer = adam();
      const parameter = data(n);
      const hyper = Object.fromEntries(Object.entries(optimizer.hyper).map(([name, value]) => [name, full([], value as number)])) as Parameters<typeof optimizer.update>[3];
      const first = optimizer.update(data(n).mul(2), parameter, optimizer.init(parameter), hyper);
      const second = optimizer.update(first.parameter, first.parameter, first.state, hyper);
      return [second.parameter, second.state.mean, second.state.square];
    });
  }
});

test("reductions of what knows its position", () => {
  for (const [batch, rows, columns] of [[2, 33, 33], [2, 17, 17], [2, 1, 300], [2, 65, 17], [2, 64, 16], [3, 8, 44]] as const) {
    const column = (): Tensor => arange(columns, undefined, 1, "int32");
    const made: Readonly<Record<string, (x: Tensor) => Tensor>> = {
      tril: (x) => x.tril(), triu: (x) => x.triu(1), where: (x) => column().less(16).where(x, -1),
      ramp: (x) => x.mul(arange(columns)), integers: (x) => x.mul(8).int().sub(column()),
      lagged: (x) => x.slice([0, batch], [0, rows], [0, columns - 4]).mul(x.slice([0, batch], [0, rows], [4, columns])),
    };
    for (const [name, make] of Object.entries(made)) {
      expectSameBits(`${name} of ${batch} × ${rows} × ${columns}`, () =>
        [0, 1].flatMap((axis) => [make(data(batch, rows, columns)).max(axis), make(data(batch, rows, columns)).sum(axis), make(data(batch, rows, columns)).argmax(axis)]));
    }
  }
});

test("sums over two axes, with what is left over and an epilogue", () => {
  for (const columns of [64, 65, 66, 67, 129, 130, 257, 259, 513]) {
    for (const rows of [1, 2, 5]) {
      expectSameBits(`${rows} × ${columns}`, () => {
        const [x, weights, scale] = [data(1, rows, columns), data(1, rows, 1), data(3, 1, 1).abs().add(1)];
        const each = scale.reshape([3]);
        return [x.div(scale).mul(weights), x.mul(scale), x.div(scale).exp()].flatMap((body) =>
          [body.sum([1, 2]).mul(each.log()), body.sum([1, 2]).mul(each.exp()), body.max([1, 2]).tanh(), body.max([1, 2]).mul(each.log())]);
      });
    }
  }
});

test("reductions over rows, over columns and over everything", () => {
  for (const n of lengths) {
    for (const width of [1, 4, 10, 33]) {
      expectSameBits(`${n} × ${width}`, () => {
        const x = data(n, width);
        return [x.sum(0), x.sum(1), x.mean(), x.max(0), x.max(1), x.logSumExp(1), x.argmax(1), x.mul(x).mean(0).add(1)];
      });
    }
    expectSameBits(`losses of ${n}`, () => {
      const x = data(n, 10);
      const labels = arange(n).mul(7).sub(arange(n).mul(0.7).floor().mul(10)).cast("int32");
      return [crossEntropy(x, labels), accuracy(x, labels)];
    });
  }
});

test("products with their epilogues", () => {
  for (const n of lengths) {
    for (const [m, k] of [[1, 7], [5, 16], [6, 130], [n, 10]] as const) {
      expectSameBits(`${m}×${n}×${k}`, () => {
        const [a, b, bias] = [data(m, k), data(k, n), data(1, n)];
        return [a.matmul(b), a.matmul(b).add(bias).relu(), data(k, m).transpose().matmul(b).mul(bias.mean()), a.matmul(data(n, k).transpose()).tanh()];
      });
    }
  }
});
