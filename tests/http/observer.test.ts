import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { observeExchanges, type RequestReport } from "../../src/http/observer.ts";
import { OpenExchanges } from "../../src/http/open_exchanges.ts";
import { ExchangeError } from "../../src/http/problems.ts";
import { UpstreamError } from "../../src/http/upstream_error.ts";
import type { Body, Handler } from "../../src/http/message.ts";
import { BodyReader, bodyText, FedBody, never, requestHead } from "../support/client_requests.ts";
import { FakeClock } from "../support/clock.ts";
import { bytesOf } from "../support/net.ts";

function observe(upstream: Handler) {
  const clock = new FakeClock();
  const reports: RequestReport[] = [];
  const handler = observeExchanges(upstream, (report) => void reports.push(report), clock);
  const head = requestHead({ id: "7", method: "POST", target: "/a?token=secret" });
  return { clock, reports, ask: (body: Body = null, signal = never) => handler(head, body, signal) };
}

const about = { id: "7", method: "POST", path: "/a" };

describe("observeExchanges", () => {
  it("tells of an exchange when its answer has ended, without the query", async () => {
    const fed = new FedBody();
    const { clock, reports, ask } = observe(async (_head, body) => {
      await bodyText(body);
      clock.advance(20);
      return { status: 201, fields: [], body: fed.stream };
    });
    const reader = new BodyReader(await ask(bytesOf("in")));
    fed.push("out");
    await reader.next();
    assert.deepEqual(reports, []);
    clock.advance(30);
    fed.end();
    await reader.next();
    const numbers = { status: 201, bytesIn: 2, bytesOut: 3, firstByteMs: 20, durationMs: 50 };
    assert.deepEqual(reports, [{ ...about, ...numbers }]);
  });

  it("lists an exchange from its beginning to its end, however it ends", async () => {
    const open = new OpenExchanges();
    let firsts = 0;
    open.onFirst = () => firsts++;
    const clock = new FakeClock();
    const fed = new FedBody();
    const upstreams: Handler[] = [
      () => Promise.resolve({ status: 200, fields: [], body: fed.stream }),
      () => Promise.reject(new UpstreamError("upstream_refused", "nobody there")),
      () => {
        throw new Error("at once");
      },
      () => Promise.resolve({ status: 204, fields: [], body: null }),
    ];
    const asked = upstreams.map((upstream) => {
      return observeExchanges(upstream, () => {}, clock, open)(requestHead({ target: "/a?b" }), bytesOf("in"), never);
    });
    assert.deepEqual([...open].map(({ figures }) => figures.path), ["/a", "/a", "/a", "/a"]);
    await Promise.allSettled(asked);
    const [streamed, ...others] = open;
    assert.deepEqual([others.length, firsts, streamed?.figures.status, streamed?.bytes], [0, 1, 200, 2]);
    open.sample(7);
    assert.deepEqual([streamed?.isMoving, streamed?.movedAt], [true, 7]);
    open.sample(8);
    assert.deepEqual([streamed?.isMoving, streamed?.movedAt], [false, 7]);
    await new BodyReader(await asked[0]!).cancel();
    assert.equal(open.size, 0);
  });

  it("tells of an answer without a body, or with a whole one, at once", async () => {
    for (const [body, bytesOut] of [[null, 0], [bytesOf("abc"), 3]] as const) {
      const { reports, ask } = observe(() => Promise.resolve({ status: 200, fields: [], body }));
      await ask();
      assert.deepEqual(reports.map((report) => report.bytesOut), [bytesOut]);
    }
  });

  it("tells the problem's status and code when there was no answer", async () => {
    const { reports, ask } = observe(() => Promise.reject(new UpstreamError("upstream_refused", "nobody there")));
    await assert.rejects(ask());
    const numbers = { status: 502, bytesIn: 0, bytesOut: 0, firstByteMs: null, durationMs: 0 };
    assert.deepEqual(reports, [{ ...about, ...numbers, code: "upstream_refused", reason: "nobody there" }]);
  });

  it("tells once of an upstream that throws, and of an answer whose body is being read", async () => {
    const locked = new FedBody().stream;
    locked.getReader();
    const throwing: Handler = () => {
      throw new Error("at once");
    };
    for (const upstream of [throwing, () => Promise.resolve({ status: 200, fields: [], body: locked })]) {
      const { reports, ask } = observe(upstream);
      await assert.rejects(ask());
      assert.deepEqual(reports.map((report) => report.code), ["internal"]);
    }
  });

  it("tells the answer's status and why it broke off", async () => {
    const fed = new FedBody();
    const { reports, ask } = observe(() => Promise.resolve({ status: 200, fields: [], body: fed.stream }));
    const reader = new BodyReader(await ask());
    fed.fail(new UpstreamError("upstream_closed", "cut"));
    await assert.rejects(reader.next());
    assert.deepEqual(reports.map(({ status, code }) => [status, code]), [[200, "upstream_closed"]]);
  });

  it("tells that the client left, before the answer and in it", async () => {
    const stop = new AbortController();
    const early = observe((_head, _body, signal) => {
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));
    });
    const answer = early.ask(null, stop.signal);
    stop.abort();
    await assert.rejects(answer);
    assert.deepEqual(early.reports.map(({ status, code }) => [status, code]), [[0, "canceled"]]);
    const late = observe(() => Promise.resolve({ status: 200, fields: [], body: new FedBody().stream }));
    await new BodyReader(await late.ask(null, stop.signal)).cancel();
    assert.deepEqual(late.reports.map(({ status, code }) => [status, code]), [[200, "canceled"]]);
  });

  it("tells why the edge gave up, with the status of that, and not that the client left", async () => {
    const waiting: Handler = (_head, _body, signal) => {
      return new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped"))));
    };
    const given: [reason: unknown, status: number, code: string, text: string][] = [
      [new ExchangeError("upstream_timeout", "No answer in time"), 504, "upstream_timeout", "No answer in time"],
      [new ExchangeError("overloaded", "Too much"), 503, "overloaded", "Too much"],
      [new UpstreamError("canceled", "The visitor left"), 0, "canceled", "The visitor left"],
      [new Error("left"), 0, "canceled", "left"],
    ];
    for (const [why, ...told] of given) {
      const stop = new AbortController();
      const { reports, ask } = observe(waiting);
      const answer = ask(null, stop.signal);
      stop.abort(why);
      await assert.rejects(answer);
      assert.deepEqual(reports.map(({ status, code, reason }) => [status, code, reason]), [told]);
    }
  });

  it("keeps the status of an answer that the edge broke off", async () => {
    const stop = new AbortController();
    const { reports, ask } = observe(() => Promise.resolve({ status: 200, fields: [], body: new FedBody().stream }));
    const reader = new BodyReader(await ask(null, stop.signal));
    const why = new ExchangeError("upstream_timeout", "Nothing moved");
    stop.abort(why);
    await reader.cancel(why);
    const told = [[200, "upstream_timeout", "Nothing moved"]];
    assert.deepEqual(reports.map(({ status, code, reason }) => [status, code, reason]), told);
  });

  it("shows a cause with its remedy, in visible ASCII, and no longer than 500 characters", async () => {
    const reasonOf = async (error: Error) => {
      const { reports, ask } = observe(() => Promise.reject(error));
      await assert.rejects(ask());
      return reports[0].reason;
    };
    const remedied = new UpstreamError("upstream_refused", "Nobody listens", undefined, "start the service");
    assert.equal(await reasonOf(remedied), "Nobody listens; start the service");
    assert.equal(
      await reasonOf(new UpstreamError("upstream_invalid", "a\x1b[31m\x9b\r\n\u202e…b")),
      "a\\u001b[31m\\u009b\\u000d\\u000a\\u202e...b",
    );
    const long = await reasonOf(new UpstreamError("upstream_invalid", "x".repeat(10_000)));
    assert.equal(long?.length, 500);
    assert.match(long!, /^x+\.\.\.$/);
  });

  it("tells that a client was closed as a cancellation, and a mistake of our own as internal", async () => {
    for (
      const [error, code] of [[new UpstreamError("canceled", "closed"), "canceled"], [new TypeError("x"), "internal"]]
    ) {
      const { reports, ask } = observe(() => Promise.reject(error));
      await assert.rejects(ask());
      assert.equal(reports[0].code, code);
    }
  });
});
