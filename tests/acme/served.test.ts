/** `edge serve --acme` as a whole: a CA that others wrote, and visitors who check the certificate. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { describe, it } from "node:test";
import * as tls from "node:tls";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { withUpstream } from "../cli/operated_edge.ts";
import { ProgramRun } from "../cli/program_run.ts";
import { freePort, SocketReader } from "../support/net.ts";
import { missingPeer } from "../support/peers.ts";
import { startPebble } from "../support/pebble.ts";
import { get } from "../support/public_client.ts";
import { withScratch } from "../support/scratch.ts";

const skip = missingPeer("pebble") || missingPeer("curl");
const DOMAIN = "example.com";

interface Stage {
  readonly edge: ProgramRun;
  readonly securePort: number;
  readonly plainPort: number;
  /** Opens a tunnel by https; resolves to its URL. */
  open(protocol: string, ...args: readonly string[]): Promise<URL>;
  /** What a visitor gets by https who trusts the CA alone. */
  visit(host: string): Promise<string>;
}

function withServedEdge(use: (stage: Stage) => Promise<void>, hasHook = false): Promise<void> {
  return withScratch((data) =>
    withUpstream(async (upstream) => {
      const plainPort = await freePort();
      const pebble = await startPebble({ httpPort: plainPort });
      const token = "a-token-of-the-tests";
      const edge = new ProgramRun(edgeProgram, [
        ...["serve", "--listen", "https://127.0.0.1:0", "--listen", `http://127.0.0.1:${plainPort}`, "--json"],
        ...["--domain", DOMAIN, "--data", data, "--token", token, "--admin-listen", "off"],
        ...["--acme", "--acme-directory", pebble.directory, "--acme-ca", pebble.caFile],
        ...(hasHook ? ["--acme-dns-hook", pebble.dnsHook] : []),
      ]);
      const agents: ProgramRun[] = [];
      try {
        const { listen } = await edge.event("ready");
        const securePort = Number(String(listen).split(":").at(-1));
        const { root } = await pebble.authorities();
        // Agents reach it by its address, which no certificate is for.
        const edgeArgs = ["--edge", `https://127.0.0.1:${securePort}`, "--edge-insecure", "--connect-timeout", "off"];
        await use({
          edge,
          securePort,
          plainPort,
          async open(protocol, ...args) {
            const agent = new ProgramRun(agentProgram, [
              ...["http", String(upstream.port), ...edgeArgs, "--token", token, "--json", "--protocol", protocol],
              ...args,
            ]);
            agents.push(agent);
            return new URL(String((await agent.event("ready")).url));
          },
          visit: (host) => answerOf(host, securePort, root),
        });
      } finally {
        for (const agent of agents) await agent.stop();
        await edge.stop();
        await pebble.close();
      }
    })
  );
}

/** Rejects where the certificate is not in order. */
async function answerOf(servername: string, port: number, ca: string): Promise<string> {
  const socket = tls.connect({ host: "127.0.0.1", port, servername, ca });
  await once(socket, "secureConnect");
  let text = "";
  socket.setEncoding("utf8").on("data", (piece: string) => text += piece);
  socket.write(`GET / HTTP/1.1\r\nHost: ${servername}\r\nConnection: close\r\n\r\n`);
  await once(socket, "end");
  socket.destroy();
  return text;
}

describe("edge serve --acme", { skip }, () => {
  for (const protocol of ["v2", "json"]) {
    it(`answers visitors of a tunnel by https when it has just been started, on ${protocol}`, () =>
      withServedEdge(async ({ open, visit, plainPort, securePort }) => {
        const url = await open(protocol, "--name", "shop");
        assert.equal(url.href, `https://shop.${DOMAIN}:${securePort}/`);
        // Its certificate may still be under way: the handshake waits for it.
        assert.match(await visit(url.hostname), /^HTTP\/1\.1 200 [\s\S]*hello$/);
        const connect = async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: plainPort }));
        const plain = await get({ host: url.hostname, connect });
        assert.match(plain, /^HTTP\/1\.1 308 /);
        assert.ok(plain.includes(`\r\nLocation: https://shop.${DOMAIN}:${securePort}/`), plain);
      }));

    it(`serves a name that was drawn by http, and says so in its URL, on ${protocol}`, () =>
      withServedEdge(async ({ open, visit, plainPort }) => {
        const url = await open(protocol);
        assert.equal(url.protocol, "http:");
        assert.equal(url.port, String(plainPort));
        const connect = async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: plainPort }));
        assert.match(await get({ host: url.hostname, connect }), /^HTTP\/1\.1 200 [\s\S]*hello$/);
        await assert.rejects(visit(url.hostname));
      }));
  }

  it("serves every name by https with a hook for DNS", () =>
    withServedEdge(async ({ open, visit }) => {
      const url = await open("v2");
      assert.equal(url.protocol, "https:");
      assert.match(await visit(url.hostname), /^HTTP\/1\.1 200 [\s\S]*hello$/);
    }, true));
});
