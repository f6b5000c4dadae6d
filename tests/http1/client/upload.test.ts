import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { BodyReader, bodyText, FedBody, rejectsWith } from "../../support/client_requests.ts";
import { NO_CONTENT, onStage } from "../../support/client_stage.ts";
import { bytesOf, eventually, steady } from "../../support/net.ts";

describe("HttpClient uploads", () => {
  it("HttpClient sends chunks when a streamed body has no length", async () => {
    let received = "";
    await onStage(
      async (peer) => {
        await peer.readHead();
        received = await peer.readUntil("0\r\nX-Sum: 9\r\n\r\n");
        peer.send(NO_CONTENT);
      },
      async ({ ask, client, server }) => {
        const body = new FedBody();
        const answer = ask({ method: "POST", trailers: () => ["X-Sum", "9", "Host", "evil"] }, body.stream);
        body.push("ab");
        body.push("");
        body.push("0123456789abcdef");
        body.end();
        assert.equal((await answer).status, 204);
        assert.match(
          server.peers[0].received,
          /^POST \/ HTTP\/1\.1\r\nHost: a\.test\r\nTransfer-Encoding: chunked\r\n/,
        );
        assert.equal(client.idle, 1);
      },
    );
    assert.equal(received, "2\r\nab\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 9\r\n\r\n");
  });

  it("HttpClient keeps the Content-Length when a streamed body has one", async () => {
    await onStage(
      async (peer) => {
        const head = await peer.readHead();
        assert.equal(head, "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\n");
        assert.equal(await peer.read(5), "abcde");
        peer.send(NO_CONTENT);
      },
      async ({ ask, client }) => {
        const body = new FedBody();
        const answer = ask({ method: "POST", fields: ["Content-Length", "5"] }, body.stream);
        body.push("abc");
        body.push("de");
        // Its end is known by the length: the stream stays open until the answer is there.
        assert.equal((await answer).status, 204);
        assert.equal(client.idle, 1);
        body.end();
      },
    );
  });

  it("HttpClient resets the upstream when a body is shorter or longer than its Content-Length", async () => {
    for (const text of ["abcd", "abcdef"]) {
      await onStage(
        async (peer) => {
          await peer.readHead();
          await peer.gone();
        },
        async ({ ask, server, client }) => {
          const body = new FedBody();
          const answer = ask({ method: "POST", fields: ["Content-Length", "5"] }, body.stream);
          body.push(text);
          if (text.length < 5) body.end();
          const error = await rejectsWith(answer, "bad_request");
          assert.match(error.reason, /Content-Length 5$/);
          await eventually(() => client.active === 0 && server.open === 0);
        },
      );
    }
  });

  it("HttpClient gives the answer while the body is still sent when the upstream answers early", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (;;) {
          const size = parseInt(await peer.readUntil("\r\n"), 16);
          if (size === 0) break;
          const data = await peer.read(size + 2);
          peer.send(`${size.toString(16)}\r\n${data}`);
        }
        await peer.read(2);
        peer.send("0\r\n\r\n");
      },
      async ({ ask, client }) => {
        const body = new FedBody();
        const reader = new BodyReader(await ask({ method: "POST" }, body.stream));
        for (let round = 0; round < 100; round++) {
          body.push(`round ${round}`);
          assert.equal(await reader.next(), `round ${round}`);
        }
        body.end();
        assert.equal(await reader.next(), null);
        assert.equal(client.idle, 1);
      },
    );
  });

  it("HttpClient delivers an early 413 and stops the upload when the upstream refuses the body", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        await peer.readUntil("first");
        peer.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nno!");
        await peer.gone();
      },
      async ({ ask, client, server }) => {
        const body = new FedBody();
        const asked = ask({ method: "POST" }, body.stream);
        body.push("first");
        const answer = await asked;
        assert.equal(answer.status, 413);
        assert.equal(await bodyText(answer.body), "no!");
        await eventually(() => body.canceled !== undefined);
        await eventually(() => client.active + client.idle === 0 && server.open === 0);
      },
    );
  });

  it("HttpClient resets the upstream when the body breaks off", async () => {
    await onStage(
      async (peer) => {
        await peer.readUntil("partial");
        await peer.gone();
        assert.ok(peer.reset, "a reset, not a FIN");
        assert.doesNotMatch(peer.received, /\r\n0\r\n/);
      },
      async ({ ask, server, client }) => {
        const body = new FedBody();
        const answer = ask({ method: "POST" }, body.stream);
        body.push("partial");
        await eventually(() => server.peers[0]?.received.includes("partial") === true);
        body.fail(new Error("the client has gone"));
        const error = await rejectsWith(answer, "canceled");
        assert.match(String(error.cause), /the client has gone/);
        await eventually(() => client.active === 0 && server.open === 0);
      },
    );
  });

  it("HttpClient breaks the answer off when the body breaks off after the answer began", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        peer.send("HTTP/1.1 200 OK\r\n\r\nbegun");
        await peer.gone();
      },
      async ({ ask, server }) => {
        const body = new FedBody();
        const reader = new BodyReader(await ask({ method: "POST" }, body.stream));
        assert.equal(await reader.next(), "begun");
        body.fail(new Error("the client has gone"));
        await rejectsWith(reader.next(), "canceled");
        await eventually(() => server.open === 0);
      },
    );
  });

  it("HttpClient reads no more of the body when the upstream does not read", async () => {
    let resume: () => void = () => {};
    const total = 64 * 1024 * 1024;
    const block = new Uint8Array(256 * 1024);
    await onStage(
      async (peer) => {
        const head = await peer.readHead();
        peer.pause();
        await new Promise<void>((resolve) => resume = resolve);
        peer.discard();
        peer.resume();
        await peer.waitFor(() => peer.receivedBytes === head.length + total);
        peer.send(NO_CONTENT);
      },
      async ({ ask }) => {
        let sent = 0;
        const body = new FedBody((body) => {
          body.push(block);
          sent += block.length;
          if (sent === total) body.end();
        });
        const asked = ask({ method: "POST", fields: ["Content-Length", String(total)] }, body.stream);
        await eventually(() => sent > 0);
        const stuckAt = await steady(() => sent);
        assert.ok(stuckAt < 24 * 1024 * 1024, `${stuckAt} bytes were read`);
        resume();
        assert.equal((await asked).status, 204);
        assert.equal(sent, total);
      },
    );
  });

  it("HttpClient passes 100 Continue on before the body is sent when the client expects it", async () => {
    await onStage(
      async (peer) => {
        assert.match(await peer.readHead(), /\r\nExpect: 100-continue\r\n/);
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        assert.equal(await peer.read(2), "go");
        peer.send(NO_CONTENT);
      },
      async ({ ask }) => {
        const body = new FedBody();
        const onInformational = (status: number) => {
          assert.equal(status, 100);
          body.push(bytesOf("go"));
          body.end();
        };
        const fields = ["Content-Length", "2", "Expect", "100-continue"];
        assert.equal((await ask({ method: "POST", fields, onInformational }, body.stream)).status, 204);
      },
    );
  });

  it("HttpClient refuses a stream when it is being read already", async () => {
    await onStage(() => {}, async ({ ask, server }) => {
      const body = new FedBody();
      body.stream.getReader();
      await rejectsWith(ask({ method: "POST" }, body.stream), "bad_request");
      assert.equal(server.peers.length, 0);
    });
  });

  it("HttpClient cancels the body when the request is never sent", async () => {
    await onStage(() => {}, async ({ ask }) => {
      const unsendable = new FedBody();
      await rejectsWith(ask({ method: "P T" }, unsendable.stream), "bad_request");
      assert.notEqual(unsendable.canceled, undefined);
      const late = new FedBody();
      await rejectsWith(ask({ method: "POST" }, late.stream, AbortSignal.abort()), "canceled");
      assert.notEqual(late.canceled, undefined);
    });
  });
});
