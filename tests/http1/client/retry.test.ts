import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { rejectsWith } from "../../support/client_requests.ts";
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
