import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HttpClient } from "../../../src/http1/client/client.ts";
import type { ClientOptions } from "../../../src/http1/client/options.ts";
import type { Answer, Body, RequestHead } from "../../../src/http/message.ts";
import type { Socket, SocketHandlers } from "../../../src/net/mod.ts";
import { BodyReader, bodyText, never, rejectsWith, requestHead } from "../../support/client_requests.ts";
import { NO_CONTENT, onStage } from "../../support/client_stage.ts";
import { bytesOf, eventually, steady } from "../../support/net.ts";

/** What reaches the upstream for one request, up to and with `until`. */
async function sentBytes(
  head: Partial<RequestHead>,
  body: Body,
  options: Partial<ClientOptions> = {},
  until = "\r\n\r\n",
): Promise<string> {
  let seen = "";
  await onStage(
    async (peer) => {
      seen = await peer.readUntil(until);
      peer.send(NO_CONTENT);
    },
    async ({ ask, server }) => {
      const answer = await ask(head, body);
      assert.equal(answer.status, 204);
      seen = server.peers[0].received;
    },
    options,
  );
  return seen;
}

/** The answer to a GET (or `method`) whose bytes are sent in the given pieces, each on its own. */
async function answered(bytes: string, head: Partial<RequestHead> = {}): Promise<{ answer: Answer; text: string }> {
  let result!: { answer: Answer; text: string };
  await onStage(
    async (peer) => {
      await peer.readHead();
      peer.send(bytes);
    },
    async ({ ask }) => {
      const answer = await ask(head);
      result = { answer, text: await bodyText(answer.body) };
    },
  );
  return result;
}

describe("HttpClient sends", () => {
  it("HttpClient sends target, Host and fields as they are when there is no body", async () => {
    const fields = ["X-b", "1", "x-A", "\xe9\xff", "x-b", "2", "Accept-Encoding", "gzip"];
    assert.equal(
      await sentBytes({ target: "/a/../b//%41?x=%2F&\xc3\xa9", fields }, null),
      "GET /a/../b//%41?x=%2F&\xc3\xa9 HTTP/1.1\r\nHost: a.test\r\n" +
        "X-b: 1\r\nx-A: \xe9\xff\r\nx-b: 2\r\nAccept-Encoding: gzip\r\n\r\n",
    );
  });

  it("HttpClient keeps a Content-Length of 0 when the body is null", async () => {
    assert.equal(
      await sentBytes({ method: "POST", fields: ["Content-Length", "0"] }, null),
      "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 0\r\n\r\n",
    );
  });

  it("HttpClient adds Content-Length when the body is bytes", async () => {
    assert.equal(
      await sentBytes({ method: "PUT" }, bytesOf("abc\0\xff"), {}, "\xff"),
      "PUT / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 5\r\n\r\nabc\0\xff",
    );
  });

  it("HttpClient leaves out the fields of other connections when a caller gives them", async () => {
    const fields = ["Transfer-Encoding", "chunked", "Connection", "close", "Host", "evil", "Keep-Alive", "1", "A", "b"];
    assert.equal(await sentBytes({ fields }, null), "GET / HTTP/1.1\r\nHost: a.test\r\nA: b\r\n\r\n");
  });

  it("HttpClient makes TE anew when trailers are wanted", async () => {
    assert.equal(
      await sentBytes({ fields: ["TE", "trailers, deflate"] }, null),
      "GET / HTTP/1.1\r\nHost: a.test\r\nTE: trailers\r\nConnection: TE\r\n\r\n",
    );
  });

  it("HttpClient writes the configured Host when told to", async () => {
    const hosts: [string, string, RegExp][] = [
      ["preserve", "public.test", /\r\nHost: public\.test\r\n/],
      ["preserve", "", /\r\nHost: 127\.0\.0\.1:\d+\r\n/],
      ["rewrite", "public.test", /\r\nHost: 127\.0\.0\.1:\d+\r\n/],
      ["inner.test", "public.test", /\r\nHost: inner\.test\r\n/],
    ];
    for (const [hostHeader, authority, expected] of hosts) {
      assert.match(await sentBytes({ authority }, null, { hostHeader }), expected);
    }
  });

  it("HttpClient refuses a head that would be read as another one", async () => {
    await onStage(() => {}, async ({ ask, server }) => {
      await rejectsWith(ask({ fields: ["X", "a\r\nY: b"] }), "bad_request");
      await rejectsWith(ask({ target: "/ HTTP/1.1\r\nX: y" }), "bad_request");
      await rejectsWith(ask({ fields: ["Content-Length", "4"] }, bytesOf("abc")), "bad_request");
      assert.equal(server.peers.length, 0);
    });
  });
});

