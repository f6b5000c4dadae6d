/** `expose` within one process: what its options must be, and where errors go. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { expose, type Exposed, type ExposeOptions } from "../../src/agent/expose.ts";
import { version } from "../../src/config/version.ts";
import type { Edge } from "../../src/edge/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { eventually, SocketReader } from "../support/net.ts";
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
    [{ connectTimeoutMs: Infinity }, "invalid_option", /connectTimeoutMs/],
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
    ["gives text", "text", /is a string, and no Uint8Array/],
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
