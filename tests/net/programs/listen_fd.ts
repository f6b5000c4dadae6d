/** Listens on the descriptor given, greets each client, and ends when standard input does. */
import process from "node:process";
import { formatAddress, listen, programArguments } from "../../../src/net/mod.ts";
import { bytesOf } from "../../support/net.ts";

const listener = await listen({ kind: "fd", fd: Number(programArguments()[0]) }, (socket) => {
  socket.write(bytesOf("hello from the child"));
  socket.end();
  socket.resume();
});
console.log(formatAddress(listener.address));
process.stdin.on("end", () => void listener.close());
process.stdin.resume();
