// The engine in a worker of its own, as in a page: what fails there is told once, and the device goes on.
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeHost } from "../../node/host.ts";
import { tensor, zeros } from "../../tensor/creation.ts";
import { setDefaultDevice } from "../../tensor/storage.ts";
import type { Device } from "../device.ts";
import { OutOfMemoryError } from "../errors.ts";
import { WasmDevice } from "./device.ts";
import type { Host } from "./host.ts";

const MiB = 2 ** 20;

/** A page whose memory does not grow beyond `bytes`. */
function pageWith(bytes: number): Host {
  const base = nodeHost();
  return {
    ...base, synchronous: false, sharedMemory: false, threads: 1,
    spawn: (source, events) => base.spawn(`(port) => {
      const { grow } = WebAssembly.Memory.prototype;
      WebAssembly.Memory.prototype.grow = function (pages) {
        if (this.buffer.byteLength + 65536 * pages > ${bytes}) throw new RangeError("refused");
        return grow.call(this, pages);
      };
      return (${source})(port);
    }`, events),
  };
}

let device: WasmDevice;
let previous: Device | undefined;
beforeEach(() => {
  device = new WasmDevice({ host: pageWith(64 * MiB) });
  previous = setDefaultDevice(device);
});
afterEach(async () => {
  setDefaultDevice(previous);
  await device.dispose();
});

test("computes, in order", async () => {
  const x = tensor([1, 2, 3]);
  expect(await x.mul(2).data()).toEqual(Float32Array.of(2, 4, 6));
  expect(() => x.dataSync()).toThrow(/cannot be read synchronously/);
});

test("memory that is refused is told once, and there is memory again for what fits", async () => {
  const kept = tensor([1, 2, 3]);
  const large = zeros([32 * MiB]).add(kept.sum());
  await expect(large.data()).rejects.toThrow(OutOfMemoryError);
  expect(await kept.data()).toEqual(Float32Array.of(1, 2, 3));
  expect(await kept.add(1).data()).toEqual(Float32Array.of(2, 3, 4));
  await expect(large.data()).rejects.toThrow(/the memory for it was refused/);
  // So much had not been asked for before.
  const fits = zeros([8 * MiB]).add(kept.sum());
  expect((await fits.data())[8 * MiB - 1]).toBe(6);
});

test("what is made between a failure and its telling is not lost", async () => {
  const hole = tensor(new Float32Array(1000));
  const large = zeros([32 * MiB]).add(tensor([1]));
  const told = large.data();
  hole.dispose();
  const made = tensor([4, 5]);
  await expect(told).rejects.toThrow(OutOfMemoryError);
  expect(await made.data()).toEqual(Float32Array.of(4, 5));
  expect(await made.square().data()).toEqual(Float32Array.of(16, 25));
});
