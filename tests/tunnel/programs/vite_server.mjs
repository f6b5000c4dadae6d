// A Vite dev server of the folder given, on a free port of 127.0.0.1; prints `{"port":N}`.
import process from "node:process";
import { createServer } from "vite";

const server = await createServer({
  root: process.argv[2],
  configFile: false,
  logLevel: "silent",
  cacheDir: `${process.argv[2]}/.vite`,
  server: { host: "127.0.0.1", port: 0, ws: true },
});
await server.listen(0);
console.log(JSON.stringify({ port: server.httpServer.address().port }));
