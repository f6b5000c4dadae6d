/** The timeouts of a tunnel of its own, and which silence is no timeout. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FakeClock } from "../support/clock.ts";
import { bytesOf, eventually } from "../support/net.ts";
import { assertProblem, get, getRequest, readUntilReset, send } from "../support/public_client.ts";
import { type Script, ScriptedServer } from "../support/scripted_server.ts";
import { protocols, type Tunnel, type TunnelOptions, withTunnelTo } from "../support/tunnel.ts";

const hang: Script = async (peer) => {
  await peer.readHead();
  await peer.gone();
};

/** Each silence here is under the 10 s after which a silent link is pinged. */
const timeouts = { firstByteMs: 3_000, idleMs: 4_000, streamIdleMs: 6_000 };

for (const protocol of protocols) {
  const behind = async (
    script: Script,
    clock: FakeClock,
    options: TunnelOptions,
    act: (tunnel: Tunnel, upstream: ScriptedServer) => Promise<void>,
  ): Promise<void> => {
    const edge = { clock, timeouts, ...options.edge };
    await withTunnelTo(await ScriptedServer.start(script), { protocol, ...options, edge }, act);
  };

  const asked: [what: string, options: TunnelOptions, ms: number][] = [
    ["the edge's where its agent asks for none", {}, 3_000],
    ["its agent's where that is longer", { firstByteMs: 8_000 }, 8_000],
    ["its agent's where that is shorter", { firstByteMs: 1_000 }, 1_000],
    [
      "the edge's bound where its agent asks for more",
      { firstByteMs: Infinity, edge: { maxFirstByteMs: 5_000 } },
      5_000,
    ],
  ];

  describe(`the timeouts of a tunnel on ${protocol}`, () => {
    for (const [what, options, ms] of asked) {
      it(`wait for an answer's head for ${what}`, async () => {
        const clock = new FakeClock();
        await behind(hang, clock, options, async (tunnel, upstream) => {
          let isAnswered = false;
          const answer = get(tunnel).finally(() => isAnswered = true);
          const peer = await upstream.peer(0);
          await eventually(() => peer.received.endsWith("\r\n\r\n"));
          clock.advance(ms - 1);
          assert.equal(peer.reset, false);
          assert.equal(isAnswered, false);
          clock.advance(1);
          assertProblem(await answer, 504, "upstream_timeout");
          await peer.gone();
        });
      });
    }

    it("wait for an answer's head for ever where its agent says off", async () => {
      const clock = new FakeClock();
      await behind(hang, clock, { firstByteMs: Infinity }, async (tunnel, upstream) => {
        const answer = get(tunnel);
        const peer = await upstream.peer(0);
        await eventually(() => peer.received.endsWith("\r\n\r\n"));
        clock.advance(9_000);
        assert.equal(peer.ended || peer.reset, false);
        await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate");
        assert.match(await answer, /late$/);
      });
    });

    it("let a short answer of known length pass as it comes", async () => {
      const script: Script = async (peer) => {
        await peer.readHead();
        await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab");
        await peer.gone();
      };
      await behind(script, new FakeClock(), {}, async (tunnel, upstream) => {
        const client = await send(tunnel, getRequest(tunnel));
        await client.readUntil("\r\n\r\nab");
        await (await upstream.peer(0)).send("cd");
        await client.readUntil("cd");
        client.socket.reset();
      });
    });

    const silent: [what: string, fields: string, ms: number | null][] = [
      ["an answer of known length", "Content-Length: 99999\r\n", 4_000],
      ["an answer of unknown length", "Transfer-Encoding: chunked\r\n", 6_000],
      ["an answer that ends with its connection", "", 6_000],
      ["NDJSON", "Content-Type: application/jsonl\r\nTransfer-Encoding: chunked\r\n", null],
      [
        "a live type with a length",
        "Content-Type: multipart/x-mixed-replace;boundary=x\r\nContent-Length: 99999\r\n",
        null,
      ],
      ["a type that a flag added", "Content-Type: application/x-prices\r\nTransfer-Encoding: chunked\r\n", null],
    ];
    for (const [what, fields, ms] of silent) {
      it(`let ${what} be silent for ${ms ?? "any number of"} ms`, async () => {
        const clock = new FakeClock();
        const script: Script = async (peer) => {
          await peer.readHead();
          await peer.send(`HTTP/1.1 200 OK\r\n${fields}\r\n2\r\nab\r\n`);
          await peer.gone();
        };
        await behind(script, clock, { edge: { liveTypes: ["application/x-prices"] } }, async (tunnel, upstream) => {
          const client = await send(tunnel, getRequest(tunnel));
          await client.readUntil("ab\r\n");
          clock.advance(ms === null ? 9_000 : ms - 1);
          await (await upstream.peer(0)).send("2\r\ncd\r\n");
          await client.readUntil("cd\r\n");
          if (ms === null) return client.socket.reset();
          clock.advance(ms);
          await readUntilReset(client);
        });
      });
    }
  });
}

describe("the timeouts of a tunnel on v2, in full duplex", () => {
  it("let the request be silent while its answer moves, and the answer while its request moves", async () => {
    const clock = new FakeClock();
    const script: Script = async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n");
      await peer.gone();
    };
    const edge = { clock, timeouts, http: { bodyIdleMs: 2_000 } };
    await withTunnelTo(await ScriptedServer.start(script), { protocol: "v2", edge }, async (tunnel, upstream) => {
      const post = `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n`;
      const client = await send(tunnel, post);
      await client.readUntil("a\r\n");
      const peer = await upstream.peer(0);
      await eventually(() => peer.received.endsWith("1\r\nx\r\n"));
      for (let round = 0; round < 10; round++) {
        clock.advance(1_500);
        await peer.send(`1\r\n${round}\r\n`);
        await client.readUntil(`1\r\n${round}\r\n`);
      }
      for (let round = 0; round < 10; round++) {
        clock.advance(1_500);
        client.socket.write(bytesOf(`1\r\n${round}\r\n`));
        await eventually(() => peer.received.endsWith(`1\r\n${round}\r\n`));
      }
      await peer.send("0\r\n\r\n");
      client.socket.write(bytesOf("0\r\n\r\n"));
      await client.readUntil("0\r\n\r\n");
      client.socket.reset();
    });
  });
});
