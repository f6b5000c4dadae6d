/**
 * The blocks of docs/server.md for nginx, Caddy and HAProxy, as they stand there but for ports and files, each in front of
 * an edge that is started as the page says: what the demo checks comes through, and the upstream learns who the visitor is.
 */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import * as net from "node:net";
import { join } from "node:path";
import { describe, it } from "node:test";
import * as tls from "node:tls";
import { fileURLToPath } from "node:url";
import { runChecks } from "../../scripts/lib/demo_checks.mjs";
import { Program } from "../../scripts/lib/program.mjs";
import { dial } from "../../src/net/mod.ts";
import { startConnectProxy } from "../support/connect_proxy.ts";
import { agentRuntime, edgeRuntime, exited, isReady, killAll, signal } from "../support/processes.ts";
import { withForeignProxy } from "../support/foreign_proxy.ts";
import { bytesOf, freePort, latin1, SocketReader } from "../support/net.ts";
import { missingPeer } from "../support/peers.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { withScratch } from "../support/scratch.ts";
import { type Fence, readPage } from "./page.ts";

const certificates = fileURLToPath(new URL("../support/certificates", import.meta.url));
const token = "a-token-of-the-tests";
/** Of the long answer: the whole of it is tried without a proxy. */
const BULK_BYTES = 20 * 1024 * 1024;
/** A second address of this machine: the proxies have the first one. */
const VISITOR = "127.0.0.2";

interface Proxy {
  /** The language of the page's block, which is the program's name. */
  readonly name: "nginx" | "caddy" | "haproxy";
  /** How it differs from the page. Default: in nothing. */
  readonly how?: string;
  /** What is written there, and what runs in its place. */
  changes(port: number, folder: string): readonly (readonly [written: string, here: string])[];
  /** The whole file, and the command that runs it. */
  file(block: string): string;
  command(file: string, folder: string): readonly string[];
}

const nginx: Proxy = {
  name: "nginx",
  changes: (port) => [
    ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
    ["/etc/ssl/example.com.pem", join(certificates, "server.pem")],
    ["/etc/ssl/example.com.key", join(certificates, "server.key")],
  ],
  file(block) {
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) => `${name}_temp_path ${name};`);
    const http = ["access_log off;", ...temporary, block].join("\n");
    return `daemon off;\nmaster_process off;\npid nginx.pid;\nevents {}\nhttp {\n${http}\n}\n`;
  },
  command: (file, folder) => ["nginx", "-p", folder, "-e", "stderr", "-c", file],
};

const proxies: readonly Proxy[] = [
  nginx,
  {
    ...nginx,
    how: "but for keep-alive and its usual buffering",
    changes: (port, folder) => [
      ...nginx.changes(port, folder),
      ["        proxy_buffering off;\n        proxy_request_buffering off;\n", ""],
      ["proxy_pass http://127.0.0.1:8080", "proxy_pass http://edge"],
      ["server {", "upstream edge { server 127.0.0.1:8080; keepalive 16; }\nserver {"],
    ],
  },
  {
    name: "caddy",
    changes: (port) => [
      [
        "example.com, *.example.com {",
        `https://example.com:${port}, https://*.example.com:${port} {\n\tbind 127.0.0.1\n\ttls ${
          ["pem", "key"].map((kind) => join(certificates, `server.${kind}`)).join(" ")
        }`,
      ],
    ],
    file: (block) => `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${block}\n`,
    command: (file) => ["caddy", "run", "--config", file, "--adapter", "caddyfile"],
  },
  {
    name: "haproxy",
    changes: (port, folder) => [
      ["bind :443", `bind 127.0.0.1:${port}`],
      ["/etc/haproxy/example.com.pem", join(folder, "joined.pem")],
    ],
    file: (block) => `${block}\n`,
    command: (file) => ["haproxy", "-db", "-f", file],
  },
];

/** The page's block, and the command of the edge that stands before it. */
function written(name: string): { block: string; flags: string[] } {
  const { fences } = readPage("docs/server.md");
  const at = fences.findIndex(({ language }) => language === name);
  assert.ok(at > 0, `the page has no block for ${name}`);
  const [command = ""] = (fences[at - 1] as Fence).lines;
  assert.match(command, /^edge serve --listen 127\.0\.0\.1:8080 .*--token-file token$/);
  const flags = command.replace("edge serve --listen 127.0.0.1:8080 ", "").replace(
    "--token-file token",
    `--token ${token}`,
  );
  return { block: (fences[at] as Fence).lines.join("\n"), flags: flags.split(" ") };
}

function substituted(text: string, changes: readonly (readonly [written: string, here: string])[]): string {
  return changes.reduce((block, [written, here]) => {
    assert.ok(block.includes(written), `the page does not say ${written}`);
    return block.replace(written, here);
  }, text);
}

