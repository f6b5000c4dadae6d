import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HttpClient } from "../../../src/http1/client/client.ts";
import type { ClientOptions } from "../../../src/http1/client/options.ts";
import { dial } from "../../../src/net/mod.ts";
import { FakeClock } from "../../support/clock.ts";
import { BodyReader, bodyText, FedBody, never, rejectsWith, requestHead } from "../../support/client_requests.ts";
import { NO_CONTENT, onStage } from "../../support/client_stage.ts";
import { bytesOf, eventually } from "../../support/net.ts";
import { type ScriptedPeer, ScriptedServer } from "../../support/scripted_server.ts";

/** Answers every request with the connection's index and the number of the request on it: `0.1`. */
async function numbering(peer: ScriptedPeer): Promise<void> {
  for (let count = 1;; count++) {
    await peer.readHead();
    const text = `${peer.index}.${count}`;
    peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${text.length}\r\n\r\n${text}`);
  }
}

describe("HttpClient pool", () => {
  it("HttpClient uses one connection when 1,000 requests follow each other", async () => {
    await onStage(numbering, async ({ ask, client, server }) => {
      for (let count = 1; count <= 1_000; count++) {
        assert.equal(await bodyText((await ask()).body), `0.${count}`);
      }
      assert.equal(server.peers.length, 1);
      assert.deepEqual([client.idle, client.active, client.waiting], [1, 0, 0]);
    });
  });

  it("HttpClient asks over a unix socket when the target is one", async () => {
    const folder = await mkdtemp(join(tmpdir(), "runnel-"));
    const server = await ScriptedServer.start(numbering, join(folder, "upstream.sock"));
    const client = new HttpClient({ target: server.target, hostHeader: "rewrite" });
    try {
      for (const text of ["0.1", "0.2"]) {
        assert.equal(await bodyText((await client.request(requestHead(), null, never)).body), text);
      }
      assert.match(server.peers[0].received, /\r\nHost: localhost\r\n/);
    } finally {
      client.close();
      await eventually(() => server.peers.every((peer) => peer.ended || peer.closed));
      await server.close();
      await rm(folder, { recursive: true });
    }
  });

  it("HttpClient takes the connection that was used last when several are idle", async () => {
    await onStage(numbering, async ({ ask, client }) => {
      const answers = await Promise.all([ask(), ask(), ask()]);
      const texts = await Promise.all(answers.map((answer) => bodyText(answer.body)));
      assert.deepEqual(texts.sort(), ["0.1", "1.1", "2.1"]);
      assert.equal(client.idle, 3);
      const used = (await bodyText((await ask()).body)).split(".")[0];
      assert.equal(await bodyText((await ask()).body), `${used}.3`);
    });
  });

  it("HttpClient lets requests wait when every socket is taken", async () => {
    const release: (() => void)[] = [];
    await onStage(
      async (peer) => {
        for (;;) {
          await peer.readHead();
          await new Promise<void>((resolve) => release.push(resolve));
          peer.send(NO_CONTENT);
        }
      },
      async ({ ask, client, server }) => {
        const asked = Array.from({ length: 10 }, () => ask());
        await eventually(() => release.length === 3);
        assert.deepEqual([server.peers.length, client.active, client.waiting], [3, 3, 7]);
        for (let served = 0; served < 10; served++) {
          await eventually(() => release.length > 0);
          release.shift()!();
        }
        for (const answer of await Promise.all(asked)) assert.equal(answer.status, 204);
        assert.equal(server.peers.length, 3);
        assert.deepEqual([client.active, client.waiting, client.idle], [0, 0, 3]);
      },
      { maxSockets: 3 },
    );
  });

  it("HttpClient refuses a request when too many wait", async () => {
    await onStage(
      (peer) => peer.gone(),
      async ({ ask, client }) => {
        const asked = Array.from({ length: 3 }, () => rejectsWith(ask(), "canceled"));
        const error = await rejectsWith(ask(), "overloaded");
        assert.equal(error.status, 503);
        assert.equal(client.waiting, 2);
        client.close();
        await Promise.all(asked);
      },
      { maxSockets: 1, maxWaiting: 2 },
    );
  });

  it("HttpClient gives the place up when a waiting request is aborted", async () => {
    await onStage(
      (peer) => peer.gone(),
      async ({ ask, client }) => {
        const first = new AbortController();
        const running = ask({}, null, first.signal);
        const waiting = new AbortController();
        const body = new FedBody();
        const asked = ask({ method: "POST" }, body.stream, waiting.signal);
        waiting.abort(new Error("gone"));
        assert.equal((await rejectsWith(asked, "canceled")).cause, waiting.signal.reason);
        assert.notEqual(body.canceled, undefined);
        assert.equal(client.waiting, 0);
        first.abort();
        await rejectsWith(running, "canceled");
        await eventually(() => client.active === 0);
      },
      { maxSockets: 1 },
    );
  });

  it("HttpClient opens a connection for a waiting request when another one is closed", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        await peer.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        peer.end();
      },
      async ({ ask, client, server }) => {
        for (const answer of await Promise.all([ask(), ask(), ask()])) assert.equal(answer.status, 204);
        assert.equal(server.peers.length, 3);
        await eventually(() => client.active === 0 && server.open === 0);
        assert.equal(client.idle, 0);
      },
      { maxSockets: 1 },
    );
  });

  it("HttpClient closes connections when they were idle for idleMs", async () => {
    const clock = new FakeClock();
    await onStage(numbering, async ({ ask, client, server }) => {
      await Promise.all([ask(), ask()]);
      clock.advance(2_500);
      await ask();
      assert.equal(client.idle, 2);
      clock.advance(1_499);
      assert.equal(client.idle, 2);
      clock.advance(1);
      // The one that was used at 2,500 stays until 6,500.
      assert.equal(client.idle, 1);
      await eventually(() => server.peers.filter((peer) => peer.ended).length === 1);
      clock.advance(2_499);
      assert.equal(client.idle, 1);
      clock.advance(1);
      assert.equal(client.idle, 0);
      await eventually(() => server.peers.every((peer) => peer.ended));
      for (const peer of server.peers) peer.end();
      await eventually(() => client.active === 0);
      assert.equal(clock.pending, 0);
    }, { clock });
  });

  it("HttpClient resets a connection when the upstream sends no FIN for a second", async () => {
    const clock = new FakeClock();
    await onStage(
      async (peer) => {
        await peer.readHead();
        peer.send("HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
        await peer.whenClosed();
      },
      async ({ ask, client, server }) => {
        await ask();
        await eventually(() => server.peers[0].ended);
        assert.deepEqual([client.active, server.open], [1, 1]);
        clock.advance(1_000);
        await eventually(() => client.active === 0);
        assert.equal(clock.pending, 0);
      },
      { clock },
    );
  });

  it("HttpClient keeps the newest connections when more than maxIdle are free", async () => {
    await onStage(numbering, async ({ ask, client, server }) => {
      await Promise.all([ask(), ask(), ask()]);
      assert.equal(client.idle, 2);
      await eventually(() => server.peers.filter((peer) => peer.ended).length === 1);
    }, { maxIdle: 2 });
    await onStage(numbering, async ({ ask, client, server }) => {
      await ask();
      assert.equal(client.idle, 0);
      await eventually(() => server.peers[0].ended);
    }, { maxIdle: 0 });
  });

  it("HttpClient drops an idle connection when the upstream ends it", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        await peer.send(NO_CONTENT);
        peer.end();
      },
      async ({ ask, client, server }) => {
        assert.equal((await ask()).status, 204);
        await eventually(() => client.idle + client.active === 0 && server.open === 0);
        assert.equal((await ask()).status, 204);
        assert.equal(server.peers.length, 2);
      },
    );
  });

  it("HttpClient drops a connection when the upstream speaks without being asked", async () => {
    let speak: () => void = () => {};
    await onStage(
      async (peer) => {
        await peer.readHead();
        peer.send(NO_CONTENT);
        await new Promise<void>((resolve) => speak = resolve);
        peer.send("HTTP/1.1 408 Request Timeout\r\n\r\n");
        await peer.gone();
      },
      async ({ ask, client, server }) => {
        await ask();
        assert.equal(client.idle, 1);
        speak();
        await eventually(() => client.idle + client.active === 0 && server.open === 0);
      },
    );
    // The same in the read of the answer itself: it must not become the next request's answer.
    await onStage(
      async (peer) => {
        await peer.readHead();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
      },
      async ({ ask, client, server }) => {
        assert.equal(await bodyText((await ask()).body), "ok");
        assert.equal(client.idle, 0);
        assert.equal(await bodyText((await ask()).body), "ok");
        assert.equal(server.peers.length, 2);
      },
    );
  });

  it("HttpClient takes a fresh connection for what must not be sent twice when the idle one is older than a second", async () => {
    const script = async (peer: ScriptedPeer) => {
      for (;;) {
        const head = await peer.readHead();
        if (head.includes("Content-Length: 1\r\n")) await peer.read(1);
        await peer.send(NO_CONTENT);
      }
    };
    const once: [method: string, body: Uint8Array | null][] = [
      ["POST", bytesOf("x")],
      ["POST", null],
      ["DELETE", null],
      ["PUT", null],
      ["GET", bytesOf("x")],
    ];
    const cases: [idleMs: number, peers: number, options: Partial<ClientOptions>][] = [
      [999, 1, {}],
      [1_000, 2, {}],
      [1_000, 2, { maxSockets: 1 }],
      [2_999, 1, { freshMs: 3_000 }],
      [3_000, 2, { freshMs: 3_000 }],
      [0, 2, { freshMs: 0 }],
    ];
    for (const [method, body] of once) {
      for (const [idleMs, peers, options] of cases) {
        const clock = new FakeClock();
        await onStage(script, async ({ ask, client, server }) => {
          await ask();
          clock.advance(idleMs);
          const asked = ask({ method }, body);
          if (options.maxSockets === 1) {
            // Its place is free once the old connection is closed on both sides.
            await eventually(() => server.peers[0].ended);
            assert.deepEqual([client.waiting, client.active, client.idle], [1, 1, 0]);
            server.peers[0].end();
          }
          assert.equal((await asked).status, 204);
          assert.equal(server.peers.length, peers, `${method} after ${idleMs} ms`);
        }, { clock, ...options });
      }
    }
  });

  it("HttpClient uses an old connection for what may be sent twice", async () => {
    const clock = new FakeClock();
    const script = async (peer: ScriptedPeer) => {
      for (;;) {
        await peer.readHead();
        await peer.send(NO_CONTENT);
      }
    };
    await onStage(script, async ({ ask, server }) => {
      for (const method of ["GET", "HEAD", "OPTIONS"]) {
        await ask({ method });
        clock.advance(3_999);
      }
      assert.equal(server.peers.length, 1);
    }, { clock });
  });

  it("HttpClient counts a connection as idle from when its upstream may do so, however late the answer was read", async () => {
    const clock = new FakeClock();
    const script = async (peer: ScriptedPeer) => {
      if (peer.index > 0) return void peer.readHead().then(() => peer.send(NO_CONTENT));
      await peer.readHead();
      await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabc");
      await peer.gone();
    };
    await onStage(script, async ({ ask, client, server }) => {
      const reader = new BodyReader(await ask());
      await server.peers[0].send("def");
      clock.advance(1_000);
      let text = "";
      for (let chunk = await reader.next(); chunk !== null; chunk = await reader.next()) text += chunk;
      assert.equal(text, "abcdef");
      await eventually(() => client.idle === 1);
      assert.equal((await ask({ method: "DELETE" })).status, 204);
      assert.equal(server.peers.length, 2);
    }, { clock });
  });

  const hints: [field: string, idleMs: number][] = [
    ["timeout=100", 4_000],
    ["timeout=5, max=100", 4_000],
    ["max=100, timeout=3", 2_000],
    ["timeout=2", 1_000],
    ['timeout="2"', 1_000],
    ["timeout=1", 500],
    ["timeout=0", 0],
    ["timeout=-1", 4_000],
    ["timeout=2.5", 1_000],
    ["timeout=99999999999999999999", 4_000],
    ["max=5", 4_000],
    ["xtimeout=1", 4_000],
  ];
  for (const [field, idleMs] of hints) {
    it(`HttpClient closes an idle connection after ${idleMs} ms when its upstream says "Keep-Alive: ${field}"`, async () => {
      const clock = new FakeClock();
      const script = async (peer: ScriptedPeer) => {
        await peer.readHead();
        await peer.send(`HTTP/1.1 204 No Content\r\nKeep-Alive: ${field}\r\n\r\n`);
        await peer.gone();
      };
      await onStage(script, async ({ ask, client, server }) => {
        await ask();
        if (idleMs > 0) {
          clock.advance(idleMs - 1);
          assert.equal(client.idle, 1);
          clock.advance(1);
        }
        assert.equal(client.idle, 0);
        await eventually(() => server.peers[0].ended);
      }, { clock });
    });
  }

  it("HttpClient breaks everything off when it is closed", async () => {
    await onStage(
      async (peer) => {
        await peer.readHead();
        peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart");
        await peer.gone();
      },
      async ({ ask, client, server }) => {
        const answer = await ask();
        client.close();
        await rejectsWith(bodyText(answer.body), "canceled");
        await rejectsWith(ask(), "canceled");
        await eventually(() => client.active + client.idle === 0 && server.open === 0);
      },
    );
  });

  it("HttpClient ends a dial when its request is aborted or the client is closed", async () => {
    for (const end of ["abort", "close"] as const) {
      let dialSignal: AbortSignal | undefined;
      const client = new HttpClient({
        target: { kind: "tcp", host: "127.0.0.1", port: 1 },
        dial: (_target, options) => {
          dialSignal = options.signal;
          return new Promise((_resolve, reject) => {
            options.signal!.addEventListener("abort", () => reject(options.signal!.reason));
          });
        },
      });
      const abort = new AbortController();
      const asked = client.request(requestHead(), null, abort.signal);
      assert.equal(client.active, 1);
      if (end === "abort") abort.abort();
      else client.close();
      await rejectsWith(asked, "canceled");
      assert.ok(dialSignal?.aborted);
      await eventually(() => client.active === 0);
    }
  });

  it("HttpClient resets a connection when it comes after its request was aborted", async () => {
    const server = await ScriptedServer.start((peer) => peer.gone());
    let connect: () => void = () => {};
    const client = new HttpClient({
      target: server.target,
      dial: async (target) => {
        await new Promise<void>((resolve) => connect = resolve);
        return dial(target);
      },
    });
    const abort = new AbortController();
    const asked = client.request(requestHead(), null, abort.signal);
    abort.abort();
    await rejectsWith(asked, "canceled");
    connect();
    await (await server.peer(0)).gone();
    await eventually(() => client.active === 0 && server.open === 0);
    client.close();
    await server.close();
  });

  it("HttpClient names the option when it is out of range", () => {
    const target = { kind: "tcp", host: "127.0.0.1", port: 1 } as const;
    for (
      const [options, message] of [
        [{ maxSockets: 0 }, /^The option maxSockets is 0, /],
        [{ idleMs: 0.5 }, /^The option idleMs is 0\.5, /],
        [{ firstByteMs: -1 }, /^The option firstByteMs is -1, /],
        [{ hostHeader: "a\r\nb" }, /^The option hostHeader "a\\r\\nb" /],
        [{ hostHeader: "Rewrite" }, /^The option hostHeader "Rewrite" is a mode, which is written rewrite$/],
        [{ hostHeader: "*" }, /^The option hostHeader "\*" /],
        [{ limits: { headBytes: 1 } }, /^The option headBytes is 1, /],
      ] as const
    ) {
      assert.throws(() => new HttpClient({ target, ...options }), { message });
    }
  });
});
