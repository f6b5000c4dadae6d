import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { ExchangeError } from "../../src/http/problems.ts";
import { LiveTypes } from "../../src/http/media_type.ts";
import { defaultExchangeTimeouts, TimeoutGuard } from "../../src/http/timeouts.ts";
import type { Answer, Body, Handler } from "../../src/http/message.ts";
import { BodyReader, bodyText, FedBody, never, requestHead } from "../support/client_requests.ts";
import { FakeClock } from "../support/clock.ts";
import { bytesOf, eventually } from "../support/net.ts";

const lengths = { firstByteMs: 1_000, idleMs: 5_000, streamIdleMs: 50_000 };
const withLength = ["Content-Length", "1000"];

/** A handler that never answers, and rejects when it is told to stop. */
const silent: Handler = (_head, _body, signal) => {
  return new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason));
  });
};

/** A handler whose answer's body fails when it is told to stop, as a real one's does. */
function streaming(fed: FedBody, fields: string[] = withLength, status = 200): Handler {
  return (_head, _body, signal) => {
    signal.addEventListener("abort", () => fed.fail(signal.reason));
    return Promise.resolve({ status, fields, body: fed.stream });
  };
}

function isTimeout(error: unknown): boolean {
  assert.ok(error instanceof ExchangeError, String(error));
  assert.equal(error.code, "upstream_timeout");
  return true;
}

