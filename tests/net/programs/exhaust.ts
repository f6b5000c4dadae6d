/**
 * Runs out of descriptors (start it with few): checks that new sockets are refused, that the others are not affected, and
 * that new sockets are accepted again once some have closed.
 */
import { strict as assert } from "node:assert";
import { dial, type DialTarget, listen } from "../../../src/net/mod.ts";
import { bytesOf, eventually, SocketReader } from "../../support/net.ts";

const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (socket) => {
  socket.handlers = {
    onData: (chunk) => void socket.write(chunk),
    onEnd: () => socket.end(),
    onDrain() {},
    onClose() {},
  };
  socket.resume();
});
const target: DialTarget = { kind: "tcp", host: "127.0.0.1", port: listener.address.port };

const served: SocketReader[] = [];
let refused: { code: string } | null = null;
while (refused === null && served.length < 1_000) {
  const reader = await dial(target).then((socket) => new SocketReader(socket), (error) => error);
  if (reader instanceof SocketReader) refused = await echoes(reader) ? null : await reader.closed;
  else refused = reader;
  if (refused === null) served.push(reader);
}
assert.ok(refused!.code === "out_of_descriptors" || refused!.code === "connection_reset", refused!.code);
assert.ok(served.length >= 10, `only ${served.length} were served`);
for (const reader of served) assert.ok(await echoes(reader), "a socket that was there broke");

for (const reader of served.splice(0, 5)) {
  reader.socket.end();
  await reader.closed;
}
await eventually(async () => {
  const reader = await dial(target).then((socket) => new SocketReader(socket), () => null);
  if (reader === null || !await echoes(reader)) return false;
  served.push(reader);
  return true;
});
for (const reader of served) reader.socket.reset();
await listener.close();
console.log("kept all");

async function echoes(reader: SocketReader): Promise<boolean> {
  reader.socket.write(bytesOf("x"));
  return await reader.read(1).then(() => true, () => false);
}
