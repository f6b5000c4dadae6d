import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { FedBody, rejectsWith } from "../../support/client_requests.ts";
import { NO_CONTENT, onStage } from "../../support/client_stage.ts";
import { bytesOf, eventually } from "../../support/net.ts";
import type { ScriptedPeer } from "../../support/scripted_server.ts";

/** Answers `before` requests with 204, and does `then` at the next. */
function answering(before: number, then: (peer: ScriptedPeer) => void | Promise<void>) {
  return async (peer: ScriptedPeer) => {
    for (let count = 0; count < before; count++) {
      await peer.readHead();
      peer.send(NO_CONTENT);
    }
    await peer.readHead();
    await then(peer);
  };
}

describe("HttpClient retries", () => {
  it("HttpClient sends a safe request once more when a reused connection closes before the answer", async () => {
    for (const leave of [(peer: ScriptedPeer) => peer.end(), (peer: ScriptedPeer) => peer.abort()]) {
      for (const method of ["GET", "HEAD", "OPTIONS"]) {
        await onStage(
          (peer) => peer.index === 0 ? answering(1, leave)(peer) : answering(1, () => {})(peer),
          async ({ ask, client, server }) => {
            await ask();
            assert.equal((await ask({ method, target: "/again" })).status, 204);
            assert.equal(server.peers.length, 2);
            assert.match(server.peers[1].received, new RegExp(`^${method} /again `));
            await eventually(() => client.active === 0);
          },
          { maxSockets: 1 },
        );
      }
    }
  });

  it("HttpClient fails when the second attempt is closed, too", async () => {
    await onStage(
      (peer) => answering(peer.index === 0 ? 1 : 0, (peer) => peer.end())(peer),
      async ({ ask, server, client }) => {
        await ask();
        await rejectsWith(ask(), "upstream_closed");
        assert.equal(server.peers.length, 2);
        await eventually(() => client.active === 0);
      },
    );
  });

  const closes: [name: string, close: (peer: ScriptedPeer) => void][] = [
    ["FIN", (peer) => peer.end()],
    ["reset", (peer) => peer.abort()],
    ["words and its FIN", (peer) => {
      void peer.send("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      peer.end();
    }],
  ];
  const once: [method: string, body: () => Uint8Array | FedBody | null][] = [
    ["DELETE", () => null],
    ["POST", () => null],
    ["POST", () => bytesOf("body")],
    ["POST", () => new FedBody((body) => (body.push("body"), body.end()))],
  ];
  for (const [name, close] of closes) {
    it(`HttpClient takes another connection when the ${name} of an idle one has come and was not read`, async () => {
      for (const [method, body] of once) {
        // The runtime may close the peer's socket later than the tick in which it was told to. Such a round shows nothing.
        let rounds = 0;
        while (!await takesAnother(close, method, body())) assert.ok(++rounds < 20);
      }
    });
  }

  /** False where the request left before the system had the peer's close. */
  async function takesAnother(close: (peer: ScriptedPeer) => void, method: string, body: Uint8Array | FedBody | null) {
    let isInTime = false;
    await onStage(async (peer) => {
      await peer.readHead();
      if (peer.index > 0 && body !== null) await peer.readUntil("body");
      await peer.send(NO_CONTENT);
      await peer.gone();
    }, async ({ ask, client, server }) => {
      await ask();
      assert.equal(client.idle, 1);
      // In one tick: the client has not seen it.
      close(server.peers[0]);
      const asked = ask({ method }, body instanceof FedBody ? body.stream : body);
      const status = await asked.then((answer) => answer.status, () => null);
      const isOldUntouched = server.peers[0].received === "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
      isInTime = isOldUntouched && status === 204 && server.peers.length === 2;
    });
    return isInTime;
  }

  it("HttpClient sends nothing on a reused connection when the request is aborted before it goes out", async () => {
    await onStage(answering(2, () => {}), async ({ ask, client, server }) => {
      await ask();
      const abort = new AbortController();
      const asked = ask({ method: "DELETE" }, null, abort.signal);
      abort.abort();
      await rejectsWith(asked, "canceled");
      await eventually(() => client.active + client.idle === 0);
      assert.equal(server.peers[0].received, "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    });
  });

  it("HttpClient sends nothing twice when it might do harm", async () => {
    const cases: [string, (peer: ScriptedPeer) => void | Promise<void>, Uint8Array | null][] = [
      ["POST", (peer) => peer.end(), null],
      ["DELETE", (peer) => peer.end(), null],
      ["GET", (peer) => peer.end(), bytesOf("body")],
      // A byte of the answer was there already.
      ["GET", async (peer) => (await peer.send("H"), peer.end()), null],
    ];
    for (const [method, then, body] of cases) {
      await onStage(answering(1, then), async ({ ask, server }) => {
        await ask();
        const error = await rejectsWith(ask({ method }, body), "upstream_closed");
        assert.equal(error.status, 502);
        assert.equal(server.peers.length, 1);
      });
    }
    // On a new connection nothing is stale, and nothing sent twice.
    await onStage(answering(0, (peer) => peer.end()), async ({ ask, server }) => {
      await rejectsWith(ask(), "upstream_closed");
      assert.equal(server.peers.length, 1);
    });
  });
});
