/**
 * Forwards its first client to the port given, with TLS where the word `tls` follows; tells its own port, and then by
 * how much its memory grew.
 */
import process from "node:process";
import { dial, listen, programArguments, type Socket, tuneRuntime } from "../../../src/net/mod.ts";

tuneRuntime();
const MB = 1 << 20;
const [portText, word] = programArguments();
const port = Number(portText);
const tls = word === "tls" ? { tls: { insecure: true } } : {};
const startedWith = process.memoryUsage().rss;
let peak = startedWith;
const look = () => peak = Math.max(peak, process.memoryUsage().rss);
const looking = setInterval(look, 5);

const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (client) => void forward(client));
console.log(`port ${listener.address.port}`);

async function forward(client: Socket): Promise<void> {
  const upstream = await dial({ kind: "tcp", host: "127.0.0.1", port, ...tls });
  pipe(upstream, client);
  pipe(client, upstream);
  await listener.close();
}

/** Each socket is handled for what it reads; what it drains concerns the other one. */
function pipe(from: Socket, to: Socket): void {
  from.handlers = {
    onData: (chunk) => void (to.write(chunk) || from.pause()),
    onEnd: () => to.end(),
    onDrain: () => to.resume(),
    onClose(error) {
      // After a clean end the other one has been ended, and may have bytes to send still.
      if (error !== null) to.reset();
      clearInterval(looking);
      look();
      console.log(`grown ${Math.ceil((peak - startedWith) / MB)} MB`);
      process.exitCode = 0;
    },
  };
  from.resume();
}