/** Takes plain connections, and passes each on by TLS from the address of the visitor: the demo's client speaks HTTP. */
async function startVisitor(port: number): Promise<{ port: number; close(): void }> {
  const sockets = new Set<net.Socket>();
  const server = net.createServer((plain) => {
    const outside = tls.connect({
      socket: net.connect({ port, host: "127.0.0.1", localAddress: VISITOR }),
      servername: "demo.example.com",
      rejectUnauthorized: false,
      ALPNProtocols: ["http/1.1"],
    });
    for (const socket of [plain, outside]) {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => {
        plain.destroy();
        outside.destroy();
      });
    }
    plain.pipe(outside);
    outside.pipe(plain);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as net.AddressInfo).port,
    close() {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

const spoofed = [
  ...["X-Forwarded-For: 6.6.6.6", "X-Forwarded-Proto: http", "X-Forwarded-Host: other.example.com"],
  ...["Forwarded: for=6.6.6.6", "X-Request-ID: mine", "X-Real-IP: 6.6.6.6", "True-Client-IP: 6.6.6.6"],
  ...["CF-Connecting-IP: 6.6.6.6", "X-Client-IP: 6.6.6.6", "X_Forwarded_For: 6.6.6.6", "X-Cluster-Client-IP: 6.6.6.6"],
].map((line) => `${line}\r\n`).join("");

describe("docs/server.md", () => {
  for (const proxy of proxies) {
    const how = proxy.how === undefined ? "" : `, ${proxy.how}`;
    it(`${proxy.name} passes all, and says who the visitor is, when it has the page's configuration${how}`, {
      skip: missingPeer(proxy.name),
    }, () =>
      withScratch(async (folder) => {
        const { block, flags } = written(proxy.name);
        const [port, edgePort] = [await freePort(), await freePort()];
        const pem = await Promise.all(["server.pem", "server.key"].map((name) => readFile(join(certificates, name))));
        await writeFile(join(folder, "joined.pem"), Buffer.concat(pem));
        const changes = [...proxy.changes(port, folder), ["127.0.0.1:8080", `127.0.0.1:${edgePort}`] as const];
        const file = join(folder, "configuration");
        await writeFile(file, proxy.file(substituted(block, changes)));

        const heads: string[] = [];
        const told = await ScriptedServer.start(async (peer) => {
          for (;;) {
            heads.push(await peer.readHead());
            peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
          }
        });
        const listen = ["serve", "--listen", `127.0.0.1:${edgePort}`];
        const upstream = new Program("upstream", agentRuntime, "scripts/examples/upstream.ts", []);
        const edge = new Program("edge", edgeRuntime, "bin/edge.ts", [...listen, ...flags, "--json"]);
        const [{ port: upstreamPort }] = await Promise.all([
          upstream.next((line: Record<string, unknown>) => "port" in line),
          edge.next(isReady),
        ]);
        const agentOf = (name: string, upstream: unknown) =>
          new Program("agent", agentRuntime, "bin/agent.ts", [
            ...["http", String(upstream), "--edge", "https://example.com", "--edge-insecure"],
            ...["--proxy", `http://127.0.0.1:${names.port}`, "--token", token, "--name", name, "--json"],
          ]);
        // The agents dial the proxy by its name, which exists nowhere.
        const names = await startConnectProxy({ routes: { "example.com:443": port } });
        const visitor = await startVisitor(port);
        try {
          await withForeignProxy(proxy.command(file, folder), port, folder, async () => {
            const agent = agentOf("demo", upstreamPort);
            const second = agentOf("told", told.port);
            const ready = await Promise.all([agent.next(isReady), second.next(isReady)]);
            assert.deepEqual(ready.map(({ url }) => url), ["https://demo.example.com", "https://told.example.com"]);

            const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: visitor.port }));
            client.socket.write(
              bytesOf(`GET / HTTP/1.1\r\nHost: told.example.com\r\nConnection: close\r\n${spoofed}\r\n`),
            );
            assert.match(latin1(await client.readAll()), /ok$/);
            client.socket.end();
            const [head] = heads as [string];
            assert.match(head, new RegExp(`^X-Forwarded-For: ${VISITOR.replaceAll(".", "\\.")}\r$`, "m"));
            assert.match(head, /^X-Forwarded-Proto: https\r$/m);
            assert.match(head, /^X-Forwarded-Host: told\.example\.com\r$/m);
            assert.doesNotMatch(head, /6\.6\.6\.6|other\.example\.com|mine/);

            const stopAll = async () => {
              for (const program of [second, agent, edge]) {
                signal(program, "SIGTERM");
                await exited(program);
              }
              return true;
            };
            // The visitor speaks plain HTTP to the one that adds TLS for him.
            const demo = { upstream, edge, agent, port: visitor.port, url: new URL("http://demo.example.com") };
            assert.ok(await runChecks(demo, stopAll, BULK_BYTES), "a check of the demo failed: see above");
          });
        } finally {
          visitor.close();
          await names.close();
          await killAll();
          await told.close();
        }
      }));
  }
});
