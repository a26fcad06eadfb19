// What goes wrong on a device, as types: a lost worker, a refused allocation, a platform that is too old.
// A run that failed leaves the device usable unless the message says otherwise.
import { NablaError } from "../ops/errors.ts";

/** A program or one of the device's threads failed. */
export class DeviceError extends NablaError {}

/** The device has no room for an allocation. */
export class OutOfMemoryError extends DeviceError {}

/** This Node or browser lacks something the device needs. */
export class PlatformError extends NablaError {}
