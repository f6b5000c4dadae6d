/** What `VisitorLimits` admits, at both sides of each limit. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Lease } from "../../src/base/mod.ts";
import {
  errorAnswer,
  ExchangeError,
  fieldValue,
  type Handler,
  type ProblemCode,
  type RequestHead,
  streamOf,
  type TimeoutGuard,
} from "../../src/http/mod.ts";
import { VisitorLimits, type VisitorLimitsInit } from "../../src/limits/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { never, requestHead } from "../support/client_requests.ts";
import { eventually } from "../support/net.ts";

class Stage {
  readonly clock = new FakeClock();
  readonly told: string[] = [];
  readonly limits: VisitorLimits;
  /** Of the requests that are under way, in order. */
  readonly leases: Lease[] = [];

  constructor(init: VisitorLimitsInit) {
    const onRefused = (client: string | null, reason: string) => void this.told.push(`${client}: ${reason}`);
    this.limits = VisitorLimits.of(init, { clock: this.clock, onRefused }) as VisitorLimits;
    assert.ok(this.limits !== null);
  }

  /** Asks; the request goes on until its lease is released. */
  ask(client: string, tunnel = "shop", more: Partial<RequestHead> = {}): void {
    const releaseAtEnd = (lease: Lease) => void this.leases.push(lease);
    const meter = { traffic: null, countFor() {}, servedBy() {}, releaseAtEnd };
    this.limits.admit(requestHead({ client, meter, ...more }), tunnel);
  }

  /** How many of `tries` requests are admitted. */
  admitted(tries: number, client: string, tunnel = "shop"): number {
    let count = 0;
    for (let index = 0; index < tries; index++) {
      try {
        this.ask(client, tunnel);
        count++;
      } catch (error) {
        assert.ok(error instanceof ExchangeError);
      }
    }
    return count;
  }

  refusal(code: ProblemCode, client: string, tunnel = "shop", more: Partial<RequestHead> = {}): ExchangeError {
    try {
      this.ask(client, tunnel, more);
    } catch (error) {
      assert.ok(error instanceof ExchangeError);
      assert.equal(error.code, code);
      return error;
    }
    return assert.fail("the request was admitted");
  }
}

const field = (error: ExchangeError, name: string) => fieldValue(errorAnswer(error).fields, name);

