// Tensors are dropped without dispose(), on a device that only counts: its memory must stay within bounds, and what is held must stay.
import { afterEach, expect, test } from "vitest";
import type { DeviceBuffer } from "../devices/device.ts";
import { OutOfMemoryError } from "../devices/errors.ts";
import { ReferenceDevice } from "../devices/reference/device.ts";
import { WasmDevice } from "../devices/wasm/device.ts";
import { nodeCollector } from "../node/collect.ts";
import { tensor, zeros } from "./creation.ts";
import { installCollector } from "./reclaim.ts";
import { DeviceStorage, setDefaultDevice } from "./storage.ts";

const MiB = 2 ** 20;

/** Has room for `capacity` bytes and remembers how many were in use at most. */
class CountingDevice extends ReferenceDevice {
  readonly #capacity: number;
  #inUse = 0;
  most = 0;

  constructor(capacity: number) {
    super();
    this.#capacity = capacity;
  }

  override allocate(bytes: number): DeviceBuffer {
    if (this.#inUse + bytes > this.#capacity) throw new OutOfMemoryError("Full.");
    this.#inUse += bytes;
    this.most = Math.max(this.most, this.#inUse);
    return { bytes };
  }

  override free({ bytes }: DeviceBuffer): void {
    this.#inUse -= bytes;
  }

  override memory(): { readonly buffers: number; readonly bytes: number } {
    return { buffers: 0, bytes: this.#inUse };
  }
}

afterEach(() => {
  installCollector(nodeCollector());
});

/** Makes and drops `count` storages of `bytes`. */
function drop(device: CountingDevice, count: number, bytes: number): void {
  for (let round = 0; round < count; round++) void new DeviceStorage(device, bytes);
}

test("a loop that never awaits stays within the budget", () => {
  const device = new CountingDevice(Infinity);
  drop(device, 5000, MiB);
  expect(device.most).toBeLessThanOrEqual(520 * MiB);
});

test("before memory is said to be full, garbage is collected", () => {
  const device = new CountingDevice(10 * MiB);
  drop(device, 100, MiB);
  expect(device.most).toBe(10 * MiB);
});

test("what is held stays, and once it is dropped there is room again", () => {
  const device = new CountingDevice(10 * MiB);
  let kept: DeviceStorage[] = [];
  expect(() => {
    for (let round = 0; round < 100; round++) kept.push(new DeviceStorage(device, MiB));
  }).toThrow(OutOfMemoryError);
  expect(kept.length).toBe(10);
  expect(kept.every(({ disposed }) => !disposed)).toBe(true);
  kept = [];
  drop(device, 100, MiB);
});

test("where garbage cannot be collected on demand, V8 sees what it would gain", async () => {
  installCollector(undefined);
  const device = new CountingDevice(Infinity);
  for (let round = 0; round < 100; round++) {
    drop(device, 16, 2 * MiB);
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  // 3.1 GiB were allocated.
  expect(device.most).toBeLessThan(1024 * MiB);
});

test("after an error of memory the engine goes on, with what it had", async () => {
  const device = new WasmDevice({ threads: 1 });
  const previous = setDefaultDevice(device);
  const x = tensor([1, 2, 3]);
  const before = device.memory();
  expect(() => x.sum().add(zeros([2 ** 30 + 2 ** 28])).dataSync()).toThrow(OutOfMemoryError);
  expect(device.memory()).toEqual(before);
  expect(x.mul(2).toArray()).toEqual([2, 4, 6]);
  setDefaultDevice(previous);
  await device.dispose();
});
