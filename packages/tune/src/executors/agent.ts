// A worker process: this thread only beats and passes messages on, a thread below trains. However long a training
// step blocks, the master keeps hearing from a process that lives; when the master dies, so does this.
import { TrainerThread } from "./trainer-thread.ts";
import type { FromWorker, ToWorker } from "./protocol.ts";

const [module, interval] = process.argv.slice(2);
const say = (message: FromWorker): void => {
  process.send?.(message, undefined, undefined, (error) => { if (error !== null) process.exit(1); });
};

const trainer = new TrainerThread(module!, say, (reason) => {
  process.stderr.write(`${reason}\n`);
  process.exit(1);
});
process.on("message", (message) => { trainer.post(message as ToWorker); });
// Ctrl-C reaches the whole process group; the master decides what it means.
process.on("SIGINT", () => undefined);
process.on("disconnect", () => { process.exit(0); });
setInterval(() => { say({ type: "heartbeat" }); }, Number(interval));
