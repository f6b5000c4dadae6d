/**
 * Exposes a function through the edge at the port given, for which it tries as many milliseconds as given, and prints
 * what happens. Nothing but `expose` keeps it alive, no `await` of the module either. `/drain` and `/close` end it.
 */
import process from "node:process";
import { expose } from "runnel";

const [port, connectTimeoutMs = "10000"] = process.argv.slice(2);

async function main() {
  const exposed = await expose({
    edge: `http://127.0.0.1:${port}`,
    token: "test-token",
    name: "shop",
    connectTimeoutMs: Number(connectTimeoutMs),
    fetch(request) {
      const { pathname } = new URL(request.url);
      if (pathname === "/drain") void exposed.drain();
      if (pathname === "/close") exposed.close();
      if (pathname === "/throw") throw new Error("a mistake of the function's");
      return new Response("ok");
    },
    onReady: (url) => console.log(`ready ${url}`),
    onDisconnected: () => console.log("disconnected"),
  });
  console.log(`closed ${(await exposed.closed)?.code}`);
}

main().catch((error) => console.log(`rejected ${error.name} ${error.code}`));
