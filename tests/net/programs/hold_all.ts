/** Greets each client and keeps it for as long as it stays; tells its port. */
import { listen, onSignal } from "../../../src/net/mod.ts";
import { bytesOf } from "../../support/net.ts";

// As the programs do, before descriptors run out: Deno ends where it has none for this.
onSignal("SIGHUP", () => {});
const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (socket) => {
  socket.handlers = { onData() {}, onEnd: () => socket.end(), onDrain() {}, onClose() {} };
  socket.resume();
  socket.write(bytesOf("hello"));
});
console.log(listener.address.port);