describe("HttpClient answers", () => {
  it("HttpClient gives a small body as bytes when it came with the head", async () => {
    const { answer, text } = await answered(
      "HTTP/1.1 200 OK\r\nX-b: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 3\r\n\r\nab\xff",
    );
    assert.equal(answer.status, 200);
    assert.deepEqual(answer.fields, ["X-b", "1", "Set-Cookie", "a", "Set-Cookie", "b", "Content-Length", "3"]);
    assert.ok(answer.body instanceof Uint8Array);
    assert.equal(text, "ab\xff");
  });

  it("HttpClient joins the chunks of a whole chunked answer when they came with the head", async () => {
    const { answer, text } = await answered(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4;x=y\r\ndefg\r\n1\r\nh\r\n0\r\n\r\n",
    );
    assert.ok(answer.body instanceof Uint8Array);
    assert.deepEqual(answer.fields, []);
    assert.equal(text, "abcdefgh");
  });

  it("HttpClient gives no body when the answer cannot have one", async () => {
    for (const [method, status] of [["GET", 204], ["GET", 304], ["HEAD", 200]] as const) {
      const { answer } = await answered(`HTTP/1.1 ${status} X\r\nContent-Length: 12\r\n\r\n`, { method });
      assert.equal(answer.status, status);
      assert.equal(answer.body, null);
    }
  });

  it("HttpClient keeps Content-Length when it answers a HEAD", async () => {
    const { answer } = await answered("HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n", { method: "HEAD" });
    assert.deepEqual(answer.fields, ["Content-Length", "12"]);
  });

  it("HttpClient drops the body and the connection when a HEAD, 204 or 304 is answered with one", async () => {
    for (const [method, status] of [["GET", 204], ["GET", 304], ["HEAD", 200]] as const) {
      await onStage(
        async (peer) => {
          await peer.readHead();
          peer.send(`HTTP/1.1 ${status} X\r\nContent-Length: 4\r\n\r\nbody`);
        },
        async ({ ask, client, server }) => {
          assert.equal((await ask({ method })).body, null);
          await eventually(() => server.open === 0 && client.active + client.idle === 0);
        },
      );
    }
  });

  it("HttpClient reads until the FIN when the answer has no length", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        await peer.send("HTTP/1.1 200 OK\r\n\r\none ");
        peer.send("two");
        peer.end();
      },
      async ({ ask, client, server }) => {
        assert.equal(await bodyText((await ask()).body), "one two");
        await eventually(() => client.active + client.idle === 0 && server.open === 0);
      },
    );
  });

  it("HttpClient hands each read on at once when the answer is streamed", async () => {
    let confirm: () => void = () => {};
    await onStage(
      async (peer) => {
        await peer.readHead();
        peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
        for (let event = 0; event < 5; event++) {
          // The next event is only written after the one before was read.
          await new Promise<void>((resolve) => confirm = resolve);
          peer.send(`8\r\ndata: ${event}\n\r\n`);
        }
        peer.send("0\r\n\r\n");
      },
      async ({ ask, client }) => {
        const reader = new BodyReader(await ask());
        for (let event = 0; event < 5; event++) {
          confirm();
          assert.equal(await reader.next(), `data: ${event}\n`);
        }
        assert.equal(await reader.next(), null);
        assert.equal(client.idle, 1);
      },
    );
  });

  it("HttpClient gives one chunk for each read when a read holds many chunks", async () => {
    let more: () => void = () => {};
    await onStage(
      async (peer) => {
        await peer.readHead();
        peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        await new Promise<void>((resolve) => more = resolve);
        peer.send("1\r\na\r\n2\r\nbc\r\n5\r\nde");
        await new Promise<void>((resolve) => more = resolve);
        peer.send("fgh\r\n1\r\ni\r\n0\r\n\r\n");
      },
      async ({ ask }) => {
        const reader = new BodyReader(await ask());
        more();
        assert.equal(await reader.next(), "abcde");
        more();
        assert.equal(await reader.next(), "fghi");
        assert.equal(await reader.next(), null);
      },
    );
  });

  it("HttpClient serves every read when several wait at once", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 30000000\r\n\r\n");
        await peer.send(new Uint8Array(30_000_000));
      },
      async ({ ask }) => {
        const reader = ((await ask()).body as ReadableStream<Uint8Array>).getReader();
        let received = 0;
        while (received < 30_000_000) {
          for (const { value } of await Promise.all([reader.read(), reader.read(), reader.read()])) {
            received += value?.length ?? 0;
          }
        }
        assert.equal((await reader.read()).done, true);
        assert.equal(received, 30_000_000);
      },
    );
  });

  it("HttpClient streams a body when it came with the head but is over 64 KiB", async () => {
    const chunk = (size: number) => `${size.toString(16)}\r\n${"x".repeat(size)}\r\n`;
    const chunked = "Transfer-Encoding: chunked\r\n\r\n";
    const heads: [string, number, boolean][] = [
      ["Content-Length: 65536\r\n\r\n" + "x".repeat(65_536), 65_536, true],
      ["Content-Length: 65537\r\n\r\n" + "x".repeat(65_537), 65_537, false],
      [chunked + chunk(40_000) + chunk(25_536) + "0\r\n\r\n", 65_536, true],
      [chunked + chunk(40_000) + chunk(25_537) + "0\r\n\r\n", 65_537, false],
    ];
    for (const [rest, size, isWhole] of heads) {
      const socket = new ScriptedSocket();
      const client = new HttpClient({
        target: { kind: "tcp", host: "127.0.0.1", port: 1 },
        dial: () => Promise.resolve(socket),
      });
      const asked = client.request(requestHead(), null, never);
      await eventually(() => socket.written.length > 0);
      socket.handlers.onData(bytesOf("HTTP/1.1 200 OK\r\n" + rest));
      const { body } = await asked;
      assert.equal(body instanceof Uint8Array, isWhole);
      assert.equal(await bodyText(body), "x".repeat(size));
      assert.equal(client.idle, 1);
      client.close();
    }
  });

  it("HttpClient reads the socket only while the answer's reader waits", async () => {
    const socket = new ScriptedSocket();
    const client = new HttpClient({
      target: { kind: "tcp", host: "127.0.0.1", port: 1 },
      dial: () => Promise.resolve(socket),
    });
    const asked = client.request(requestHead(), null, never);
    await eventually(() => socket.written.length > 0);
    assert.equal(socket.isReading, true);
    socket.handlers.onData(bytesOf("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\na"));
    assert.equal(socket.isReading, false);
    const reader = new BodyReader(await asked);
    assert.equal(await reader.next(), "a");
    assert.equal(socket.isReading, false);
    const next = reader.next();
    assert.equal(socket.isReading, true);
    socket.handlers.onData(bytesOf("b"));
    assert.equal(socket.isReading, false);
    assert.equal(await next, "b");
    const last = reader.next();
    socket.handlers.onData(bytesOf("c"));
    assert.equal(await last, "c");
    // Idle: it must see what the upstream does.
    assert.deepEqual([socket.isReading, client.idle], [true, 1]);
    client.close();
  });

  it("HttpClient gives interim answers and trailers when the upstream sends them", async () => {
    const informed: unknown[] = [];
    const { answer, text } = await answered(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" +
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n",
      { onInformational: (status, fields) => informed.push([status, fields]) },
    );
    assert.deepEqual(informed, [[100, []], [103, ["Link", "</a>"]]]);
    assert.equal(text, "ok");
    assert.deepEqual(answer.trailers?.(), ["X-Sum", "1", "X-Sum", "2"]);
  });

  it("HttpClient passes 16 interim answers on when the upstream sends more", async () => {
    let informed = 0;
    const { answer } = await answered("HTTP/1.1 102 Processing\r\n\r\n".repeat(40) + NO_CONTENT, {
      onInformational: () => informed++,
    });
    assert.equal(informed, 16);
    assert.equal(answer.status, 204);
  });

  it("HttpClient reads the answer when its bytes come one by one", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        for (const byte of "HTTP/1.1 200\r\nA: b\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nT: u\r\n\r\n") {
          await peer.send(byte);
        }
      },
      async ({ ask }) => {
        const answer = await ask();
        assert.deepEqual(answer.fields, ["A", "b"]);
        assert.equal(await bodyText(answer.body), "abc");
        assert.deepEqual(answer.trailers?.(), ["T", "u"]);
      },
    );
  });

  it("HttpClient stops reading the upstream when nobody reads the answer", async () => {
    const total = 64 * 1024 * 1024;
    const block = new Uint8Array(256 * 1024).fill(0x61);
    await onStage(
      async (peer) => {
        await peer.readHead();
        peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${total}\r\n\r\n`);
        for (let sent = 0; sent < total; sent += block.length) await peer.send(block);
      },
      async ({ ask, server }) => {
        const answer = await ask();
        const peer = server.peers[0];
        await eventually(() => peer.unsentBytes > 0);
        // The upstream is stuck: what it has not sent stays the same over many ticks.
        const stuckAt = await steady(() => peer.sentBytes);
        assert.ok(stuckAt < 24 * 1024 * 1024, `${stuckAt} bytes left the upstream`);
        let received = 0;
        for await (const chunk of answer.body as ReadableStream<Uint8Array>) received += chunk.length;
        assert.equal(received, total);
      },
    );
  });
});

/** A socket without a network, which shows whether it is being read. */
class ScriptedSocket implements Socket {
  handlers: SocketHandlers = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} };
  readonly local = { kind: "tcp", host: "127.0.0.1", port: 2 } as const;
  readonly remote = { kind: "tcp", host: "127.0.0.1", port: 1 } as const;
  readonly bufferedBytes = 0;
  readonly unreadBytes = 0;
  readonly written: Uint8Array[] = [];
  closed = false;
  isReading = false;

  write(bytes: Uint8Array): boolean {
    this.written.push(bytes);
    return true;
  }

  flush(): void {}

  end(): void {}

  reset(): void {
    this.closed = true;
  }

  pause(): void {
    this.isReading = false;
  }

  resume(): void {
    this.isReading = true;
  }
}
