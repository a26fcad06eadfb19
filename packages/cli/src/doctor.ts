// `nabla doctor`: what the engine found on this machine.
// Every line is asked for or measured when the engine starts.
import { defaultDevice, WasmDevice } from "nabla";

export function doctor(options: { readonly json?: boolean }): void {
  const device = defaultDevice();
  const report: object = device instanceof WasmDevice ? device.report() : { device: device.name };
  if (options.json === true) console.log(JSON.stringify(report, null, 1));
  else for (const [name, value] of Object.entries(report)) console.log(`${name.padEnd(20)} ${typeof value === "object" ? JSON.stringify(value) : String(value)}`);
}
