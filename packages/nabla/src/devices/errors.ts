// What goes wrong on a device, as types: a lost worker, a refused allocation, a platform that is too old.
// A run that failed leaves the device usable unless the message says otherwise.
import { NablaError } from "../errors/errors.ts";

/** A program or one of the device's threads failed. */
export class DeviceError extends NablaError {
  override readonly name: string = "DeviceError";
}

/** The device has no room for an allocation. */
export class OutOfMemoryError extends DeviceError {
  override readonly name: string = "OutOfMemoryError";

  constructor(message: string) {
    super(message, "Use smaller batches, or hold fewer tensors. In a page, await something now and then: only between tasks is given back what was dropped.");
  }
}

/** This Node or browser lacks something the device needs. */
export class PlatformError extends NablaError {
  override readonly name: string = "PlatformError";
}
