/** Causes every error of a socket whose owner does not handle it; none of them may end the process. */
import { dial, type DialTarget, listen, type Socket } from "../../../src/net/mod.ts";
import { connectPair, eventually, SocketReader } from "../../support/net.ts";

const accepted: Socket[] = [];
const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (socket) => void accepted.push(socket));
const target: DialTarget = { kind: "tcp", host: "127.0.0.1", port: listener.address.port };

// A reset of a socket that never got handlers, and writes to it after that.
const silent = await dial(target);
await eventually(() => accepted.length === 1);
silent.reset();
await eventually(() => {
  accepted[0].write(new Uint8Array(1000));
  return accepted[0].closed;
});

// A reset while much waits in both directions.
const [near, far] = await connectPair();
near.write(new Uint8Array(16 << 20));
far.write(new Uint8Array(16 << 20));
const farReader = new SocketReader(far);
near.reset();
await farReader.closed;
far.write(new Uint8Array(1000));
far.end();
far.reset();

// Dials that are given up before, while and after they fail.
for (const port of [target.port, 1]) {
  const controller = new AbortController();
  const dialing = dial({ kind: "tcp", host: "127.0.0.1", port }, { signal: controller.signal });
  controller.abort();
  await dialing.catch(() => {});
}
await dial({ kind: "tcp", host: "127.0.0.1", port: 1 }).catch(() => {});
await listen(target, () => {}).catch(() => {});

for (const socket of accepted) socket.reset();
await listener.close();
console.log("survived");
