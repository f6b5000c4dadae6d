import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Clock } from "../../../src/base/mod.ts";
import { HttpClient } from "../../../src/http1/client/client.ts";
import type { UpstreamErrorCode } from "../../../src/http/upstream_error.ts";
import { SocketError } from "../../../src/net/mod.ts";
import { FakeClock } from "../../support/clock.ts";
import { BodyReader, bodyText, FedBody, never, rejectsWith, requestHead } from "../../support/client_requests.ts";
import { NO_CONTENT, onStage } from "../../support/client_stage.ts";
import { bytesOf, eventually } from "../../support/net.ts";
import { type ScriptedPeer, ScriptedServer } from "../../support/scripted_server.ts";

const CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

/** Heads that are no answer, or none that may be passed on. */
const invalidHeads: [string, string][] = [
  ["two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc"],
  ["a length that is no number", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nab"],
  ["another transfer coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"],
  ["a bare LF behind a size", `${CHUNKED}2\nab\r\n0\r\n\r\n`],
  ["a folded line", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n"],
  ["a NUL", "HTTP/1.1 200 OK\r\nA: \0\r\n\r\n"],
  ["a space before the colon", "HTTP/1.1 200 OK\r\nA : b\r\n\r\n"],
  ["a huge head", `HTTP/1.1 200 OK\r\n${`A: ${"b".repeat(1_000)}\r\n`.repeat(70)}\r\n`],
  ["a head without end", `HTTP/1.1 200 OK\r\nA: ${"b".repeat(70_000)}`],
  ["too many fields", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(257)}\r\n`],
  ["another protocol", "SSH-2.0-OpenSSH_9.6\r\n"],
  ["HTTP/2", "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80"],
  ["an unsolicited 101", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"],
];

const EARLY = "HTTP/1.1 103 Early Hints\r\n\r\n";

describe("HttpClient before the answer", () => {
  it("HttpClient fails with upstream_refused when nobody listens", async () => {
    const gone = await ScriptedServer.start(() => {});
    await gone.close();
    const client = new HttpClient({ target: gone.target });
    const body = new FedBody();
    const error = await rejectsWith(
      client.request(requestHead({ method: "POST" }), body.stream, never),
      "upstream_refused",
    );
    assert.equal(error.status, 502);
    assert.match(error.reason, new RegExp(`127\\.0\\.0\\.1:${gone.port}`));
    assert.notEqual(body.canceled, undefined);
    assert.equal(client.active, 0);
    client.close();
  });

  it("HttpClient fails with upstream_timeout when a dial takes too long", async () => {
    const client = new HttpClient({
      target: { kind: "tcp", host: "127.0.0.1", port: 1 },
      connectTimeoutMs: 7,
      dial: (_target, { timeoutMs }) =>
        Promise.reject(
          new SocketError({ code: "connect_timeout", reason: `no answer within ${timeoutMs} ms`, initiator: "remote" }),
        ),
    });
    const error = await rejectsWith(client.request(requestHead(), null, never), "upstream_timeout");
    assert.deepEqual([error.status, error.reason], [504, "no answer within 7 ms"]);
    client.close();
  });

  it("HttpClient goes on to the waiting requests when a dial fails", async () => {
    let dials = 0;
    const client = new HttpClient({
      target: { kind: "tcp", host: "127.0.0.1", port: 1 },
      maxSockets: 1,
      dial: () => Promise.reject(new Error(`dial ${++dials}`)),
    });
    const asked = Array.from({ length: 5 }, () => client.request(requestHead(), null, never));
    for (const answer of asked) await rejectsWith(answer, "upstream_refused");
    assert.deepEqual([dials, client.active, client.waiting], [5, 0, 0]);
    client.close();
  });

  it("HttpClient fails with upstream_timeout when the upstream hangs before its head", async () => {
    const clock = new FakeClock();
    await onStage(
      async (peer) => {
        await peer.readUntil("end");
        // An interim answer is none yet.
        peer.send("HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 2");
        await peer.gone();
      },
      async ({ ask, client, server }) => {
        const body = new FedBody();
        let informed = false;
        const asked = ask({ method: "POST", onInformational: () => informed = true }, body.stream);
        await eventually(() => server.peers.length === 1);
        // The time runs from the end of the request.
        clock.advance(60_000);
        body.push("end");
        body.end();
        await eventually(() => informed && clock.pending === 1);
        clock.advance(59_999);
        await eventually(() => server.open === 1 && client.active === 1);
        clock.advance(1);
        assert.equal((await rejectsWith(asked, "upstream_timeout")).status, 504);
        await eventually(() => client.active === 0 && server.open === 0);
        assert.equal(clock.pending, 0);
      },
      { clock, firstByteMs: 60_000 },
    );
  });

  it("HttpClient leaves no timer behind when the answer came in time", async () => {
    const clock = new FakeClock();
    await onStage((peer) => peer.readHead().then(() => peer.send(NO_CONTENT)), async ({ ask, client }) => {
      await ask();
      client.close();
      assert.equal(clock.pending, 0);
    }, { clock, firstByteMs: 60_000 });
  });

  it("HttpClient fails with upstream_closed when the upstream closes before the end of its head", async () => {
    for (const leave of [(peer: ScriptedPeer) => peer.end(), (peer: ScriptedPeer) => peer.abort()]) {
      for (const bytes of ["", "HTTP/1.1 200 OK\r\nA: b\r\n"]) {
        await onStage(
          async (peer) => {
            await peer.readHead();
            if (bytes !== "") await peer.send(bytes);
            leave(peer);
          },
          async ({ ask, client, server }) => {
            assert.equal((await rejectsWith(ask(), "upstream_closed")).status, 502);
            await eventually(() => client.active === 0 && server.open === 0);
          },
        );
      }
    }
  });

  for (const [what, bytes] of invalidHeads) {
    it(`HttpClient fails with upstream_invalid when the upstream sends ${what}`, async () => {
      await onStage(
        async (peer) => {
          await peer.readHead();
          peer.send(bytes);
          await peer.gone();
        },
        async ({ ask, client, server }) => {
          assert.equal((await rejectsWith(ask(), "upstream_invalid")).status, 502);
          await eventually(() => client.active + client.idle === 0 && server.open === 0);
        },
      );
    });
  }

  it("HttpClient fails with upstream_invalid when interim answers come without end", async () => {
    for (const interim of [EARLY, `HTTP/1.1 103 Early Hints\r\nLink: <${"x".repeat(30_000)}>\r\n\r\n`]) {
      await onStage(
        async (peer) => {
          await peer.readHead();
          for (let sent = 0; sent < 20; sent++) await peer.send(interim.repeat(20));
          await peer.gone();
        },
        async ({ ask }) => {
          const error = await rejectsWith(ask(), "upstream_invalid");
          assert.equal(error.status, 502);
          assert.match(error.reason, /sent \d+ interim answers \(1xx\) and no final one/);
        },
        { clock: new FakeClock() },
      );
    }
  });

  it("HttpClient takes an interim answer each 100 ms for an hour", async () => {
    // It goes on by 100 ms whenever it is read, as for each of these answers.
    let time = 0;
    const clock: Clock = { now: () => time += 100, after: () => ({ cancel() {} }) };
    await onStage(
      async (peer) => {
        await peer.readHead();
        for (let sent = 0; sent < 360; sent++) await peer.send(EARLY.repeat(100));
        await peer.send(NO_CONTENT);
      },
      async ({ ask }) => assert.equal((await ask()).status, 204),
      { clock, firstByteMs: null },
    );
  });

  it("HttpClient fails when the receiver of an interim answer throws", async () => {
    await onStage(
      (peer) => peer.readHead().then(() => peer.send("HTTP/1.1 103 Early Hints\r\n\r\n" + NO_CONTENT)),
      async ({ ask }) => {
        const thrown = new Error("no hints");
        const error = await rejectsWith(ask({ onInformational: () => assert.fail(thrown) }), "canceled");
        assert.equal(error.cause, thrown);
      },
    );
  });
});

describe("HttpClient in the middle of the answer", () => {
  const breaks: [string, string, (peer: ScriptedPeer) => void, UpstreamErrorCode][] = [
    [
      "ends short of Content-Length",
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart",
      (p) => p.end(),
      "upstream_closed",
    ],
    ["ends between chunks", `${CHUNKED}4\r\npart\r\n`, (p) => p.end(), "upstream_closed"],
    [
      "resets a body with a length",
      "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart",
      (p) => p.abort(),
      "upstream_reset",
    ],
    ["resets a body without a length", "HTTP/1.1 200 OK\r\n\r\npart", (p) => p.abort(), "upstream_reset"],
    ["sends a chunk without its size", `${CHUNKED}4\r\npart\r\n`, (p) => void p.send("oops\r\n"), "upstream_invalid"],
    ["sends a chunk of a negative size", `${CHUNKED}4\r\npart\r\n`, (p) => void p.send("-1\r\n"), "upstream_invalid"],
    ["sends a chunk with a bare LF", `${CHUNKED}4\r\npart\r\n`, (p) => void p.send("1\na\r\n"), "upstream_invalid"],
    [
      "sends too long a chunk extension",
      `${CHUNKED}4\r\npart\r\n`,
      (p) => void p.send(`1;${"x".repeat(300)}\r\n`),
      "upstream_invalid",
    ],
    [
      "sends too long trailers",
      `${CHUNKED}4\r\npart\r\n`,
      (p) => void p.send(`0\r\n${"A: b\r\n".repeat(2_000)}`),
      "upstream_invalid",
    ],
  ];
  for (const [what, bytes, then, code] of breaks) {
    it(`HttpClient breaks the body off when the upstream ${what}`, async () => {
      let go: () => void = () => {};
      await onStage(
        async (peer) => {
          await peer.readHead();
          peer.send(bytes);
          await new Promise<void>((resolve) => go = resolve);
          then(peer);
          await peer.gone();
        },
        async ({ ask, client, server }) => {
          const reader = new BodyReader(await ask());
          assert.equal(await reader.next(), "part");
          go();
          await rejectsWith(reader.next(), code);
          await eventually(() => client.active + client.idle === 0 && server.open === 0);
        },
      );
    });
  }
});

describe("HttpClient when the asking side goes away", () => {
  it("HttpClient resets the upstream when the signal aborts before the answer", async () => {
    await onStage(
      (peer) => peer.gone(),
      async ({ ask, client, server }) => {
        const abort = new AbortController();
        const asked = ask({}, null, abort.signal);
        await eventually(() => server.peers[0]?.received.endsWith("\r\n\r\n") === true);
        abort.abort(new Error("gone"));
        const error = await rejectsWith(asked, "canceled");
        assert.deepEqual([error.cause, error.initiator], [abort.signal.reason, "user"]);
        await eventually(() => server.peers[0].reset && client.active === 0, { deadlineMs: 1_000 });
      },
    );
  });

  it("HttpClient resets the upstream when the answer's reader goes, the signal aborts, or both", async () => {
    for (const how of ["cancel", "abort", "abort unread"] as const) {
      await onStage(
        async (peer) => {
          await peer.readHead();
          peer.send("HTTP/1.1 200 OK\r\n\r\npart");
          await peer.gone();
        },
        async ({ ask, client, server }) => {
          const abort = new AbortController();
          const answer = await ask({}, null, abort.signal);
          const reader = new BodyReader(answer);
          if (how !== "abort unread") assert.equal(await reader.next(), "part");
          if (how === "cancel") await reader.cancel("enough");
          else {
            abort.abort();
            await rejectsWith(reader.next(), "canceled");
          }
          await eventually(() => server.open === 0 && client.active === 0, { deadlineMs: 1_000 });
        },
      );
    }
  });

  it("HttpClient leaves nothing behind when 1,000 requests are aborted", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        if (peer.index % 2 === 1) peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart");
        await peer.gone();
      },
      async ({ ask, client, server }) => {
        for (let round = 0; round < 20; round++) {
          const aborts = Array.from({ length: 50 }, () => new AbortController());
          const asked = aborts.map(async ({ signal }, index) => {
            const body = index % 3 === 0 ? new FedBody().stream : null;
            return bodyText((await ask({ method: body ? "POST" : "GET" }, body, signal)).body);
          });
          const ends = asked.map((promise) => rejectsWith(promise, "canceled"));
          // A third of them are aborted while they are still being dialed.
          for (const [index, abort] of aborts.entries()) if (index % 3 === 1) abort.abort();
          await eventually(() => server.peers.filter((peer) => peer.received !== "").length >= round * 33 + 33);
          for (const abort of aborts) abort.abort();
          await Promise.all(ends);
        }
        await eventually(() => client.active + client.idle + client.waiting === 0 && server.open === 0);
      },
      { maxSockets: 100 },
    );
  });

  it("HttpClient keeps no listener on the signal when the answer is over", async () => {
    await onStage(
      async (peer) => {
        for (;;) {
          await peer.readHead();
          peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
          await peer.send("2\r\nok\r\n0\r\n\r\n");
        }
      },
      async ({ ask }) => {
        let listeners = 0;
        const signal = new AbortController().signal;
        const { addEventListener, removeEventListener } = EventTarget.prototype;
        signal.addEventListener = (...args: unknown[]) => {
          listeners++;
          addEventListener.apply(signal, args as Parameters<typeof addEventListener>);
        };
        signal.removeEventListener = (...args: unknown[]) => {
          listeners--;
          removeEventListener.apply(signal, args as Parameters<typeof removeEventListener>);
        };
        for (let count = 0; count < 3; count++) {
          const answer = await ask({}, null, signal);
          assert.equal(await bodyText(answer.body), "ok");
        }
        assert.equal(listeners, 0);
        await rejectsWith(ask({ fields: ["Content-Length", "1"] }, bytesOf("abc"), signal), "bad_request");
        assert.equal(listeners, 0);
      },
    );
  });
});
