/**
 * Agents that others write, with nothing but Authorization and Last-Event-ID: none of a burst of 1,000 events is lost or
 * told twice, whatever becomes of the connection.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import process from "node:process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import type { NodeService } from "../../src/edge/node_service.ts";
import { dial } from "../../src/net/mod.ts";
import { PushRegistry, PushStream } from "../../src/push/mod.ts";
import { bytesOf, eventually, freePort, SocketReader } from "../support/net.ts";
import { withNginx } from "../support/nginx.ts";
import { missingPeer } from "../support/peers.ts";
import { PushClient } from "../support/push_client.ts";
import { Relay } from "../support/relay.ts";
import { withScratch } from "../support/scratch.ts";
import { startTestEdge } from "../support/tunnel.ts";

const token = "of-web-1";
const path = "/api/agent/push";

interface Stage {
  readonly registry: PushRegistry;
  /** Of the edge, behind a relay. */
  readonly url: string;
  readonly relay: Relay;
  readonly edgePort: number;
  /** Sends messages with these numbers at once. */
  burst(from: number, to: number): void;
}

async function onStage(use: (stage: Stage) => Promise<void>): Promise<void> {
  const registry = new PushRegistry({ versionOf: () => 1 });
  const nodes: NodeService = {
    epoch: "e",
    versionOf: () => 1,
    configOf: () => null,
    listen(node, request) {
      const sink = new PushStream((left) => registry.unregister(node, left));
      return registry.register(node, sink, request) ?? sink.stream;
    },
    acknowledge: () => Promise.resolve(null),
    endStreams: () => registry.close(),
  };
  const owner = { id: "node:web-1", tokenId: "t", node: "web-1", isValid: () => true, ownerOf: () => "" };
  const checkToken = (given: string) => given === token ? { ...owner, refusalOf: () => null } : null;
  const edge = await startTestEdge({ nodes, checkToken });
  const { port } = edge.address;
  const relay = await Relay.start({ kind: "tcp", host: "127.0.0.1", port });
  try {
    await use({
      registry,
      relay,
      edgePort: port,
      url: `http://127.0.0.1:${relay.port}${path}`,
      burst(from, to) {
        for (let version = from; version <= to; version++) {
          registry.send("web-1", { type: "config_changed", version, reason: "tunnel" });
        }
      },
    });
  } finally {
    await relay.close();
    await edge.close();
  }
}

const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

describe("A client written by hand", () => {
  it("sees every event of a burst of 1,000, in order and none twice, over lost connections", () =>
    onStage(async ({ registry, url, relay, burst }) => {
      const client = new PushClient();
      assert.equal(await client.connect(url, token), 200);
      burst(1, 300);
      await eventually(() => client.events.length > 0);
      // Some of them are on their way, or not even that.
      relay.cut();
      burst(301, 600);
      await eventually(() => !client.isOpen && registry.size === 0);
      assert.equal(await client.connect(url, token), 200);
      burst(601, 1_000);
      await eventually(() => client.events.length >= 1_000);
      assert.deepEqual(client.events.map(({ data }) => data.version), upTo(1_000));
      assert.equal(new Set(client.events.map(({ id }) => id)).size, 1_000);
      client.close();
    }));

  it(
    "gets each event at once behind an nginx with its default buffering",
    { skip: missingPeer("nginx") },
    () =>
      onStage(async ({ burst, edgePort }) => {
        const port = await freePort();
        const server = `server {
        listen 127.0.0.1:${port};
        location / { proxy_pass http://127.0.0.1:${edgePort}; }
      }`;
        await withNginx(port, server, async () => {
          const client = new PushClient();
          assert.equal(await client.connect(`http://127.0.0.1:${port}${path}`, token), 200);
          for (const version of upTo(5)) {
            burst(version, version);
            // Each is read before the next one is made.
            await eventually(() => client.events.length === version);
          }
          client.close();
        });
      }),
  );
});

describe("A client that listens and does not read", () => {
  it(
    "is cut off, while another one of its node gets everything and nobody waits",
    { timeout: 60_000 },
    () =>
      onStage(async ({ registry, edgePort, burst }) => {
        const stalled = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: edgePort }), {
          paused: true,
        });
        const fields = `Host: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n`;
        stalled.socket.write(bytesOf(`GET ${path}?instance=stalled HTTP/1.1\r\n${fields}\r\n`));
        const quick = new PushClient();
        assert.equal(await quick.connect(`http://127.0.0.1:${edgePort}${path}?instance=quick`, token), 200);
        await eventually(() => registry.size === 2);
        let sent = 0;
        await eventually(async () => {
          burst(sent + 1, sent += 1_000);
          await eventually(() => quick.events.length === sent);
          return registry.cutOffs === 1;
        });
        assert.deepEqual(registry.instancesOf("web-1"), ["quick"]);
        assert.deepEqual(quick.events.map(({ data }) => data.version), upTo(sent));
        stalled.socket.resume();
        await stalled.closed;
        assert.equal(stalled.sawEnd, false, "it ended as if it were complete");
        quick.close();
      }),
  );
});

/** What the Go command has compiled is kept by it for the next time. */
async function buildGo(folder: string): Promise<string> {
  const file = join(folder, "client");
  const cwd = fileURLToPath(new URL("go_client", import.meta.url));
  const env = { ...process.env, GOTOOLCHAIN: "local", GOFLAGS: "" };
  const build = spawn("go", ["build", "-o", file, "main.go"], { cwd, env, stdio: "inherit" });
  const [code] = await once(build, "close");
  assert.equal(code, 0, "go build failed");
  return file;
}

describe("A client of Go's standard library", { skip: missingPeer("go") }, () => {
  it(
    "sees every event of a burst of 1,000, in order and none twice, over lost connections",
    { timeout: 180_000 },
    () =>
      withScratch((folder) =>
        onStage(async ({ registry, url, relay, burst }) => {
          const child: ChildProcess = spawn(await buildGo(folder), [url, token], {
            stdio: ["ignore", "pipe", "inherit"],
          });
          const ended = once(child, "close");
          let text = "";
          child.stdout!.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
          const lines = () => text.split("\n").filter((line) => line.endsWith("}"));
          const connections = () => text.split("connected\n").length - 1;
          try {
            await eventually(() => registry.size === 1 && connections() === 1, { deadlineMs: 60_000 });
            burst(1, 300);
            await eventually(() => lines().length > 0);
            relay.cut();
            burst(301, 600);
            await eventually(() => connections() === 2 && registry.size === 1);
            burst(601, 1_000);
            await eventually(() => lines().length >= 1_000);
            const told = lines().map((line) => line.split(" "));
            assert.deepEqual(told.map(([, data]) => JSON.parse(data!).version), upTo(1_000));
            assert.equal(new Set(told.map(([id]) => id)).size, 1_000);
          } finally {
            child.kill("SIGKILL");
            await ended;
          }
        })
      ),
  );
});
