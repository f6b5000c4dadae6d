/** The options of `edge serve` about proxies in front of it, and of the agent about what it tells an upstream. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { bytesOf, latin1, SocketReader } from "../support/net.ts";
import { expectReset } from "../support/proxy_header.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { withScratch } from "../support/scratch.ts";
import { protocols } from "../support/tunnel.ts";
import { ProgramRun, runToEnd } from "./program_run.ts";

const token = ["--token", "a-token-of-the-tests", "--json"];
const ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

interface Stage {
  readonly edge: ProgramRun;
  readonly upstream: ScriptedServer;
  /** Sends text on a connection of its own, and returns the head that the upstream got. */
  ask(text: string): Promise<string>;
}

/** Edge and agent as programs. @param link further flags of the agent, and what it dials */
async function withPrograms(
  edgeFlags: readonly string[],
  agentFlags: readonly string[],
  use: (stage: Stage) => Promise<void>,
): Promise<void> {
  await withScratch(async (data) => {
    const heads: string[] = [];
    const upstream = await ScriptedServer.start(async (peer) => {
      for (;;) {
        heads.push(await peer.readHead());
        peer.send(ok);
      }
    });
    const edge = new ProgramRun(edgeProgram, [
      "serve",
      "--listen",
      "127.0.0.1:0",
      "--data",
      data,
      ...edgeFlags,
      ...token,
    ], {
      environment: { RUNNEL_LOG_LEVEL: "warn" },
    });
    const { listen } = await edge.event("ready");
    const link = ["--edge", `http://${listen}`, "--name", "shop", ...token];
    const agent = new ProgramRun(agentProgram, ["http", String(upstream.port), ...link, ...agentFlags]);
    await agent.event("ready");
    const port = Number(String(listen).split(":")[1]);
    try {
      await use({
        edge,
        upstream,
        async ask(text) {
          const visitor = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
          visitor.socket.write(bytesOf(text));
          assert.match(latin1(await visitor.readAll()), /ok$/);
          visitor.socket.end();
          return heads.at(-1) as string;
        },
      });
    } finally {
      assert.deepEqual([await agent.stop(), await edge.stop()], [0, 0]);
      await upstream.close();
    }
  });
}

const request = (fields: string) => `GET / HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n${fields}\r\n`;
const proxied = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Visitor: 203.0.113.9\r\n";

describe("--trust-proxy", () => {
  it("believes nobody without it, and a proxy that it names", async () => {
    await withPrograms(["--client-ip-field", "X-Visitor"], [], async ({ ask }) => {
      const head = await ask(request(proxied));
      assert.match(head, /^X-Forwarded-For: 127\.0\.0\.1\r$/m);
      assert.match(head, /^X-Forwarded-Proto: http\r$/m);
      assert.doesNotMatch(head, /203\.0\.113\.9/);
    });
    await withPrograms(["--trust-proxy", "loopback", "--client-ip-field", "X-Visitor"], [], async ({ ask }) => {
      const head = await ask(request(proxied));
      assert.match(head, /^X-Forwarded-For: 203\.0\.113\.9\r$/m);
      assert.match(head, /^X-Forwarded-Proto: https\r$/m);
      assert.match(head, /^X-Visitor: 203\.0\.113\.9\r$/m);
    });
  });

  it("may be repeated, and counts Forwarded with --trust-forwarded", async () => {
    const flags = ["--trust-proxy", "10.0.0.0/8", "--trust-proxy", "127.0.0.1", "--trust-forwarded"];
    await withPrograms(flags, [], async ({ ask }) => {
      const head = await ask(request(`${proxied}Forwarded: for=198.51.100.7\r\n`));
      assert.match(head, /^X-Forwarded-For: 198\.51\.100\.7\r$/m);
    });
  });

  for (
    const [flags, message] of [
      [["--trust-proxy", "proxy.internal"], /--trust-proxy "proxy\.internal" is none of loopback, private/],
      [["--client-ip-field", "X Real"], /--client-ip-field .* is no name of a field/],
      [["--proxy-protocol"], /--proxy-protocol believes what trusted proxies say, and none is trusted/],
      [["--trust-forwarded"], /--trust-forwarded believes what trusted proxies say, and none is trusted/],
    ] as const
  ) {
    it(`is a wrong call when it is ${flags.join(" ")}`, () =>
      withScratch(async (data) => {
        const args = ["serve", "--listen", "127.0.0.1:0", "--data", data, ...flags, ...token];
        const { exitCode, events } = await runToEnd(edgeProgram, args);
        assert.equal(exitCode, 2);
        assert.match(String(events[0]!.message), message);
      }));
  }
});

describe("--proxy-protocol", () => {
  it("takes the address of a PROXY header, and logs who came without one", () =>
    withScratch(async (data) => {
      const flags = ["--trust-proxy", "loopback", "--proxy-protocol", "--access-log", "-"];
      const args = ["serve", "--listen", "127.0.0.1:0", "--data", data, ...flags, ...token];
      const edge = new ProgramRun(edgeProgram, args, { environment: { RUNNEL_LOG_LEVEL: "warn" } });
      const { listen } = await edge.event("ready");
      const port = Number(String(listen).split(":")[1]);
      const ask = async (text: string) => {
        const visitor = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
        visitor.socket.write(bytesOf(text));
        return visitor;
      };
      const health = "GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
      const visitor = await ask(`PROXY TCP4 203.0.113.9 192.0.2.1 51234 443\r\n${health}`);
      assert.match(latin1(await visitor.readAll()), /^HTTP\/1\.1 200 /);
      visitor.socket.end();
      assert.equal((await edge.event("request")).client, "203.0.113.9");
      await expectReset({ kind: "tcp", host: "127.0.0.1", port }, health);
      await edge.waitFor(() => /Refused a connection from "127\.0\.0\.1": .*without a PROXY header/.test(edge.stderr));
      assert.equal(await edge.stop(), 0);
    }));
});

describe("--no-forwarded-headers", () => {
  for (const protocol of protocols) {
    it(`sends an upstream none of them, by ${protocol}`, () =>
      withPrograms([], ["--no-forwarded-headers", "--protocol", protocol], async ({ ask }) => {
        const head = await ask(request("Accept: text/html\r\n"));
        assert.doesNotMatch(head, /forwarded/i);
        assert.match(head, /^Host: shop\.localhost\r$/m);
        assert.match(head, /^Accept: text\/html\r$/m);
        assert.match(head, /^X-Request-ID: \S+\r$/m);
      }));
  }
});
