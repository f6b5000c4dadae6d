import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { UpstreamError } from "../../../src/http/upstream_error.ts";
import type { RequestHead } from "../../../src/http/message.ts";
import { BodyReader, bodyText, FedBody, rejectsWith } from "../../support/client_requests.ts";
import { onStage } from "../../support/client_stage.ts";
import { eventually } from "../../support/net.ts";

const SWITCHING = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: chat/2\r\nX: y\r\n\r\n";
const asking: Partial<RequestHead> = { upgrade: "chat/2", fields: ["Sec-Key", "k"] };

describe("HttpClient upgrades", () => {
  it("HttpClient gives raw bytes both ways when the upstream agrees", async () => {
    await onStage(
      async (peer) => {
        assert.equal(
          await peer.readHead(),
          "GET / HTTP/1.1\r\nHost: a.test\r\nSec-Key: k\r\nUpgrade: chat/2\r\nConnection: Upgrade\r\n\r\n",
        );
        peer.send(SWITCHING + "hello");
        assert.equal(await peer.read(2), "a\0");
        await peer.send("b\0");
        await peer.waitFor(() => false).catch(() => assert.ok(peer.ended && !peer.reset));
        // The other direction goes on after the client's FIN.
        await peer.send("last");
        peer.end();
        await peer.whenClosed();
      },
      async ({ ask, client, server }) => {
        const body = new FedBody();
        const answer = await ask(asking, body.stream);
        assert.deepEqual([answer.status, answer.upgrade, answer.fields], [101, "chat/2", ["X", "y"]]);
        const reader = new BodyReader(answer);
        assert.equal(await reader.next(), "hello");
        body.push("a\0");
        assert.equal(await reader.next(), "b\0");
        body.end();
        assert.equal(await reader.next(), "last");
        assert.equal(await reader.next(), null);
        await eventually(() => client.active + client.idle === 0 && server.open === 0);
      },
    );
  });

  it("HttpClient goes on sending when the upstream has ended its direction", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        await peer.send(SWITCHING);
        peer.end();
        assert.equal(await peer.read(4), "late");
        await peer.whenClosed();
        assert.ok(peer.ended && !peer.reset);
      },
      async ({ ask, client }) => {
        const body = new FedBody();
        const reader = new BodyReader(await ask(asking, body.stream));
        assert.equal(await reader.next(), null);
        body.push("late");
        body.end();
        await eventually(() => client.active === 0);
      },
    );
  });

  it("HttpClient sends nothing of the raw bytes when the upstream has not agreed", async () => {
    await onStage(
      async (peer) => {
        for (;;) {
          await peer.readHead();
          assert.ok(!peer.received.includes("early"));
          peer.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        }
      },
      async ({ ask, client, server }) => {
        const body = new FedBody();
        body.push("early");
        const answer = await ask(asking, body.stream);
        assert.deepEqual([answer.status, answer.upgrade, await bodyText(answer.body)], [403, undefined, "no"]);
        assert.notEqual(body.canceled, undefined);
        // The upstream may wait for the other protocol: the next request gets a connection of its own.
        assert.equal((await ask()).status, 403);
        assert.equal(server.peers.length, 2);
        await eventually(() => client.idle === 1 && client.active === 0);
      },
    );
  });

  it("HttpClient fails with upstream_invalid when the upstream switches to something else", async () => {
    for (
      const head of [
        "Connection: Upgrade\r\nUpgrade: other",
        "Connection: Upgrade\r\nUpgrade: chat/2, other",
        "Connection: Upgrade",
        "Upgrade: chat/2",
      ]
    ) {
      await onStage(
        async (peer) => {
          await peer.readHead();
          peer.send(`HTTP/1.1 101 Switching Protocols\r\n${head}\r\n\r\n`);
          await peer.gone();
        },
        async ({ ask, server }) => {
          const body = new FedBody();
          await rejectsWith(ask(asking, body.stream), "upstream_invalid");
          assert.notEqual(body.canceled, undefined);
          await eventually(() => server.open === 0);
        },
      );
    }
  });

  it("HttpClient agrees when the upstream writes the token in other letters", async () => {
    await onStage(
      (peer) => peer.readHead().then(() => peer.send(SWITCHING.replace("chat", "CHAT"))),
      async ({ ask }) => assert.equal((await ask(asking, new FedBody().stream)).upgrade, "CHAT/2"),
    );
  });

  it("HttpClient breaks both directions off when one is broken", async () => {
    for (const cause of ["upstream", "body", "reader", "signal"] as const) {
      await onStage(
        async (peer) => {
          await peer.readHead();
          await peer.send(SWITCHING + "hello");
          if (cause === "upstream") await peer.readUntil("!").then(() => peer.abort());
          await peer.gone();
          if (cause !== "upstream") assert.ok(peer.reset, `a reset after the ${cause} broke off`);
        },
        async ({ ask, client, server }) => {
          const body = new FedBody();
          const abort = new AbortController();
          const reader = new BodyReader(await ask(asking, body.stream, abort.signal));
          assert.equal(await reader.next(), "hello");
          if (cause === "upstream") {
            body.push("!");
            await rejectsWith(reader.next(), "upstream_reset");
          } else if (cause === "reader") {
            await reader.cancel();
          } else {
            if (cause === "signal") abort.abort();
            else body.fail(new Error("gone"));
            await rejectsWith(reader.next(), "canceled");
          }
          if (cause !== "body") {
            await eventually(() => body.canceled !== undefined);
            const code = cause === "upstream" ? "upstream_reset" : "canceled";
            assert.equal((body.canceled as UpstreamError).code, code);
          }
          await eventually(() => client.active === 0 && server.open === 0);
        },
      );
    }
  });

  it("HttpClient stops the client's direction when the upstream resets after its FIN", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        await peer.send(SWITCHING);
        peer.end();
        await peer.readUntil("!");
        peer.abort();
      },
      async ({ ask, client }) => {
        const body = new FedBody();
        const reader = new BodyReader(await ask(asking, body.stream));
        assert.equal(await reader.next(), null);
        // Nothing is read behind a FIN: Deno learns of the reset when it writes.
        await eventually(() => {
          if (body.canceled === undefined) body.push("!");
          return body.canceled !== undefined && client.active === 0;
        });
        assert.equal((body.canceled as UpstreamError).code, "upstream_reset");
      },
    );
  });

  it("HttpClient sends the content with the request, and what follows it behind the 101", async () => {
    const content = "0123456789";
    // What follows may come in the content's last chunk.
    for (let cut = 1; cut <= content.length + 3; cut++) {
      await onStage(
        async (peer) => {
          assert.match(await peer.readHead(), /\r\nContent-Length: 10\r\nUpgrade: chat\/2\r\nConnection: Upgrade\r\n/);
          assert.equal(await peer.read(10), content);
          await peer.send("HTTP/1.1 102 Processing\r\n\r\n");
          assert.equal(peer.receivedBytes, peer.received.indexOf(content) + 10);
          await peer.send(SWITCHING);
          assert.equal(await peer.read(3), "raw");
          peer.end();
        },
        async ({ ask }) => {
          const text = `${content}raw`;
          const chunks = [text.slice(0, cut), text.slice(cut)];
          const body = new FedBody((body) => {
            const chunk = chunks.shift();
            if (chunk === undefined) body.end();
            else body.push(chunk);
          });
          const head = { ...asking, method: "POST", fields: ["Content-Length", "10"] };
          const answer = await ask(head, body.stream);
          assert.equal(answer.status, 101);
          assert.equal(await bodyText(answer.body), "");
        },
      );
    }
  });

  it("HttpClient sends nothing of the raw bytes, and no further request, behind an upgrade with a body that is refused", async () => {
    await onStage(
      async (peer) => {
        for (;;) {
          const head = await peer.readHead();
          await peer.read(head.startsWith("POST") ? 4 : 0);
          peer.send("HTTP/1.1 409 Conflict\r\nContent-Length: 2\r\n\r\nno");
        }
      },
      async ({ ask, server }) => {
        const body = new FedBody();
        body.push("bodyGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n");
        const answer = await ask({ ...asking, method: "POST", fields: ["Content-Length", "4"] }, body.stream);
        assert.deepEqual([answer.status, await bodyText(answer.body)], [409, "no"]);
        await eventually(() => body.canceled !== undefined);
        assert.equal((await ask()).status, 409);
        assert.equal(server.peers.length, 2);
        assert.ok(!server.peers[0].received.includes("smuggled"));
      },
    );
  });

  it("HttpClient fails with bad_request when the body ends short of its Content-Length", async () => {
    for (const isSwitched of [false, true]) {
      await onStage(
        async (peer) => {
          await peer.readHead();
          if (isSwitched) await peer.send(SWITCHING);
          await peer.gone();
        },
        async ({ ask, server }) => {
          const body = new FedBody();
          body.push("abc");
          const asked = ask({ ...asking, method: "POST", fields: ["Content-Length", "4"] }, body.stream);
          if (isSwitched) {
            const reader = new BodyReader(await asked);
            body.end();
            await rejectsWith(reader.next(), "bad_request");
          } else {
            body.end();
            await rejectsWith(asked, "bad_request");
          }
          await eventually(() => server.open === 0);
          assert.ok(server.peers[0].reset);
        },
      );
    }
  });

  it("HttpClient agrees to one of several protocols, and fails when the upstream names another", async () => {
    for (const [agreed, isAgreed] of [["chat/2", true], ["b", true], ["B/1", true], ["c", false]] as const) {
      await onStage(
        async (peer) => {
          assert.match(await peer.readHead(), /\r\nUpgrade: a, chat\/2, b\r\n/);
          peer.send(SWITCHING.replace("chat/2", agreed));
        },
        async ({ ask }) => {
          const asked = ask({ upgrade: "a,chat/2,b" }, new FedBody().stream);
          if (isAgreed) assert.equal((await asked).upgrade, agreed);
          else await rejectsWith(asked, "upstream_invalid");
        },
      );
    }
  });

  it("HttpClient sends the handshake once more when a reused connection was stale", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        if (peer.index === 1) return void peer.send(SWITCHING);
        await peer.send("HTTP/1.1 204 No Content\r\n\r\n");
        await peer.readHead();
        peer.end();
      },
      async ({ ask, server }) => {
        await ask();
        const body = new FedBody();
        assert.equal((await ask(asking, body.stream)).status, 101);
        assert.equal(server.peers.length, 2);
        assert.equal(body.canceled, undefined);
      },
    );
  });
});
