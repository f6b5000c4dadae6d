/** Answers of an upstream that does not read the request to its end, and resets. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HttpClient } from "../../../src/http1/client/client.ts";
import type { Answer } from "../../../src/http/message.ts";
import type { ClientOptions } from "../../../src/http1/client/options.ts";
import { FakeClock } from "../../support/clock.ts";
import { BodyReader, bodyText, FedBody, never, rejectsWith, requestHead } from "../../support/client_requests.ts";
import { onStage, type Stage } from "../../support/client_stage.ts";
import { bytesOf, eventually, steady } from "../../support/net.ts";
import type { ScriptedPeer } from "../../support/scripted_server.ts";
import { startTlsServer, trusted } from "../../support/tls.ts";

/** So much is written at once, and not at the end of the tick. */
const BULK = new Uint8Array(64 * 1024);

interface Upload extends Stage {
  peer: ScriptedPeer;
  body: FedBody;
  asked: Promise<Answer>;
  /** The upstream sends `bytes` and resets, and the next write of the body fails. Nothing is read in between. */
  refuse(bytes: string): Promise<void>;
}

/** A POST whose body has begun to arrive. */
async function withUpload(use: (upload: Upload) => Promise<void>, options: Partial<ClientOptions> = {}): Promise<void> {
  await onStage((peer) => peer.whenClosed(), async (stage) => {
    const body = new FedBody();
    const asked = stage.ask({ method: "POST" }, body.stream);
    asked.catch(() => {});
    body.push("begin");
    const peer = await stage.server.peer(0);
    await peer.readUntil("begin\r\n");
    const { pulls } = body;
    await eventually(() => body.pulls >= pulls);
    const refuse = async (bytes: string): Promise<void> => {
      void peer.send(bytes);
      peer.abort();
      body.push(BULK);
      // No I/O is served meanwhile.
      for (let turn = 0; turn < 20; turn++) await Promise.resolve();
    };
    await use({ ...stage, peer, body, asked, refuse });
    await eventually(() => stage.client.active + stage.client.idle === 0);
    assert.notEqual(body.canceled, undefined, "the upload goes on");
  }, options);
}

const HEAD = "HTTP/1.1 413 Content Too Large\r\n";
const framings: [name: string, bytes: string, text: string][] = [
  ["a length", `${HEAD}Content-Length: 8\r\n\r\ntoo long`, "too long"],
  ["chunks", `${HEAD}Transfer-Encoding: chunked\r\n\r\n4\r\ntoo \r\n4\r\nlong\r\n0\r\n\r\n`, "too long"],
  ["the close", `${HEAD}\r\ntoo long`, "too long"],
  ["no body", "HTTP/1.1 204 No Content\r\n\r\n", ""],
  ["a large body", `${HEAD}Content-Length: 40000\r\n\r\n${"x".repeat(40_000)}`, "x".repeat(40_000)],
];

