import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { eventually } from "../support/net.ts";
import { exchange, startTunnel, type Tunnel, type TunnelOptions } from "../support/tunnel.ts";
import { WebSocket } from "../websocket/foreign.ts";

/** Starts a program of this folder on Node, for which such applications are made. */
function startProgram(name: string, ...args: string[]): ChildProcess {
  const file = fileURLToPath(new URL(`programs/${name}`, import.meta.url));
  return spawn("node", [file, ...args], { stdio: ["ignore", "pipe", "inherit"] });
}

/** The first line that the program prints, which is JSON. */
async function firstLine<T>(program: ChildProcess): Promise<T> {
  const lines = createInterface({ input: program.stdout! });
  const [line] = await Promise.race([
    once(lines, "line"),
    once(program, "exit").then(([code]) => Promise.reject(new Error(`the program ended with ${code}`))),
  ]);
  return JSON.parse(line);
}

async function stop(program: ChildProcess): Promise<void> {
  if (program.exitCode !== null || program.signalCode !== null) return;
  const exit = once(program, "exit");
  program.kill("SIGKILL");
  await exit;
}

/** A tunnel to what the program serves; the tunnel serves 127.0.0.1 itself, too, for clients that set no Host. */
async function withTunnelTo(
  program: ChildProcess,
  use: (tunnel: Tunnel) => Promise<void>,
  options: TunnelOptions = {},
): Promise<void> {
  let tunnel: Tunnel | null = null;
  try {
    const { port } = await firstLine<{ port: number }>(program);
    const target = { kind: "tcp", host: "127.0.0.1", port } as const;
    tunnel = await startTunnel(target, { protocol: "v2", edge: { defaultTunnel: "shop" }, ...options });
    await use(tunnel);
  } finally {
    await tunnel?.close();
    await stop(program);
  }
}

describe("applications of others through a tunnel", () => {
  it("a Vite dev server tells its page of an edited module", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vite-"));
    const edit = (version: number) =>
      writeFile(join(folder, "main.js"), `export const version = ${version};\nimport.meta.hot.accept();\n`);
    await writeFile(join(folder, "index.html"), '<script type="module" src="/main.js"></script>');
    await edit(0);
    try {
      await withTunnelTo(startProgram("vite_server.mjs", folder), async (tunnel) => {
        const get = (path: string) =>
          exchange(tunnel, `GET ${path} HTTP/1.1\r\nHost: ${tunnel.host}\r\nAccept: */*\r\nConnection: close\r\n\r\n`);
        assert.match(await get("/index.html"), /@vite\/client/);
        assert.match(await get("/main.js"), /version = 0/);

        const messages: { type: string; updates?: { path: string }[] }[] = [];
        const socket = new WebSocket(`ws://127.0.0.1:${tunnel.port}/`, "vite-hmr", { headers: { Host: tunnel.host } });
        socket.on("message", (data: Buffer) => messages.push(JSON.parse(data.toString())));
        await once(socket, "open");
        await eventually(() => messages.some(({ type }) => type === "connected"));
        let version = 0;
        // Its watcher may not have started yet: edit until it notices.
        await eventually(async () => {
          await edit(++version);
          return messages.some(({ type }) => type === "update");
        }, { deadlineMs: 20_000 });
        const update = messages.find(({ type }) => type === "update");
        assert.equal(update?.updates?.[0]?.path, "/main.js");
        socket.terminate();
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("a Vite dev server refuses a public name, and serves page and WebSocket with hostHeader rewrite", async () => {
    const folder = await mkdtemp(join(tmpdir(), "vite-"));
    await writeFile(join(folder, "index.html"), '<script type="module" src="/main.js"></script>');
    const host = "shop.example.com";
    const origin = `http://${host}`;
    const get = (path: string) =>
      `GET ${path} HTTP/1.1\r\nHost: ${host}\r\nAccept: */*\r\nReferer: ${origin}/\r\nConnection: close\r\n\r\n`;
    try {
      for (const [hostHeader, status] of [["preserve", 403], ["rewrite", 200]] as const) {
        await withTunnelTo(startProgram("vite_server.mjs", folder), async (tunnel) => {
          assert.match(await exchange(tunnel, get("/index.html")), new RegExp(`^HTTP/1\\.1 ${status} `));
          if (status === 403) return;
          // A page's script has a token for the WebSocket, and only pages of allowed hosts can read it.
          const script = await exchange(tunnel, get("/@vite/client"));
          const key = /wsToken = "([^"]+)"/.exec(script)![1];
          const page = `ws://127.0.0.1:${tunnel.port}/?token=${key}`;
          const socket = new WebSocket(page, "vite-hmr", { headers: { Host: host }, origin });
          const [message] = await once(socket, "message");
          assert.equal(JSON.parse(message.toString()).type, "connected");
          socket.terminate();
        }, { edge: { domain: "example.com" }, client: { hostHeader } });
      }
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it("socket.io begins on polling and goes on as a WebSocket", async () => {
    await withTunnelTo(startProgram("socket_io_server.mjs"), async (tunnel) => {
      const client = startProgram("socket_io_client.mjs", `http://127.0.0.1:${tunnel.port}`);
      try {
        const { transports, heard } = await firstLine<{ transports: string[]; heard: number[] }>(client);
        assert.deepEqual(transports, ["polling", "websocket"]);
        assert.deepEqual(heard, Array.from({ length: 100 }, (_, word) => word));
      } finally {
        await stop(client);
      }
    });
  });
});