describe("VisitorLimits", () => {
  it("VisitorLimits are none when nothing is limited", () => {
    assert.equal(VisitorLimits.of(), null);
    assert.equal(VisitorLimits.of({ visitor: { concurrent: Infinity }, tunnel: { requests: null } }), null);
  });

  it("VisitorLimits admit a visitor's burst, then its rate, and tell others nothing of it", () => {
    const stage = new Stage({ visitor: { requests: { perSecond: 2, burst: 10 } } });
    assert.equal(stage.admitted(50, "192.0.2.1"), 10);
    assert.equal(stage.admitted(50, "192.0.2.2"), 10);
    stage.clock.advance(499);
    assert.equal(stage.admitted(1, "192.0.2.1"), 0);
    stage.clock.advance(1);
    assert.equal(stage.admitted(50, "192.0.2.1"), 1);
    stage.clock.advance(60_000);
    assert.equal(stage.admitted(50, "192.0.2.1"), 10);
    assert.equal(stage.told[0], "192.0.2.1: more than --visitor-rate lets a visitor have");
  });

  it("VisitorLimits say when to come back, in Retry-After and in the RateLimit fields", () => {
    const stage = new Stage({ visitor: { requests: { perSecond: 0.25, burst: 3 } } });
    assert.equal(stage.admitted(3, "192.0.2.1"), 3);
    stage.clock.advance(500);
    const error = stage.refusal("too_many_requests", "192.0.2.1");
    assert.equal(errorAnswer(error).status, 429);
    assert.equal(field(error, "retry-after"), "4");
    assert.equal(field(error, "ratelimit-policy"), '"visitor-rate";q=3;w=12');
    assert.equal(field(error, "ratelimit"), '"visitor-rate";r=0;t=4');
  });

  it("VisitorLimits take the addresses of an IPv6 network for one visitor, and not those of the next", () => {
    const stage = new Stage({ visitor: { requests: { perSecond: 1, burst: 2 } } });
    assert.equal(stage.admitted(2, "2001:db8::1"), 2);
    assert.equal(stage.admitted(2, "2001:db8::ffff:1"), 0);
    assert.equal(stage.admitted(2, "2001:db8:0:1::1"), 2);
  });

  it("VisitorLimits cannot tell visitors without an address apart, and limit their tunnel alone", () => {
    const stage = new Stage({
      visitor: { requests: { perSecond: 1, burst: 2 } },
      tunnel: { requests: { perSecond: 1, burst: 5 } },
    });
    assert.equal(stage.admitted(50, ""), 5);
  });

  it("VisitorLimits admit a tunnel's rate, whoever asks, and answer 503 past it", () => {
    const stage = new Stage({ tunnel: { requests: { perSecond: 1, burst: 3 } } });
    for (const client of ["192.0.2.1", "192.0.2.2", "192.0.2.3"]) stage.ask(client);
    const error = stage.refusal("tunnel_busy", "192.0.2.4");
    assert.equal(errorAnswer(error).status, 503);
    assert.equal(field(error, "retry-after"), "1");
    assert.equal(field(error, "ratelimit"), '"tunnel-rate";r=0;t=1');
    assert.equal(stage.admitted(5, "192.0.2.4", "blog"), 3);
    assert.equal(stage.told[0], "null: more than --tunnel-rate lets the tunnel shop have");
  });

  it("VisitorLimits take nothing of a tunnel's rate for what its visitor is refused", () => {
    const stage = new Stage({
      visitor: { requests: { perSecond: 1, burst: 2 } },
      tunnel: { requests: { perSecond: 1, burst: 5 } },
    });
    assert.equal(stage.admitted(100, "192.0.2.1"), 2);
    assert.equal(stage.admitted(100, "192.0.2.2"), 2);
    assert.equal(stage.admitted(100, "192.0.2.3"), 1);
  });

  for (const party of ["visitor", "tunnel"] as const) {
    const code = party === "visitor" ? "too_many_requests" : "tunnel_busy";

    it(`VisitorLimits admit a ${party}'s requests at once up to their number, and the next when one is over`, () => {
      const stage = new Stage({ [party]: { concurrent: 2 } });
      stage.ask("192.0.2.1");
      stage.ask("192.0.2.1");
      const error = stage.refusal(code, "192.0.2.1");
      assert.equal(field(error, "retry-after"), "1");
      assert.equal(field(error, "ratelimit-policy"), `"${party}-concurrency";q=2;qu="concurrent-requests"`);
      assert.equal(field(error, "ratelimit"), `"${party}-concurrency";r=0`);
      // A second release frees nothing more.
      stage.leases[0]?.release();
      stage.leases[0]?.release();
      stage.ask("192.0.2.1");
      stage.refusal(code, "192.0.2.1");
    });

    it(`VisitorLimits admit a ${party}'s WebSockets up to their number, and other requests beside them`, () => {
      const stage = new Stage({ [party]: { upgraded: 1 } });
      const webSocket = { upgrade: "websocket" };
      stage.ask("192.0.2.1", "shop", webSocket);
      const error = stage.refusal(code, "192.0.2.1", "shop", webSocket);
      assert.equal(field(error, "ratelimit-policy"), `"${party}-websockets";q=1;qu="concurrent-requests"`);
      assert.equal(stage.admitted(10, "192.0.2.1"), 10);
      stage.leases[0]?.release();
      stage.ask("192.0.2.1", "shop", webSocket);
    });
  }

  it("VisitorLimits count WebSockets among the requests at once, since anybody may ask for an upgrade", () => {
    const stage = new Stage({ visitor: { concurrent: 2 } });
    stage.ask("192.0.2.1", "shop", { upgrade: "a" });
    stage.ask("192.0.2.1", "shop", { upgrade: "b" });
    stage.refusal("too_many_requests", "192.0.2.1", "shop", { upgrade: "c" });
    stage.refusal("too_many_requests", "192.0.2.1");
  });

  it("VisitorLimits take no token where there is no place", () => {
    const stage = new Stage({ visitor: { concurrent: 1, requests: { perSecond: 1, burst: 2 } } });
    assert.equal(stage.admitted(100, "192.0.2.1"), 1);
    stage.leases[0]?.release();
    assert.equal(stage.admitted(1, "192.0.2.1"), 1);
  });

  it("VisitorLimits count requests that go to no tunnel for their visitor", () => {
    const stage = new Stage({ visitor: { requests: { perSecond: 1, burst: 2 } } });
    const head = requestHead({ client: "192.0.2.1" });
    stage.limits.admitAstray(head);
    stage.limits.admitAstray(head);
    assert.throws(() => stage.limits.admitAstray(head), { code: "too_many_requests" });
    assert.equal(stage.admitted(1, "192.0.2.1"), 0);
  });

  it("VisitorLimits refuse an announced body past its limit, and admit one at it", () => {
    const stage = new Stage({ bodyBytes: 1_000 });
    stage.ask("192.0.2.1", "shop", { fields: ["Content-Length", "1000"] });
    stage.refusal("body_too_large", "192.0.2.1", "shop", { fields: ["content-length", "1001"] });
  });

  it("VisitorLimits remember a bounded number of visitors, and all whose requests are under way", () => {
    const stage = new Stage({ visitor: { concurrent: 1, requests: { perSecond: 1, burst: 2 } }, maxKeys: 100 });
    stage.ask("192.0.2.1");
    for (let index = 0; index < 5_000; index++) {
      stage.ask(`2001:db8:${index.toString(16)}::1`);
      stage.leases.pop()?.release();
    }
    assert.ok(stage.limits.size <= 101, `${stage.limits.size} visitors`);
    stage.refusal("too_many_requests", "192.0.2.1");
  });

  it("VisitorLimits serve the visitors of a tunnel in turns, however many downloads one of them has", async () => {
    const rate = 64_000;
    const clock = new FakeClock();
    const limits = VisitorLimits.of({ tunnel: { bytesPerSecond: rate } }, { clock }) as VisitorLimits;
    const guard = { call: (handler: Handler, ...asked: Parameters<Handler>) => handler(...asked) };
    const download = async (client: string, bytes: number): Promise<ReadableStreamDefaultReader<Uint8Array>> => {
      const head = requestHead({ client });
      const upstream: Handler = () =>
        Promise.resolve({ status: 200, fields: [], body: streamOf(new Uint8Array(bytes)) });
      const admission = limits.admit(head, "shop");
      const guarded = guard as unknown as TimeoutGuard;
      const server = { isSuspended: false, suspendedMs: 0 };
      const answer = await admission.call(guarded, upstream, head, null, never, undefined, server);
      return (answer.body as ReadableStream<Uint8Array>).getReader();
    };
    /** Reads a body to its end. Resolves to how many milliseconds it took. */
    const read = async (reader: ReadableStreamDefaultReader<Uint8Array>): Promise<number> => {
      const startedAt = clock.now();
      while (!(await reader.read()).done);
      return clock.now() - startedAt;
    };
    const greedy = await Promise.all(Array.from({ length: 500 }, () => download("192.0.2.1", rate)));
    const over = Promise.allSettled(greedy.map(read));
    await eventually(() => clock.pending > 0);
    const others = ["192.0.2.2", "192.0.2.3"].map(async (client) => await read(await download(client, 12_000)));
    const tookMs: number[] = [];
    void Promise.all(others).then((all) => tookMs.push(...all));
    while (tookMs.length === 0 && clock.now() < 60_000) {
      clock.advance(25);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Each has two pieces, and each of these waits for one of both others: 125 ms.
    assert.ok(tookMs.length === 2 && Math.max(...tookMs) <= 1_000, `${tookMs} ms`);
    await Promise.all(greedy.map((reader) => reader.cancel()));
    await over;
    assert.equal(clock.pending, 0);
  });
});