describe("HttpClient whose upload is refused by a reset", () => {
  for (const [name, bytes, text] of framings) {
    it(`HttpClient delivers an answer with ${name} that came before`, async () => {
      await withUpload(async ({ asked, refuse }) => {
        await refuse(bytes);
        const answer = await asked;
        assert.equal(answer.status, Number(bytes.slice(9, 12)));
        assert.equal(await bodyText(answer.body), text);
      });
    });
  }

  it("HttpClient delivers what its reader has not asked for yet when the reset comes", async () => {
    await withUpload(async ({ peer, asked, refuse }) => {
      await peer.send(`${HEAD}Content-Length: 8\r\n\r\ntoo`);
      const reader = new BodyReader(await asked);
      await refuse(" long");
      assert.equal(await reader.next(), "too");
      assert.equal(await reader.next(), " long");
      assert.equal(await reader.next(), null);
    });
  });

  it("HttpClient delivers what came with a reset that no write of its own has met", async () => {
    await withUpload(async ({ peer, asked }) => {
      await peer.send(`${HEAD}Content-Length: 30003\r\n\r\ntoo`);
      const answer = await asked;
      void peer.send("x".repeat(30_000));
      peer.abort();
      await eventually(() => peer.closed);
      assert.equal(await bodyText(answer.body), `too${"x".repeat(30_000)}`);
    });
  });

  it("HttpClient fails with upstream_closed when no answer came", async () => {
    for (const bytes of ["", "HTTP/1.1 413 Con"]) {
      await withUpload(async ({ asked, refuse }) => {
        await refuse(bytes);
        await rejectsWith(asked, "upstream_closed");
      });
    }
  });

  const broken: [name: string, bytes: string][] = [
    ["short of its length", `${HEAD}Content-Length: 9\r\n\r\ntoo long`],
    ["before its last chunk", `${HEAD}Transfer-Encoding: chunked\r\n\r\n8\r\ntoo long\r\n`],
    // Some of it may have waited in the upstream's kernel.
    ["until the close, with more than surely came", `${HEAD}\r\n${"x".repeat(8 * 1024 + 1)}`],
  ];
  for (const [name, bytes] of broken) {
    it(`HttpClient breaks off an answer that ends ${name}`, async () => {
      await withUpload(async ({ asked, refuse }) => {
        await refuse(bytes);
        const answer = await asked;
        await rejectsWith(bodyText(answer.body), "upstream_reset");
      });
    });
  }

  it("HttpClient breaks off an answer until the close when its request was complete", async () => {
    await onStage(async (peer) => {
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\n\r\npart");
      await peer.gone();
    }, async ({ ask, server }) => {
      const reader = new BodyReader(await ask());
      assert.equal(await reader.next(), "part");
      server.peers[0].abort();
      await rejectsWith(reader.next(), "upstream_reset");
    });
  });

  it("HttpClient does not use the connection again when its request was complete and the answer is kept alive", async () => {
    await onStage(async (peer) => {
      await peer.readHead();
      if (peer.index > 0) return void peer.send("HTTP/1.1 204 No Content\r\n\r\n");
      // More than the kernels take.
      peer.pause();
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
      peer.abort();
    }, async ({ ask, client, server }) => {
      const answer = await ask({ method: "POST" }, new Uint8Array(16 * 1024 * 1024));
      assert.equal(await bodyText(answer.body), "ok");
      assert.equal(client.idle, 0);
      assert.equal((await ask()).status, 204);
      assert.equal(server.peers.length, 2);
    });
  });

  it("HttpClient reads only so much of an early answer ahead", async () => {
    await withUpload(async ({ peer, asked }) => {
      void peer.send(`${HEAD}\r\n`);
      void peer.send(new Uint8Array(64 * 1024 * 1024));
      const answer = await asked;
      const stuckAt = await steady(() => peer.unsentBytes);
      assert.ok(stuckAt > 40 * 1024 * 1024, `${stuckAt} bytes are left of 64 MiB`);
      const reader = new BodyReader(answer);
      assert.notEqual(await reader.next(), null);
      await reader.cancel();
    });
  });

  it("HttpClient gives up when its reader has taken nothing for a minute", async () => {
    const clock = new FakeClock();
    await withUpload(async ({ peer, asked, refuse, client }) => {
      await peer.send(`${HEAD}Content-Length: 100003\r\n\r\ntoo`);
      const answer = await asked;
      // More than is read ahead.
      await peer.send("x".repeat(100_000));
      await refuse("");
      await eventually(() => clock.pending === 1);
      assert.equal(client.active, 1);
      clock.advance(60_000);
      await rejectsWith(bodyText(answer.body), "upstream_reset");
    }, { clock });
  });
});

describe("HttpClient with TLS whose upload is refused by a reset", () => {
  it("HttpClient delivers the answer that came before", async () => {
    const server = await startTlsServer((socket, raw) => {
      socket.handlers = {
        onData() {
          socket.pause();
          socket.write(bytesOf(`${HEAD}Content-Length: 8\r\n\r\ntoo long`));
          let quietTurns = 0;
          void eventually(() => socket.bufferedBytes === 0 && ++quietTurns > 5).then(() => raw.reset());
        },
        onEnd() {},
        onDrain() {},
        onClose() {},
      };
      socket.resume();
    });
    const client = new HttpClient({ target: { ...server.target, tls: trusted } });
    try {
      for (let round = 0; round < 20; round++) {
        const body = new FedBody((body) => body.push(BULK));
        const answer = await client.request(requestHead({ method: "POST" }), body.stream, never);
        assert.equal(await bodyText(answer.body), "too long");
      }
    } finally {
      client.close();
      await server.close();
    }
  });
});
