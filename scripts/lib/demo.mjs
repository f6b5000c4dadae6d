// @ts-check
/** The main job in one command: a private service, an edge, an agent, and a public URL that streams. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { readOptions, usageError } from "./arguments.mjs";
import { CuttingRelay } from "./cutting_relay.mjs";
import { runChecks } from "./demo_checks.mjs";
import { openStream } from "./demo_client.mjs";
import { compareUnderCuts } from "./demo_cuts.mjs";
import { Program } from "./program.mjs";
import { forms, root, setUp } from "./toolchain.mjs";

/** @typedef {import("./toolchain.mjs").Form} Form */
/** @typedef {"v2" | "json"} Protocol */
/** @typedef {{ upstream: Program, edge: Program, agent: Program, port: number, url: URL }} Demo */

const usualBytes = 1_000_000_000;
const usualCutSeconds = 3;

const help = `Usage: scripts/demo.sh [--once] [--cut] [--tls] [--protocol v2|json] [--port N]
                       [--edge-runtime RUNTIME] [--agent-runtime RUNTIME]

Starts a private service (scripts/examples/upstream.ts), an edge and an agent on this machine, prints the public URL
and what to try, then a line for each request. Ctrl-C ends everything.

  --once                   tries it all by itself instead: prints each check, exits 0 if all passed, else 1
  --cut                    cuts the link between agent and edge every 3 s under a stream of ticks and a download of a
                           gigabyte, prints each cut, and compares hashes; exits 1 where a byte or a tick is lost. With
                           --once that is all, else it goes on cutting
  --cut-every S            seconds between two cuts (default ${usualCutSeconds})
  --bytes N                of the download of --cut (default ${usualBytes})
  --tls                    the edge has TLS, with a certificate of its own, which the agent knows by its pin
  --protocol v2|json       how agent and edge speak to each other (default v2)
  --port N                 the edge's public port, 0 for any free one (default 8080, or a free one if that is busy)
  --edge-runtime RUNTIME   what the edge runs on (default bun)
  --agent-runtime RUNTIME  what the agent and the private service run on (default bun)
  --help                   print this

RUNTIME is bun, deno, binary (what scripts/build.sh has made, in dist) or node (22.18 or later, with what
scripts/pack.sh has made).`;