describe("TimeoutGuard", () => {
  let clock: FakeClock;
  let guard: TimeoutGuard;
  beforeEach(() => {
    clock = new FakeClock();
    guard = new TimeoutGuard(clock, lengths, new LiveTypes(["Application/X-Prices"]));
  });
  const ask = (handler: Handler, body: Body = null, signal: AbortSignal = never): Promise<Answer> => {
    return guard.call(handler, requestHead(), body, signal);
  };
  /** Asks `handler`, and reads the upload in its place. */
  const askReading = (handler: Handler, upload: FedBody) => {
    let reader!: BodyReader;
    const answer = ask((head, body, signal) => {
      reader = new BodyReader({ status: 200, fields: [], body });
      return handler(head, null, signal);
    }, upload.stream);
    return { answer, reader };
  };

  it("waits 60 s for the head, 300 s for a byte and an hour without a length when it is not told otherwise", () => {
    const defaults = { firstByteMs: 60_000, idleMs: 300_000, streamIdleMs: 3_600_000 };
    assert.deepEqual(defaultExchangeTimeouts, defaults);
    assert.deepEqual(new TimeoutGuard(clock).timeouts, defaults);
    assert.deepEqual(new TimeoutGuard(clock, { firstByteMs: 1 }).timeouts, { ...defaults, firstByteMs: 1 });
  });

  it("waits for the head as long as an exchange has of its own", async () => {
    const answer = guard.call(silent, requestHead(), null, never, { ...lengths, firstByteMs: 10_000 });
    clock.advance(9_999);
    assert.equal(await Promise.race([answer, "waits"]), "waits");
    clock.advance(1);
    await assert.rejects(answer, /^ExchangeError: No answer within 10000 ms$/);
  });

  it("waits for ever where a timeout is Infinity, and past 2^31 ms", async () => {
    const forever = { firstByteMs: Infinity, idleMs: Infinity, streamIdleMs: Infinity };
    const answer = guard.call(silent, requestHead(), null, never, forever);
    assert.equal(clock.pending, 0);
    clock.advance(1e12);
    assert.equal(await Promise.race([answer, "waits"]), "waits");
    const long = guard.call(silent, requestHead(), null, never, { ...lengths, firstByteMs: 2 ** 33 });
    clock.advance(2 ** 33 - 1);
    assert.equal(await Promise.race([long, "waits"]), "waits");
    clock.advance(1);
    await assert.rejects(long, isTimeout);
    for (const fields of [[], withLength]) {
      const fed = new FedBody();
      const reader = new BodyReader(
        await guard.call(streaming(fed, fields), requestHead(), null, never, forever),
      );
      clock.advance(1e12);
      fed.push("late");
      assert.equal(await reader.next(), "late");
      await reader.cancel();
    }
  });

  it("breaks an answer without a Content-Length off after its own idle time, and one with 0 or any length not", async () => {
    for (const [fields, idleMs] of [[[], 50_000], [withLength, 5_000]] as const) {
      const reader = new BodyReader(await ask(streaming(new FedBody(), [...fields])));
      const read = reader.next();
      clock.advance(idleMs - 1);
      assert.equal(await Promise.race([read, "waits"]), "waits");
      clock.advance(1);
      await assert.rejects(read, new RegExp(`^ExchangeError: Nothing moved for ${idleMs} ms$`));
    }
  });

  it("rejects with upstream_timeout when no head comes", async () => {
    const answer = ask(silent);
    clock.advance(1_000);
    await assert.rejects(answer, isTimeout);
    assert.equal(clock.pending, 0);
  });

  it("rejects, and cancels the request's body, when the handler throws or its answer's body is being read", async () => {
    const locked = new FedBody().stream;
    locked.getReader();
    const throwing: Handler = () => {
      throw new Error("at once");
    };
    for (const handler of [throwing, () => Promise.resolve({ status: 200, fields: [], body: locked })]) {
      let canceled = false;
      const upload = new ReadableStream<Uint8Array>({ cancel: () => void (canceled = true) }, { highWaterMark: 0 });
      await assert.rejects(ask(handler, upload), (error) => !(error instanceof ExchangeError));
      assert.ok(canceled);
    }
    clock.advance(1_000);
    assert.equal(clock.pending, 0);
  });

  it("waits on while an upload moves", async () => {
    const upload = new FedBody();
    const { reader, answer } = askReading(silent, upload);
    for (let round = 0; round < 5; round++) {
      clock.advance(900);
      upload.push("x");
      await reader.next();
    }
    clock.advance(999);
    assert.equal(await Promise.race([answer, "waits"]), "waits");
    clock.advance(1);
    await assert.rejects(answer, isTimeout);
  });

  it("does not count while a chunk of an upload is waited for, and counts anew from the chunk and from the end", async () => {
    const upload = new FedBody();
    const { reader, answer } = askReading(silent, upload);
    for (const [index, text] of ["a", "b"].entries()) {
      clock.advance(999);
      const read = reader.next();
      await eventually(() => upload.pulls === index + 1);
      clock.advance(1_000_000);
      assert.equal(await Promise.race([answer, "waits"]), "waits");
      upload.push(text);
      assert.equal(await read, text);
    }
    const read = reader.next();
    await eventually(() => upload.pulls === 3);
    clock.advance(1_000_000);
    upload.end();
    await read;
    clock.advance(999);
    assert.equal(await Promise.race([answer, "waits"]), "waits");
    clock.advance(1);
    await assert.rejects(answer, isTimeout);
    assert.equal(clock.pending, 0);
  });

  it("counts from where the handler cancels an upload that it waited for", async () => {
    const upload = new FedBody();
    const answer = ask((head, body, signal) => {
      const reader = (body as ReadableStream<Uint8Array>).getReader();
      void reader.read();
      void reader.cancel();
      return silent(head, null, signal);
    }, upload.stream);
    await eventually(() => upload.canceled !== undefined);
    clock.advance(1_000);
    await assert.rejects(answer, isTimeout);
  });

  it("starts nothing behind the head, or behind a failure, when the request's body goes on", async () => {
    const live = ["Content-Type", "text/event-stream"];
    const failing: Handler = () => Promise.reject(new Error("failed"));
    for (const handler of [streaming(new FedBody(), live), failing]) {
      const upload = new FedBody();
      const { reader, answer } = askReading(handler, upload);
      await answer.catch(() => {});
      const read = reader.next();
      upload.push("x");
      upload.end();
      await read;
      await reader.next();
      clock.advance(1_000);
      assert.equal(clock.pending, 0);
    }
  });

  it("counts while an upgrade waits for its 101, and not while its content is waited for", async () => {
    const head = { ...requestHead(), upgrade: "a/1" };
    for (const length of [null, "2"]) {
      const upload = new FedBody();
      let reader!: BodyReader;
      const asked = length === null ? head : { ...head, fields: ["Content-Length", length] };
      const answer = guard.call(
        (head, body, signal) => {
          reader = new BodyReader({ status: 200, fields: [], body });
          return silent(head, null, signal);
        },
        asked,
        upload.stream,
        never,
      );
      if (length !== null) {
        const read = reader.next();
        await eventually(() => upload.pulls === 1);
        clock.advance(1_000_000);
        upload.push("ab");
        await read;
      }
      const pulls = upload.pulls;
      reader.next().catch(() => {});
      await eventually(() => upload.pulls === pulls + 1);
      clock.advance(999);
      assert.equal(await Promise.race([answer, "waits"]), "waits");
      clock.advance(1);
      await assert.rejects(answer, isTimeout);
    }
  });

  it("breaks an answer off when nothing moves for its idle time, counting both directions", async () => {
    const fed = new FedBody();
    const upload = new FedBody();
    const { reader: uploaded, answer: answered } = askReading(streaming(fed), upload);
    const answer = await answered;
    const reader = new BodyReader(answer);
    clock.advance(4_999);
    fed.push("a");
    assert.equal(await reader.next(), "a");
    clock.advance(4_999);
    upload.push("b");
    await uploaded.next();
    clock.advance(4_999);
    const read = reader.next();
    clock.advance(1);
    await assert.rejects(read, isTimeout);
    assert.equal(clock.pending, 0);
  });

  const exempt: [string, number, string[]][] = [
    ["SSE", 200, ["content-type", "text/event-stream; charset=utf-8"]],
    ["NDJSON", 200, ["Content-Type", "application/x-ndjson"]],
    ["grpc-web with a length", 200, ["Content-Type", "application/grpc-web+proto", ...withLength]],
    ["a type of the user's", 200, ["Content-Type", "application/x-prices; v=1", ...withLength]],
    ["an upgrade", 101, []],
  ];
  for (const [what, status, fields] of exempt) {
    it(`lets ${what} be silent for ever, and still passes the client's leaving on`, async () => {
      const client = new AbortController();
      const fed = new FedBody();
      const reader = new BodyReader(await ask(streaming(fed, fields, status), null, client.signal));
      clock.advance(10_000_000);
      fed.push("late");
      assert.equal(await reader.next(), "late");
      client.abort(new Error("left"));
      await assert.rejects(reader.next(), /left/);
      assert.equal(clock.pending, 0);
    });
  }

  it("leaves no timer behind a whole answer, an ended one, a canceled one and a failure", async () => {
    assert.equal(await bodyText((await ask(() => Promise.resolve({ status: 200, fields: [], body: null }))).body), "");
    const bytes = () => Promise.resolve({ status: 200, fields: [], body: bytesOf("a") });
    assert.equal(await bodyText((await ask(bytes)).body), "a");
    assert.equal(await bodyText((await ask(streaming(new FedBody((fed) => fed.end())))).body), "");
    await new BodyReader(await ask(streaming(new FedBody()))).cancel();
    await assert.rejects(ask(() => Promise.reject(new Error("failed"))), /failed/);
    // The shared timer may still fire once.
    clock.advance(5_000);
    assert.equal(clock.pending, 0);
  });

  it("passes the client's leaving on with its reason", async () => {
    const client = new AbortController();
    const answer = ask(silent, null, client.signal);
    client.abort(new Error("left"));
    await assert.rejects(answer, /left/);
    await assert.rejects(ask(silent, null, AbortSignal.abort(new Error("gone before"))), /gone before/);
  });

  it("cancels a body that a refusing handler left unread", async () => {
    const upload = new FedBody();
    await assert.rejects(ask(() => Promise.reject(new Error("refused")), upload.stream), /refused/);
    assert.match(String(upload.canceled), /refused/);
  });
});
