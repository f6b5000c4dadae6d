/**
 * The private service of the demo: plain `node:http`, so that it runs under Bun, Deno and Node 22.18 or later.
 *
 *     bun scripts/examples/upstream.ts [--port 3000] [--interval 1000]
 *
 * It prints `{"port":3000}` when it listens (on 127.0.0.1, by default on a free port) and serves
 *
 *     GET  /                        a page that shows the ticks below
 *     GET  /events                  Server-Sent Events, one each interval, without end
 *     GET  /ndjson                  the same as lines of JSON
 *     GET  /ticker?id=X&count=N     N events; event n+1 is made only once event n has been confirmed
 *     GET  /ndjson/ticker?…         the same as lines of JSON
 *     POST /confirm/X?n=…           confirms event n of ticker X
 *     GET  /bytes?size=N            N pseudo-random bytes in chunks, made as fast as they are taken
 *     POST /echo                    the request's body, as it comes in
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import { sequence } from "../lib/sequence.mjs";

const maxTickers = 100;
const maxBytes = 2 ** 40;

const page = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Runnel demo</title>
<h1>Served through Runnel</h1>
<p>This page, and each tick below, comes from a private service through an agent and an edge.</p>
<ol id="ticks"></ol>
<script>
  new EventSource("/events").onmessage = ({ data }) => {
    const { n, at } = JSON.parse(data);
    const line = document.createElement("li");
    line.value = n;
    line.textContent = at + ", seen " + (Date.now() - Date.parse(at)) + " ms later";
    document.querySelector("#ticks").prepend(line);
  };
</script>
</html>
`;

interface Tick {
  readonly n: number;
  /** When it was made, ISO 8601. */
  readonly at: string;
}

/** How a stream of ticks is written: as Server-Sent Events or as lines of JSON. */
interface Format {
  readonly contentType: string;
  encode(tick: Tick): string;
}

const serverSentEvents: Format = {
  contentType: "text/event-stream",
  encode: (tick) => `id: ${tick.n}\ndata: ${JSON.stringify(tick)}\n\n`,
};

const jsonLines: Format = {
  contentType: "application/x-ndjson",
  encode: (tick) => `${JSON.stringify(tick)}\n`,
};

/** The tickers that wait for a confirmation: id to what is called with the number confirmed; false if it is wrong. */
const tickers = new Map<string, (n: number) => boolean>();

const tickNow = (n: number): Tick => ({ n, at: new Date().toISOString() });

function answer(response: ServerResponse, status: number, text: string, contentType = "text/plain; charset=utf-8") {
  const body = new TextEncoder().encode(text);
  // Node leaves the body of an answer to HEAD out by itself.
  response.writeHead(status, { "Content-Type": contentType, "Content-Length": body.length }).end(body);
}

function startStream(response: ServerResponse, format: Format) {
  response.writeHead(200, { "Content-Type": format.contentType, "Cache-Control": "no-cache" });
  response.flushHeaders();
}

/** A tick each interval until the client goes away. */
function tickForEver(response: ServerResponse, format: Format, intervalMs: number) {
  let n = 0;
  const tick = () => response.write(format.encode(tickNow(++n)));
  startStream(response, format);
  tick();
  const timer = setInterval(tick, intervalMs);
  response.on("close", () => clearInterval(timer));
}

/** Ticks of which each waits for the one before to be confirmed: whatever holds a tick back stops it for good. */
function tickConfirmed(response: ServerResponse, format: Format, id: string, count: number) {
  if (id === "" || !Number.isInteger(count) || count < 1) return answer(response, 400, "needs id and count\n");
  if (tickers.has(id)) return answer(response, 409, `ticker ${id} runs already\n`);
  if (tickers.size >= maxTickers) return answer(response, 503, `${maxTickers} tickers run already\n`);
  let n = 1;
  tickers.set(id, (confirmed) => {
    if (confirmed !== n) return false;
    if (n === count) response.end();
    else response.write(format.encode(tickNow(++n)));
    return true;
  });
  response.on("close", () => tickers.delete(id));
  startStream(response, format);
  response.write(format.encode(tickNow(n)));
}

function confirm(response: ServerResponse, id: string, n: number) {
  const confirmTick = tickers.get(id);
  if (confirmTick === undefined) return answer(response, 404, `no ticker ${id}\n`);
  if (!confirmTick(n)) return answer(response, 409, `event ${n} is not the one that waits\n`);
  response.writeHead(204).end();
}

async function sendBytes(response: ServerResponse, size: number) {
  if (!Number.isInteger(size) || size < 0 || size > maxBytes) return answer(response, 400, "needs a size\n");
  response.writeHead(200, { "Content-Type": "application/octet-stream" });
  await pipeline(Readable.from(sequence(size), { objectMode: false }), response);
}

async function echo(request: IncomingMessage, response: ServerResponse) {
  response.writeHead(200, { "Content-Type": request.headers["content-type"] ?? "application/octet-stream" });
  response.flushHeaders();
  await pipeline(request, response);
}

async function serve(request: IncomingMessage, response: ServerResponse, intervalMs: number) {
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://upstream");
  const parameter = (name: string) => searchParams.get(name) ?? "";
  const method = request.method === "HEAD" ? "GET" : request.method;
  const confirmed = pathname.match(/^\/confirm\/([^/]+)$/);
  if (method === "POST" && confirmed) return confirm(response, confirmed[1], Number(parameter("n")));
  switch (`${method} ${pathname}`) {
    case "GET /":
      return answer(response, 200, page, "text/html; charset=utf-8");
    case "GET /events":
      return tickForEver(response, serverSentEvents, intervalMs);
    case "GET /ndjson":
      return tickForEver(response, jsonLines, intervalMs);
    case "GET /ticker":
      return tickConfirmed(response, serverSentEvents, parameter("id"), Number(parameter("count")));
    case "GET /ndjson/ticker":
      return tickConfirmed(response, jsonLines, parameter("id"), Number(parameter("count")));
    case "GET /bytes":
      return await sendBytes(response, Number(parameter("size") || NaN));
    case "POST /echo":
      return await echo(request, response);
    default:
      return answer(response, 404, `the upstream has nothing at ${pathname}\n`);
  }
}

const { values } = parseArgs({
  options: { port: { type: "string", default: "0" }, interval: { type: "string", default: "1000" } },
});
const server = createServer((request, response) => {
  serve(request, response, Number(values.interval)).catch((error) => {
    // A client that goes away in the middle of a body ends the pipeline with an error; there is no one left to tell.
    response.destroy(error);
  });
});
server.on("error", (error) => {
  console.error(`upstream: cannot listen on port ${values.port}: ${error.message}`);
  process.exit(1);
});
server.listen(Number(values.port), "127.0.0.1", () => {
  console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
});
for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    server.close();
    server.closeAllConnections();
    process.exit(0);
  });
}
