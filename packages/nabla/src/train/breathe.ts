// Lets the rest of the program run during long loops: timers, signals, the page.
// A synchronous device would otherwise hold the thread from the first step to the last.
import type { Device } from "../devices/device.ts";

/** Longest time in ms that a loop of steps keeps the thread to itself. */
const HOLD = 30;

let lastYield = 0;
const queued = new WeakMap<Device, Promise<void>>();

/** Waits for the run before the last one (so two are in flight), or, on a synchronous device, now and then for the event loop. */
export async function breathe(device: Device): Promise<void> {
  if (!device.synchronous) {
    const previous = queued.get(device);
    queued.set(device, device.finish());
    await previous;
    return;
  }
  const now = performance.now();
  if (now - lastYield < HOLD) return;
  lastYield = now;
  await new Promise<void>((resolve) => {
    if (typeof setImmediate === "function") setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
