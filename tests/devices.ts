// The devices that tests of behaviour run on: one list, so that a device is added to all of them in one line.
// After each test nothing may be left alive: garbage is collected and the device must be as it was before.
import { afterEach, beforeEach, describe, expect } from "vitest";
import type { Device } from "../packages/nabla/src/devices/device.ts";
import { ReferenceDevice } from "../packages/nabla/src/devices/reference/device.ts";
import { WasmDevice } from "../packages/nabla/src/devices/wasm/device.ts";
import { reclaim } from "../packages/nabla/src/tensor/reclaim.ts";
import { setDefaultDevice } from "../packages/nabla/src/tensor/storage.ts";

export const devices: readonly { readonly name: string; readonly make: () => Device }[] = [
  { name: "reference", make: () => new ReferenceDevice() },
  { name: "wasm", make: () => new WasmDevice({ threads: 1 }) },
];

/** Describes `body` once for each device, which is the default device while its tests run. */
export function onEveryDevice(name: string, body: () => void): void {
  describe.each(devices)(`${name} ($name)`, ({ make }) => {
    let device: Device;
    let previous: Device | undefined;
    beforeEach(() => {
      device = make();
      previous = setDefaultDevice(device);
    });
    afterEach(async () => {
      setDefaultDevice(previous);
      expect(await liveBuffers(device)).toBe(0);
      await device.dispose();
    });
    body();
  });
}

/** Buffers that survive garbage collection. */
async function liveBuffers(device: Device): Promise<number> {
  for (let attempt = 0; attempt < 10 && device.memory().buffers > 0; attempt++) {
    reclaim();
    // What the engine's queue still holds is let go of in a task of its own.
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  return device.memory().buffers;
}
