/** What a stream does for its owner, on a linked pair. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode } from "../../src/httpstream/wire/mod.ts";
import { type Fields, type Stream, StreamError } from "../../src/httpstream/mod.ts";
import { bytes, connectedPair, echo, GET, OK, type Pair, type PairOptions, readAll, text } from "./pair.ts";

/** Runs a test on a pair whose agent's streams are collected, and checks that nothing is left at its end. */
async function withPair(
  run: (pair: Pair, accepted: () => Promise<Stream>) => Promise<void>,
  options: PairOptions = {},
): Promise<void> {
  const waiting: Stream[] = [];
  let wake: (() => void) | null = null;
  const pair = connectedPair({
    onAgentStream: (stream) => {
      waiting.push(stream);
      wake?.();
    },
    ...options,
  });
  const accepted = async () => {
    while (waiting.length === 0) await new Promise<void>((resolve) => wake = resolve);
    return waiting.shift()!;
  };
  await run(pair, accepted);
  await pair.end();
  assert.equal(pair.edge.streams + pair.agent.streams, 0);
  assert.equal(pair.edge.bufferedBytes + pair.agent.bufferedBytes, 0);
}

describe("Stream", () => {
  it("Stream carries head, bytes and trailers in order when it is answered", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET);
      const answering = await accepted();
      assert.deepEqual(answering.headers, GET);
      assert.equal(answering.id, asking.id);
      asking.send(bytes("question"), false);
      asking.sendTrailers(["x-sum", "1"]);
      assert.equal(text(await readAll(answering.readable)), "question");
      assert.deepEqual(await answering.trailers, ["x-sum", "1"]);
      answering.respond(OK, { body: bytes("answer") });
      answering.sendTrailers(["x-sum", "2"]);
      assert.deepEqual(await asking.response, OK);
      assert.equal(text(await readAll(asking.readable)), "answer");
      assert.deepEqual(asking.trailerFields, ["x-sum", "2"]);
      assert.deepEqual([await asking.closed, await answering.closed], [null, null]);
    }));

  it("Stream tells interim heads in order, before the head", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET, { endStream: true });
      const told: Fields[] = [];
      asking.handlers = { onInform: (fields) => told.push(fields), onResponse: (fields) => told.push(fields) };
      const answering = await accepted();
      answering.inform([":status", "100"]);
      answering.inform([":status", "103", "link", "</a>"]);
      answering.respond(OK, { endStream: true });
      await asking.closed;
      assert.deepEqual(told, [[":status", "100"], [":status", "103", "link", "</a>"], OK]);
    }));

  it("Stream keeps one direction open when the other one has ended", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET);
      const answering = await accepted();
      // The answer ends before the question does.
      answering.respond(OK, { body: bytes("early"), endStream: true });
      assert.equal(text(await readAll(asking.readable)), "early");
      asking.send(bytes("still "), false);
      asking.send(bytes("asking"), true);
      assert.equal(text(await readAll(answering.readable)), "still asking");
      assert.deepEqual([await asking.closed, await answering.closed], [null, null]);
    }));

  it("Stream stops the peer's sending alone when it is asked to", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET);
      const answering = await accepted();
      const stops: number[] = [];
      asking.handlers = { onStop: (code) => void stops.push(code) };
      while (asking.send(new Uint8Array(10_000), false));
      answering.respond([":status", "413"], { body: bytes("too much") });
      answering.stopSending(ErrorCode.NO_ERROR);
      answering.send(bytes("!"), true);
      assert.equal(text(await readAll(asking.readable)), "too much!");
      assert.deepEqual([await asking.closed, await answering.closed], [null, null]);
      assert.deepEqual(stops, [ErrorCode.NO_ERROR]);
      assert.equal(asking.send(bytes("late"), false), true, "what is sent afterwards is ignored");
    }));

  it("Stream breaks both directions when it is reset, and drops what waits", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET);
      const answering = await accepted();
      answering.respond(OK, { body: new Uint8Array(100_000) });
      await asking.response;
      const reading = asking.readable.getReader();
      await reading.read();
      const { signal } = answering;
      asking.reset(ErrorCode.CLIENT_GONE);
      const broken = await answering.closed;
      assert.deepEqual(
        [broken?.code, broken?.errorCode, broken?.initiator],
        ["stream_reset", ErrorCode.CLIENT_GONE, "remote"],
      );
      assert.equal(signal.reason, broken);
      assert.equal(asking.error?.initiator, "user");
      await assert.rejects(reading.read(), asking.error!);
      await assert.rejects(answering.readable.getReader().read(), broken!);
      assert.equal(asking.bufferedBytes + answering.bufferedBytes, 0);
    }));

  it("Stream breaks one direction alone when its writer aborts", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET);
      const answering = await accepted();
      const writer = asking.writable.getWriter();
      await writer.write(bytes("half of i"));
      await writer.abort();
      await assert.rejects(readAll(answering.readable), StreamError);
      assert.equal(answering.readError?.errorCode, ErrorCode.CANCEL);
      assert.equal(answering.readEnded, false);
      assert.equal(answering.error, null);
      answering.respond([":status", "400"], { endStream: true });
      assert.deepEqual(await asking.response, [":status", "400"]);
      assert.equal(await asking.closed, null);
    }));

  it("Stream rejects its response when the peer resets it first", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET);
      const rejected = assert.rejects(asking.response, { code: "stream_reset", errorCode: ErrorCode.UPSTREAM_REFUSED });
      const trailers = assert.rejects(asking.trailers, StreamError);
      (await accepted()).reset(ErrorCode.UPSTREAM_REFUSED);
      await Promise.all([rejected, trailers]);
      assert.equal(asking.signal.aborted, true);
    }));

  it("Stream is never seen by the peer when it is reset in the tick in which it was opened", () =>
    withPair(async (pair, accepted) => {
      const before = pair.edge.createStream(GET, { body: bytes("x") });
      before.reset();
      const after = pair.edge.createStream(GET, { endStream: true });
      const first = await accepted();
      assert.equal(first.id, after.id);
      first.respond(OK, { endStream: true });
      await after.response;
      assert.equal((await before.closed)?.code, "stream_reset");
    }));

  it("Stream is refused when the handler throws, and may be tried again", () =>
    withPair(async (pair) => {
      const refused = pair.edge.createStream(GET);
      await assert.rejects(refused.response, { code: "refused", retryable: true, initiator: "remote" });
    }, {
      onAgentStream: () => {
        throw new Error("not now");
      },
    }));

  it("Stream alone is lost when its owner throws in a handler", async () => {
    const errors: unknown[] = [];
    await withPair(async (pair, accepted) => {
      const failing = pair.edge.createStream(GET);
      const fine = pair.edge.createStream(GET, { endStream: true });
      failing.handlers = {
        onResponse: () => {
          throw new Error("a bug");
        },
      };
      const first = await accepted();
      first.respond(OK);
      (await accepted()).respond(OK, { endStream: true });
      assert.deepEqual(await fine.response, OK);
      assert.equal((await first.closed)?.errorCode, ErrorCode.INTERNAL_ERROR);
      assert.deepEqual(errors.map((error) => (error as Error).message), ["a bug"]);
    }, { edge: { onHandlerError: (error) => void errors.push(error) } });
  });

  it("Stream says when the reply has left", () => {
    const left: number[] = [];
    return withPair(async (pair) => {
      const stream = pair.edge.createStream(GET, { endStream: true });
      await stream.response;
      assert.deepEqual(left, [stream.id]);
    }, {
      onAgentStream: (stream, replySent) => {
        replySent.then(() => left.push(stream.id));
        assert.deepEqual(left, []);
        stream.respond(OK, { endStream: true });
      },
    });
  });

  it("Stream refuses calls that its state does not allow", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET);
      const answering = await accepted();
      const invalid = { code: "invalid_state", initiator: "user" };
      assert.throws(() => asking.respond(OK), invalid);
      assert.throws(() => asking.inform([":status", "103"]), invalid);
      assert.throws(() => answering.response, invalid);
      assert.throws(() => answering.send(bytes("x"), false), invalid);
      assert.throws(() => answering.consume(1), invalid);
      answering.respond(OK);
      assert.throws(() => answering.respond(OK), invalid);
      assert.throws(() => answering.inform([":status", "103"]), invalid);
      answering.send(new Uint8Array(0), true);
      assert.throws(() => answering.send(bytes("x"), false), invalid);
      assert.throws(() => answering.sendTrailers([]), invalid);
      asking.send(bytes("x"), true);
      assert.equal(text((await readAll(answering.readable)).subarray()), "x");
      await asking.closed;
    }));

  it("Stream refuses headers that the wire cannot carry, and goes on", () =>
    withPair(async (pair, accepted) => {
      const invalid = { code: "invalid_headers", initiator: "user" };
      for (const fields of [["a b", "c"], ["a", "x\r\ny"], ["connection", "close"], ["a"]]) {
        assert.throws(() => pair.edge.createStream(fields), invalid);
      }
      const tooLarge = { code: "headers_too_large", initiator: "user" };
      assert.throws(() => pair.edge.createStream(["a", "x".repeat(140_000)]), tooLarge);
      const asking = pair.edge.createStream(GET, { endStream: true });
      const answering = await accepted();
      assert.throws(() => answering.respond([":status", "200", "a", "x".repeat(140_000)]), tooLarge);
      assert.throws(() => answering.respond([":status", "20"]), invalid);
      assert.throws(() => answering.inform([":status", "200"]), invalid);
      answering.respond(OK);
      assert.throws(() => answering.sendTrailers([":status", "200"]), invalid);
      answering.sendTrailers([]);
      assert.deepEqual(await asking.response, OK);
    }));

  it("Stream copies what is written, so that the writer may use its buffer again", () =>
    withPair(async (pair) => {
      const stream = pair.edge.createStream(GET);
      const writer = stream.writable.getWriter();
      const buffer = bytes("first");
      await writer.write(buffer);
      buffer.set(bytes("XXXXX"));
      await writer.close();
      assert.equal(text(await readAll(stream.readable)), "first");
    }, { onAgentStream: echo }));

  it("Stream hands out chunks that own their buffer", () =>
    withPair(async (pair, accepted) => {
      const stream = pair.edge.createStream(GET, { endStream: true });
      const answering = await accepted();
      answering.respond(OK, { body: bytes("a") });
      answering.send(new Uint8Array(20_000), true);
      for await (const chunk of stream.readable) assert.equal(chunk.byteLength, chunk.buffer.byteLength);
    }));

  it("Stream stops the peer's sending when its reader cancels, and goes on sending", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET);
      const answering = await accepted();
      const { signal } = answering;
      answering.respond(OK, { body: bytes("first") });
      const reader = asking.readable.getReader();
      assert.equal(text((await reader.read()).value!), "first");
      await reader.cancel();
      await until(() => signal.aborted);
      assert.equal(answering.sendEnded, true);
      asking.send(bytes("still here"), true);
      assert.equal(text(await readAll(answering.readable)), "still here");
      assert.deepEqual([await asking.closed, await answering.closed], [null, null]);
    }));

  it("Stream answers reads in their order when several wait", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET, { endStream: true });
      const answering = await accepted();
      const reader = asking.readable.getReader();
      const reads = [reader.read(), reader.read(), reader.read()];
      answering.respond(OK, { body: bytes("one") });
      await until(() => pair.edge.bufferedBytes === 0 && answering.unsentBytes === 0);
      answering.send(bytes("two"), true);
      const results = await Promise.all(reads);
      assert.deepEqual(results.map(({ value, done }) => done ? null : text(value)), ["one", "two", null]);
    }));

  it("Stream tells its end and its failure to a reader that is made afterwards", () =>
    withPair(async (pair, accepted) => {
      const ended = pair.edge.createStream(GET, { endStream: true });
      (await accepted()).respond(OK, { endStream: true });
      assert.equal(await ended.closed, null);
      await ended.readable.getReader().closed;
      assert.deepEqual(await ended.trailers, []);
      const failed = pair.edge.createStream(GET);
      (await accepted()).reset();
      const error = await failed.closed;
      await assert.rejects(failed.readable.getReader().closed, error!);
      await assert.rejects(failed.writable.getWriter().closed, error!);
      assert.equal(failed.signal.reason, error);
    }));

  it("Stream holds little more than the bytes when a window of one-byte chunks waits to leave", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET);
      const answering = await accepted();
      const wanted = 20_000;
      // All in one tick, so that none of them leaves before the last one.
      for (let sent = 0; sent < wanted; sent++) asking.send(Uint8Array.of(sent & 0xff), sent === wanted - 1);
      assert.ok(asking.bufferedBytes > wanted, "what the chunks cost beside their bytes is counted");
      assert.ok(asking.bufferedBytes <= 2 * wanted, `${asking.bufferedBytes} bytes are held`);
      const came = await readAll(answering.readable);
      assert.equal(came.length, wanted);
      assert.ok(came.every((byte, at) => byte === (at & 0xff)));
      answering.respond(OK, { endStream: true });
      await asking.closed;
    }));

  it("Stream makes its writer wait when the reader does not read, with one chunk beyond the window", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET);
      const answering = await accepted();
      const writer = asking.writable.getWriter();
      let written = 0;
      let blocked = false;
      const writing = (async () => {
        while (!blocked) {
          await writer.write(new Uint8Array(65_536));
          written += 65_536;
        }
      })();
      // The window and its first growth.
      await until(() => asking.unsentBytes === 65_536 && answering.readableBytes === 3 * 65_536);
      assert.ok(written <= 4 * 65_536);
      assert.equal(asking.bufferedBytes, 65_536);
      assert.equal(answering.bufferedBytes, 3 * 65_536);
      assert.equal(pair.edge.bufferedBytes, 65_536);
      blocked = true;
      const { signal } = asking;
      answering.reset();
      await assert.rejects(writing, StreamError);
      assert.equal(signal.aborted, true);
    }));

  it("Stream takes a whole body at once when its end came with it, and gives nothing before", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET, { body: bytes("whole"), endStream: true });
      const answering = await accepted();
      assert.equal(text(answering.takeWhole()!), "whole");
      answering.respond(OK, { body: bytes("one ") });
      await asking.response;
      assert.equal(asking.takeWhole(), null);
      answering.send(bytes("two "), false);
      answering.send(bytes("three"), true);
      await until(() => asking.readableBytes === 13);
      assert.equal(text(asking.takeWhole()!), "one two three");
      assert.equal(await asking.closed, null);
    }));

  it("Stream stays until its bytes were consumed, when both directions have ended", () =>
    withPair(async (pair, accepted) => {
      const asking = pair.edge.createStream(GET, { endStream: true });
      (await accepted()).respond(OK, { body: new Uint8Array(50_000), endStream: true });
      await asking.response;
      await until(() => pair.agent.streams === 0);
      assert.equal(pair.edge.streams, 1);
      const chunk = asking.read()!;
      assert.equal(chunk.length, 50_000);
      assert.equal(asking.readEnded, true);
      assert.equal(pair.edge.bufferedBytes, 50_000, "taken is not consumed");
      asking.consume(20_000);
      assert.equal(pair.edge.bufferedBytes, 30_000);
      asking.consume(30_000);
      assert.equal(pair.edge.streams, 0);
      assert.equal(await asking.closed, null);
    }));
});

/** Waits for a condition, tick by tick. */
async function until(condition: () => boolean): Promise<void> {
  for (let tick = 0; !condition(); tick++) {
    assert.ok(tick < 10_000, "the condition never came");
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
}
