/** `expose` within one process: what its options must be, and where errors go. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { expose, type Exposed, type ExposeOptions } from "../../src/agent/expose.ts";
import { version } from "../../src/config/version.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually, latin1, SocketReader } from "../support/net.ts";
import { get, getRequest, type PublicTunnel, readUntilReset, send } from "../support/public_client.ts";
import { startTestEdge, token } from "../support/tunnel.ts";

const encoder = new TextEncoder();

describe("expose", () => {
  let edge: Edge;
  let tunnel: PublicTunnel;
  let exposed: Exposed | null;
  /** What `onError` was called with. */
  let told: [error: unknown, request: Request | undefined][];
  beforeEach(async () => {
    edge = await startTestEdge({ version });
    const { port } = edge.address;
    tunnel = {
      host: "shop.localhost",
      connect: async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port })),
    };
    exposed = null;
    told = [];
  });
  afterEach(async () => {
    exposed?.close();
    await edge.close();
  });

  const options = (fetch: ExposeOptions["fetch"], more: Partial<ExposeOptions> = {}): ExposeOptions => ({
    edge: `http://127.0.0.1:${edge.address.port}`,
    token,
    name: "shop",
    fetch,
    onError: (error, request) => void told.push([error, request]),
    ...more,
  });
  const start = async (...call: Parameters<typeof options>) => exposed = await expose(options(...call));

  const wrong: readonly [given: Record<string, unknown>, code: string, says: RegExp][] = [
    [{ edge: "ftp://example.com" }, "bad_edge_url", /"ftp:\/\/example\.com"/],
    [{ token: undefined }, "invalid_option", /token is undefined/],
    [{ token: "" }, "invalid_option", /token is empty/],
    [{ token: "a\nsecret" }, "invalid_option", /token has other characters/],
    [{ fetch: undefined }, "invalid_option", /fetch is undefined/],
    [{ connectTimeoutMs: 0 }, "invalid_option", /connectTimeoutMs/],
    [{ connectTimeoutMs: 1.5 }, "invalid_option", /connectTimeoutMs/],
    [{ connectTimeoutMs: NaN }, "invalid_option", /connectTimeoutMs/],
    [{ share: true, name: undefined }, "invalid_option", /share needs the option name/],
    [{ instance: "a b" }, "invalid_option", /option instance/],
    [{ instance: "x".repeat(65) }, "invalid_option", /option instance/],
    [{ firstByteMs: 0 }, "invalid_option", /firstByteMs/],
    [{ firstByteMs: -Infinity }, "invalid_option", /firstByteMs/],
    [{ firstByteMs: "10m" }, "invalid_option", /firstByteMs/],
  ];
  for (const [given, code, says] of wrong) {
    it(`rejects with ${code} when it is given ${Object.keys(given)} ${JSON.stringify(Object.values(given)[0])}`, async () => {
      const bad = { ...options(() => new Response()), ...given } as ExposeOptions;
      await assert.rejects(expose(bad), (error: Error & { code: string }) => {
        assert.equal(error.code, code);
        assert.match(error.message, says);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    });
  }

  it("gives the function the request alone", async () => {
    const counts: number[] = [];
    await start((...given) => {
      counts.push(given.length);
      return new Response();
    });
    await get(tunnel);
    assert.deepEqual(counts, [1]);
  });

  const used = () => {
    const response = new Response("text");
    return response.text().then(() => response);
  };
  const failing: readonly [what: string, fetch: ExposeOptions["fetch"], says: RegExp][] = [
    ["throws", () => assert.fail("no luck"), /no luck/],
    ["rejects", () => Promise.reject(new Error("no luck")), /no luck/],
    ["returns nothing", () => undefined as unknown as Response, /undefined, and no Response/],
    ["returns an error", () => Response.error(), /Response\.error\(\)/],
    ["returns a body that was read", used, /has a reader/],
    ["returns a body that has a reader", () => {
      const response = new Response("text");
      response.body!.getReader();
      return response;
    }, /has a reader/],
  ];
  for (const [what, fetch, says] of failing) {
    it(`tells onError of the request, and the visitor 502, when the function ${what}`, async () => {
      await start(fetch);
      assert.match(await get(tunnel, "/a?b"), /^HTTP\/1\.1 502 /);
      assert.equal(told.length, 1);
      const [error, request] = told[0]!;
      assert.match(String(error), says);
      assert.match(request!.url, /\/\/shop\.localhost\/a\?b$/);
    });
  }

  const broken: readonly [what: string, chunk: unknown, says: RegExp][] = [
    ["fails", new Error("no luck"), /no luck/],
    ["gives text", "text", /is of type string, and no Uint8Array/],
  ];
  for (const [what, chunk, says] of broken) {
    it(`tells onError, and breaks the answer off, when the answer's body ${what} in its middle`, async () => {
      let body!: ReadableStreamDefaultController<unknown>;
      let canceled = false;
      const stream = new ReadableStream<unknown>({
        start: (controller) => void (body = controller),
        cancel: () => void (canceled = true),
      });
      await start(() => new Response(stream as ReadableStream<Uint8Array>));
      const client = await send(tunnel, getRequest(tunnel));
      body.enqueue(encoder.encode("begun"));
      await client.readUntil("begun");
      if (chunk instanceof Error) body.error(chunk);
      else body.enqueue(chunk);
      await readUntilReset(client);
      await eventually(() => told.length === 1);
      assert.match(String(told[0]![0]), says);
      assert.ok(told[0]![1] instanceof Request);
      assert.equal(canceled, !(chunk instanceof Error));
    });
  }

  const streamOf = (...texts: string[]) => () =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        const text = texts.shift();
        if (text === undefined) controller.close();
        else controller.enqueue(encoder.encode(text));
      },
    });
  const announcing = (length: string, body: () => BodyInit | null, status = 200) => () =>
    new Response(body(), { status, headers: { "Content-Length": length } });

  const misfits: readonly [what: string, fetch: ExposeOptions["fetch"], says: RegExp][] = [
    ["shorter", announcing("9", streamOf("abc", "def")), /has 6 bytes, and its Content-Length is 9/],
    ["longer", announcing("4", streamOf("abc", "def")), /longer than its Content-Length, 4/],
    ["longer at once", announcing("2", streamOf("abc", "def")), /longer than its Content-Length, 2/],
    ["there, and none was announced", announcing("0", streamOf("abc")), /longer than its Content-Length, 0/],
    ["missing", announcing("9", () => null), /has 0 bytes, and its Content-Length is 9/],
    ["a text that is shorter", announcing("9", () => "abc"), /has 3 bytes, and its Content-Length is 9/],
  ];
  for (const [what, fetch, says] of misfits) {
    it(`tells onError, and the visitor gets no whole answer, when the answer's body is ${what}`, async () => {
      await start(fetch);
      const client = await send(tunnel, `GET /a?b HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\n\r\n`);
      await client.ended.catch(() => {});
      // 502 where the fault was seen before the head had left.
      assert.ok(!client.sawEnd || /^HTTP\/1\.1 502 /.test(await client.readUntil("\r\n")));
      client.socket.reset();
      await eventually(() => told.length > 0);
      assert.equal(told.length, 1);
      assert.ok(told[0]![0] instanceof TypeError);
      assert.match(String(told[0]![0]), says);
      assert.match(told[0]![1]!.url, /\/a\?b$/);
    });
  }

  it("tells onError when a Content-Length is no number, and the visitor 502", async () => {
    await start(announcing("some", streamOf("abc")));
    assert.match(await get(tunnel), /^HTTP\/1\.1 502 /);
    assert.match(String(told[0]![0]), /Content-Length.*"some"/);
  });

  it("takes a Content-Length that fits, and those of answers that have no body", async () => {
    const answers: Record<string, () => Response> = {
      "/fits": announcing("6", streamOf("abc", "def")),
      "/304": announcing("9", () => null, 304),
      "/204": () => new Response(null, { status: 204 }),
    };
    await start(({ url }) => answers[new URL(url).pathname]!());
    assert.match(await get(tunnel, "/fits"), /\r\n\r\nabcdef$/);
    assert.match(await get(tunnel, "/304"), /^HTTP\/1\.1 304 /);
    assert.match(await get(tunnel, "/204"), /^HTTP\/1\.1 204 /);
    const head = await send(tunnel, `HEAD /fits HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\n\r\n`);
    assert.match(latin1(await head.readAll()), /^HTTP\/1\.1 200 [^]*Content-Length: 6\r\n[^]*\r\n\r\n$/i);
    head.socket.end();
    assert.deepEqual(told, []);
  });

  it("asks the edge to wait for answers as long as firstByteMs says, and tells onError once where it gets less", async () => {
    await start(() => new Response("ok"), { firstByteMs: 90_000 });
    assert.equal(edge.tunnels.get("shop")!.timeouts?.firstByteMs, 90_000);
    assert.deepEqual(told, []);
    exposed!.close();
    await exposed!.closed;
    await edge.close();
    edge = await startTestEdge({ version, maxFirstByteMs: 5_000 });
    let readies = 0;
    await start(() => new Response("ok"), { firstByteMs: Infinity, onReady: () => void readies++ });
    edge.tunnels.get("shop")!.session!.close("cut");
    await eventually(() => readies === 2);
    assert.equal(told.length, 1);
    assert.match(String(told[0]![0]), /firstByteMs.*5s/);
    assert.equal(told[0]![1], undefined);
  });

  it("serves a name together with others that share it, and with no other one", async () => {
    const sharing = (text: string) => expose(options(() => new Response(text), { share: true }));
    const both = [await sharing("<one>"), await sharing("<two>")];
    const answers = [await get(tunnel), await get(tunnel)].map((answer) => /<(\w+)>/.exec(answer)?.[1]);
    assert.deepEqual(answers.sort(), ["one", "two"]);
    await assert.rejects(expose(options(() => new Response("<three>"))), { code: "name_taken" });
    for (const each of both) each.close();
  });

  it("tells the edge which program it is, so that one that was killed is replaced at once", async () => {
    exposed = await start(() => new Response("ok"), { instance: "web-1.blue_2" });
    const [holder] = edge.tunnels.get("shop")!.holders;
    assert.equal(holder.claimant.instance, "web-1.blue_2");
  });

  it("waits for its edge for ever when connectTimeoutMs is Infinity, and for longer than a timer takes", async () => {
    const { port } = edge.address;
    await edge.close();
    const clock = new FakeClock();
    const opening = expose(options(() => new Response("ok"), {
      edge: `http://127.0.0.1:${port}`,
      connectTimeoutMs: Infinity,
      clock,
    }));
    const refused = assert.rejects(
      expose(options(() => new Response("ok"), {
        edge: `http://127.0.0.1:${port}`,
        name: "long",
        connectTimeoutMs: 2 ** 31,
        clock,
      })),
      { code: "edge_unreachable" },
    );
    await eventually(() => clock.pending === 3);
    clock.advance(2 ** 31 - 1);
    clock.advance(1);
    await refused;
    edge = await startTestEdge({ version, listen: { kind: "tcp", host: "127.0.0.1", port } });
    void opening.then((opened) => exposed = opened);
    await eventually(() => {
      // Little, so that a dial that is under way does not run into its timeout.
      clock.advance(100);
      return exposed !== null;
    });
  });

  const leaving: readonly [what: string, fetch: (request: Request) => Promise<Response> | Response][] = [
    ["rejects with the signal's reason", ({ signal }) => {
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    }],
    ["rejects with an AbortError", ({ signal }) => {
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new DOMException("The operation was aborted", "AbortError")));
      });
    }],
    ["reads the request's body", async (request) => new Response(await request.text())],
    ["streams the request's body back", (request) => new Response(request.body)],
    ["fails its answer's body", ({ signal }) => {
      const start = (controller: ReadableStreamDefaultController) => {
        controller.enqueue(encoder.encode("begun"));
        signal.addEventListener("abort", () => controller.error(signal.reason));
      };
      return new Response(new ReadableStream({ start }));
    }],
  ];
  for (const [what, fetch] of leaving) {
    it(`tells onError nothing when the visitor leaves and the function ${what}`, async () => {
      let aborted = 0;
      await start((request) => {
        if (request.method === "GET") return new Response("ok");
        request.signal.addEventListener("abort", () => aborted++);
        return fetch(request);
      });
      const client = await send(tunnel, `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 9\r\n\r\nhalf`);
      await eventually(() => edge.tunnels.get("shop")!.session!.active === 1);
      client.socket.reset();
      await eventually(() => aborted === 1 && edge.tunnels.get("shop")!.session!.active === 0);
      assert.match(await get(tunnel), /ok$/);
      assert.deepEqual(told, []);
    });
  }

  it("tells onError of an error that has nothing to do with the visitor's leaving", async () => {
    await start(({ signal }) =>
      new Promise((_, reject) => signal.addEventListener("abort", () => reject(new TypeError("a mistake"))))
    );
    const client = await send(tunnel, getRequest(tunnel));
    await eventually(() => edge.tunnels.get("shop")!.session!.active === 1);
    client.socket.reset();
    await eventually(() => told.length === 1);
    assert.match(String(told[0]![0]), /a mistake/);
  });

  it("goes on when each of its callbacks throws, and tells onError or the console", async () => {
    const { error: print } = console;
    const printed: unknown[] = [];
    console.error = (...words: unknown[]) => void printed.push(words.map(String).join(" "));
    const callbacks: string[] = [];
    const failing = (name: string) => () => {
      callbacks.push(name);
      throw new Error(`from ${name}`);
    };
    try {
      await start(() => new Response("ok"), {
        onReady: failing("onReady"),
        onDisconnected: failing("onDisconnected"),
        onError: failing("onError"),
      });
      edge.tunnels.get("shop")!.session!.close("cut");
      await eventually(() => callbacks.filter((name) => name === "onReady").length === 2);
      assert.match(await get(tunnel), /ok$/);
    } finally {
      console.error = print;
    }
    for (const name of ["onReady", "onDisconnected", "onError"]) {
      assert.ok(printed.some((text) => String(text).includes(`from ${name}`)), name);
    }
  });
});
