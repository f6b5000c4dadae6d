import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { createHash, type Hash } from "node:crypto";
import { once } from "node:events";
import * as net from "node:net";
import process from "node:process";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import type { Program } from "../../scripts/lib/program.mjs";
import { sequence } from "../../scripts/lib/sequence.mjs";
import { programOf, root, runArguments } from "../../scripts/lib/toolchain.mjs";
import { bytesOf, eventually } from "../support/net.ts";
import { missingPeer } from "../support/peers.ts";
import { killAll, spawnTunnel } from "../support/processes.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { startTunnel, type Tunnel } from "../support/tunnel.ts";
import { write } from "./stage.ts";

const rounds = 100;
const mebibyte = 1024 * 1024;

/** Answers each request with its body, chunk by chunk. */
function startEcho(): Promise<ScriptedServer> {
  return ScriptedServer.start(async (peer) => {
    for (;;) {
      if (/^expect: 100-continue\r$/im.test(await peer.readHead())) peer.send("HTTP/1.1 100 Continue\r\n\r\n");
      peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
      for (let size = -1; size !== 0;) {
        const line = await peer.readUntil("\r\n");
        size = parseInt(line, 16);
        peer.send(line + await peer.read(size + 2));
      }
    }
  });
}

describe("a request and its answer, chunk for chunk, on one HTTP/1.1 exchange through a tunnel", () => {
  let echo: ScriptedServer;
  let tunnel: Tunnel;
  before(async () => {
    echo = await startEcho();
    tunnel = await startTunnel(echo.target, { protocol: "v2" });
  });
  after(async () => {
    await tunnel.close();
    await echo.close();
  });

  it("go on 100 times for a raw socket", async () => {
    const client = await tunnel.connect();
    write(client, `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nTransfer-Encoding: chunked\r\n\r\n`);
    await client.readUntil("\r\n\r\n");
    for (let round = 0; round < rounds; round++) {
      const words = `chunk ${round}`;
      const chunk = `${words.length.toString(16)}\r\n${words}\r\n`;
      write(client, chunk);
      assert.equal(await client.readUntil(`${words}\r\n`), chunk);
    }
    write(client, "0\r\n\r\n");
    await client.readUntil("0\r\n\r\n");
    client.socket.reset();
  });

  // With `-T -` curl reads its next input before it looks at the answer, so it gets empty lines. `-T .` needs none.
  for (const [source, nudgeMs] of [["-", 2], [".", null]] as const) {
    it(`go on 100 times for curl -T ${source} -N`, { skip: missingPeer("curl") }, async () => {
      const words = ["-sS", "--no-progress-meter", "-N", "-T", source, "-X", "POST", "-H", `Host: ${tunnel.host}`];
      const url = `http://127.0.0.1:${tunnel.port}/`;
      const curl = spawn("curl", [...words, url], { stdio: ["pipe", "pipe", "inherit"] });
      const ended = once(curl, "close");
      const nudges = nudgeMs === null ? undefined : setInterval(() => curl.stdin.write("\n"), nudgeMs);
      let round = 0;
      curl.stdin.write("chunk 0\n");
      for await (const line of createInterface({ input: curl.stdout })) {
        if (line === "") continue;
        assert.equal(line, `chunk ${round}`);
        round++;
        if (round < rounds) curl.stdin.write(`chunk ${round}\n`);
        else {
          clearInterval(nudges);
          curl.stdin.end();
        }
      }
      clearInterval(nudges);
      assert.equal(round, rounds);
      assert.equal((await ended)[0], 0);
    });
  }

  for (const runtime of ["bun", "deno"] as const) {
    const program = programOf(runtime);
    const skip = program === null && `there is no ${runtime} on this machine`;
    it(`go on 100 times for the fetch of ${runtime}`, { skip }, async () => {
      const args = [String(tunnel.port), tunnel.host, String(rounds)];
      const words = runArguments(runtime, "tests/tunnel/programs/duplex_fetch.ts", args);
      const child = spawn(program!, words, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
      assert.deepEqual(JSON.parse(await outputOf(child)), { status: 200, echoed: rounds, ended: true });
    });
  }
});

async function outputOf(child: ChildProcess): Promise<string> {
  let text = "";
  child.stdout!.setEncoding("utf8").on("data", (chunk: string) => text += chunk);
  await once(child, "close");
  return text;
}

/** Answers `begun` as soon as it has a head, and the hash of the body after its last byte. @param size of the body */
function startHashing(size: number): Promise<net.Server> {
  const server = net.createServer((socket) => {
    let hash: Hash | null = null;
    let left = size;
    socket.on("error", () => {});
    socket.on("data", (read: Uint8Array) => {
      let body = read;
      if (hash === null) {
        const end = Buffer.from(read).indexOf("\r\n\r\n");
        assert.ok(end >= 0, "the head came in one piece");
        body = read.subarray(end + 4);
        hash = createHash("sha256");
        socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nbegun\r\n");
      }
      hash.update(body);
      left -= body.length;
      if (left === 0) socket.write(`40\r\n${hash.digest("hex")}\r\n0\r\n\r\n`);
    });
  });
  return new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve(server)));
}

describe("a great upload through a tunnel of two processes", () => {
  const size = process.env.RUNNEL_SOAK === "1" ? 2048 * mebibyte : 256 * mebibyte;
  /** More than a process that has just started: code and buffers of a transfer, which neither runtime frees. */
  const growthLimit = 64 * mebibyte;
  after(() => killAll());

  it("is answered while it goes on, byte-exact, and edge and agent stay small", async () => {
    const upstream = await startHashing(size);
    const tunnel = await spawnTunnel((upstream.address() as net.AddressInfo).port, "v2");
    const programs: Program[] = [tunnel.edge.program, tunnel.agent];
    const before = programs.map((program) => program.memory);
    const client = await tunnel.connect();
    client.socket.write(bytesOf(`PUT / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: ${size}\r\n\r\n`));
    const hash = createHash("sha256");
    let sent = 0;
    for (const block of sequence(size)) {
      hash.update(block);
      const drains = client.drains;
      sent += block.length;
      if (!client.socket.write(block)) await eventually(() => client.drains > drains || client.sawClose);
      if (sent === mebibyte) await client.readUntil("begun");
    }
    assert.match(await client.readUntil("0\r\n\r\n"), new RegExp(`^\r\n40\r\n${hash.digest("hex")}\r\n0\r\n\r\n$`));
    for (const [index, program] of programs.entries()) {
      const [now, then] = [program.memory?.peak, before[index]?.resident];
      if (now === undefined || then === undefined) continue;
      const growth = now - then;
      assert.ok(growth <= growthLimit, `the ${program.name} grew by ${Math.round(growth / mebibyte)} MiB`);
    }
    client.socket.reset();
    upstream.close();
  });
});