function readArguments() {
  const { values } = readOptions("demo", help, {
    options: {
      once: { type: "boolean", default: false },
      cut: { type: "boolean", default: false },
      "cut-every": { type: "string", default: String(usualCutSeconds) },
      bytes: { type: "string", default: String(usualBytes) },
      tls: { type: "boolean", default: false },
      protocol: { type: "string", default: "v2" },
      port: { type: "string" },
      "edge-runtime": { type: "string", default: "bun" },
      "agent-runtime": { type: "string", default: "bun" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  for (const runtime of [values["edge-runtime"], values["agent-runtime"]]) {
    if (!(/** @type {readonly string[]} */ (forms).includes(runtime))) {
      usageError("demo", `no such runtime: ${runtime}`);
    }
  }
  if (!["v2", "json"].includes(values.protocol)) usageError("demo", `no such protocol: ${values.protocol}`);
  const port = values.port === undefined ? null : Number(values.port);
  if (port !== null && !(/^\d+$/.test(String(values.port)) && port <= 65535)) {
    usageError("demo", `no port: ${values.port}`);
  }
  const cutSeconds = Number(values["cut-every"]);
  if (!(cutSeconds >= 0.1 && cutSeconds <= 3600)) {
    usageError("demo", `--cut-every is not from 0.1 to 3600: ${values["cut-every"]}`);
  }
  const bytes = Number(values.bytes);
  if (!Number.isSafeInteger(bytes) || bytes < 1) usageError("demo", `--bytes is no number from 1: ${values.bytes}`);
  // A session of the JSON protocol ends with its link.
  if (values.cut && values.protocol !== "v2") usageError("demo", "--cut needs --protocol v2");
  return {
    once: values.once,
    cuts: values.cut ? { bytes, everyMs: cutSeconds * 1000 } : null,
    tls: values.tls,
    protocol: /** @type {Protocol} */ (values.protocol),
    port,
    edgeRuntime: /** @type {Form} */ (values["edge-runtime"]),
    agentRuntime: /** @type {Form} */ (values["agent-runtime"]),
  };
}

const usualPort = 8080;

/** The port that was asked for; else the usual one, or a free one if that is busy. @param {number | null} asked */
async function choosePort(asked) {
  if (asked !== null) return await freePort(asked);
  try {
    return await freePort(usualPort);
  } catch {
    console.error(`demo: port ${usualPort} is busy: taking another one`);
    return await freePort(0);
  }
}

/** `port` itself, or any one for 0. Rejects where it cannot be listened on. @param {number} port */
async function freePort(port) {
  const server = createServer();
  try {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  } catch (error) {
    const reason = /** @type {NodeJS.ErrnoException} */ (error).code === "EADDRINUSE" ? "is busy" : String(error);
    throw new Error(`port ${port} ${reason}: stop what listens there, or choose another --port`);
  }
  const { port: bound } = /** @type {import("node:net").AddressInfo} */ (server.address());
  server.close();
  await once(server, "close");
  return bound;
}

/** @typedef {{ tls: boolean, protocol: Protocol, edgeRuntime: Form, agentRuntime: Form }} Wish */

/**
 * @param {Wish} wish @param {number} port of the edge @param {number} agentPort where the agent dials it
 * @returns {Promise<Demo>}
 */
async function start({ tls, protocol, edgeRuntime, agentRuntime }, port, agentPort) {
  const token = randomBytes(16).toString("hex");
  const upstream = new Program("upstream", agentRuntime, "scripts/examples/upstream.ts", []);
  const address = `127.0.0.1:${port}`;
  const listen = tls ? ["--listen", `https://${address}`, "--tls-self-signed"] : ["--listen", address];
  const edgeArguments = ["serve", ...listen, "--token", token, "--json"];
  const edge = new Program("edge", edgeRuntime, "bin/edge.ts", edgeArguments);
  /** @param {Record<string, unknown>} line */
  const isReady = (line) => line.event === "ready";
  const [{ port: upstreamPort }, { pin }] = await Promise.all([
    upstream.next((line) => "port" in line),
    edge.next(isReady),
  ]);
  const agent = new Program("agent", agentRuntime, "bin/agent.ts", [
    ...["http", String(upstreamPort), "--edge", `${tls ? "https" : "http"}://127.0.0.1:${agentPort}`],
    ...(tls ? ["--edge-pin", String(pin)] : []),
    ...["--token", token, "--name", "demo", "--protocol", protocol, "--json"],
  ]);
  const ready = await agent.next(isReady);
  return { upstream, edge, agent, port, url: new URL(String(ready.url)) };
}

/** Ends what runs, the outside first. Tells whether asking was enough for all of it. */
async function stopAll() {
  const order = ["agent", "edge", "upstream"];
  const programs = [...Program.running].sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  let asked = true;
  for (const program of programs) asked = await program.stop() && asked;
  return asked;
}

/** @param {number} bytes */
function formatBytes(bytes) {
  if (bytes < 1024) return `${bytes} B`;
  const power = Math.min(3, Math.floor(Math.log2(bytes) / 10));
  return `${(bytes / 1024 ** power).toFixed(1)} ${["B", "KiB", "MiB", "GiB"][power]}`;
}

/** @param {Demo} demo */
function printWhatToTry({ edge, agent, port, url }) {
  /** @param {string} path */
  const at = (path) => new URL(path, url).href;
  console.log(`${url.href}

That is the public address of a private service, through an edge on ${edge.form} and an agent on ${agent.form}.
Try it in a browser, or from another terminal:

  a tick a second, at once     curl -N ${at("/events")}
  the same as lines of JSON    curl -N ${at("/ndjson")}
  what you type, echoed        curl -N -T - -X POST ${at("/echo")}
  a gigabyte                   curl -o /dev/null '${at("/bytes?size=1000000000")}'
  without a name to resolve    curl -N -H 'Host: ${url.host}' ${url.protocol}//127.0.0.1:${port}/events
`);
  if (url.protocol === "https:") console.log("No authority has signed the certificate: curl takes it with -k.\n");
}

/** Shows the first ticks as they come through the public URL. @param {Demo} demo */
async function showTicks({ port, url }) {
  const stream = await openStream({ port, host: url.host, tls: url.protocol === "https:", path: "/events" });
  let shown = 0;
  for await (const text of stream.texts()) {
    for (const [, data] of text.matchAll(/^data: (.*)$/gm)) {
      const { n, at } = JSON.parse(data);
      console.log(
        `tick ${n}, made at ${at.slice(11, 23)}, came through ${Math.max(0, Date.now() - Date.parse(at))} ms later`,
      );
      shown++;
    }
    if (shown >= 5) return;
  }
}

/** @param {Record<string, unknown>} line */
function printRequest({ event, method, path, status, bytesOut, durationMs, code }) {
  if (event !== "request") return;
  const size = formatBytes(Number(bytesOut));
  const suffix = code === undefined ? "" : `  ${code}`;
  console.log(
    `${new Date().toTimeString().slice(0, 8)}  ${method} ${path}  ${status}  ${size}  ${
      Math.round(Number(durationMs))
    } ms${suffix}`,
  );
}

const realServer = `
Nothing is left running. The programs edge and agent of this checkout are in its folder bin:

  export PATH="${join(root, "bin")}:$PATH"

With a server of your own, where example.com and *.example.com lead:

  on the server     edge serve --domain example.com --token SECRET
  at the service    agent http 3000 --edge http://example.com:8080 --token SECRET --name shop --edge-insecure
  anywhere          curl http://shop.example.com:8080/

(--edge-insecure, since nothing ends TLS in front of this edge: docs/server.md has proxies that do.)`;

/**
 * Tells whether all has come through.
 * @param {Demo} demo @param {CuttingRelay} relay @param {import("./demo_cuts.mjs").Cuts} cuts
 */
async function runCuts(demo, relay, cuts) {
  const { bytes, everyMs } = cuts;
  console.log(`${demo.url.href} (edge on ${demo.edge.form}, agent on ${demo.agent.form})`);
  console.log(`the link is cut every ${everyMs / 1000} s under a stream of ticks and a download of ${bytes} bytes`);
  try {
    console.log(`ok    ${await compareUnderCuts(demo, relay, cuts)}`);
    return true;
  } catch (error) {
    console.log(`FAIL  ${error instanceof Error ? error.message : error}`);
    return false;
  }
}

/** @param {Demo} demo */
async function serveUntilEnded(demo) {
  demo.agent.on("line", printRequest);
  printWhatToTry(demo);
  const ended = Promise.race([demo.upstream, demo.edge, demo.agent].map(async (program) => {
    await once(program, "exit");
    return program;
  }));
  await showTicks(demo);
  console.log("\nRequests, as they end (Ctrl-C ends the demo):");
  const program = await ended;
  throw new Error(
    `the ${program.name} (${program.form}) ended with exit code ${program.exitCode}\n${program.stderr}`,
  );
}

async function main() {
  const { once: tryOnly, cuts, port: askedPort, ...wish } = readArguments();
  setUp();
  let stopping = false;
  /** @param {number} exitCode @param {string} lastWords */
  const stop = async (exitCode, lastWords) => {
    if (stopping) return;
    stopping = true;
    await stopAll();
    if (lastWords !== "") console.log(lastWords);
    process.exit(exitCode);
  };
  // A terminal that is closed sends SIGHUP; one that dies makes every write to it fail.
  process.stdout.on("error", () => stop(1, ""));
  process.on("SIGHUP", () => stop(129, ""));
  process.on("SIGTERM", () => stop(143, ""));
  process.on("SIGINT", () => stop(tryOnly ? 130 : 0, tryOnly ? "" : realServer));

  try {
    const port = await choosePort(askedPort);
    const relay = cuts === null ? null : new CuttingRelay(port);
    const demo = await start(wish, port, await relay?.listen() ?? port);
    if (relay !== null && cuts !== null) {
      const passed = await runCuts(demo, relay, cuts);
      if (tryOnly || !passed) return await stop(passed ? 0 : 1, "");
      relay.on("cut", (number) => console.log(`cut ${number}`));
    }
    if (!tryOnly) await serveUntilEnded(demo);
    const passed = await runChecks(demo, stopAll);
    process.exit(passed ? 0 : 1);
  } catch (error) {
    if (stopping) return;
    console.error(`demo: ${error instanceof Error ? error.message : error}`);
    await stop(1, "");
  }
}

await main();
