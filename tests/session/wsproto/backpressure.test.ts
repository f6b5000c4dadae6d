import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { AnswerBody } from "../../../src/session/wsproto/answer_body.ts";
import { Backpressure, defaultBackpressureLimits } from "../../../src/session/wsproto/backpressure.ts";
import { FakeClock } from "../../support/clock.ts";

const limits = { bufferBytes: 1000, totalBytes: 3000, stallMs: 2000 };

describe("Backpressure", () => {
  let clock: FakeClock;
  let backpressure: Backpressure;
  let isPaused: boolean;
  let givenUp: string[];

  beforeEach(() => {
    clock = new FakeClock();
    isPaused = false;
    givenUp = [];
    const link = { pause: () => void (isPaused = true), resume: () => void (isPaused = false) };
    backpressure = new Backpressure(link, clock, limits);
  });

  /** An answer, with what feeds it and what reads it. */
  function answer(name: string) {
    const body: AnswerBody = new AnswerBody(backpressure.total, {
      onTaken: () => backpressure.taken(body),
      onEnded: () => backpressure.remove(body),
      onCanceled: () => backpressure.remove(body),
    });
    const reader = body.stream.getReader();
    return {
      push(bytes: number) {
        body.push(new Uint8Array(bytes));
        backpressure.pushed(body, () => {
          givenUp.push(name);
          body.abort(new Error("given up"));
        });
      },
      take: () => reader.read(),
      cancel: () => reader.cancel(),
      end: () => body.end(),
    };
  }

  it("holds 1 MiB of one answer and 64 MiB of all, and waits 4 s, when it is not told otherwise", () => {
    const mebibyte = 1024 * 1024;
    assert.deepEqual(defaultBackpressureLimits, {
      bufferBytes: mebibyte,
      totalBytes: 64 * mebibyte,
      stallMs: 4_000,
    });
  });

  it("lets the link go on as long as an answer holds no more than its buffer", () => {
    answer("a").push(1000 - 128);
    assert.equal(isPaused, false);
    assert.equal(clock.pending, 0);
  });

  it("pauses past the buffer, and resumes when the client took enough", async () => {
    const a = answer("a");
    a.push(600);
    a.push(600);
    assert.equal(isPaused, true);
    assert.equal(backpressure.isPaused, true);
    await a.take();
    assert.equal(isPaused, false);
    assert.equal(clock.pending, 0);
  });

  it("waits for as long as the client takes a chunk every 2 s", async () => {
    const a = answer("a");
    for (let count = 0; count < 20; count++) a.push(600);
    for (let count = 0; count < 18; count++) {
      clock.advance(1_999);
      await a.take();
      assert.equal(isPaused, true);
    }
    assert.deepEqual(givenUp, []);
  });

  it("gives up the one whose client took nothing for 2 s, while another still holds the link", async () => {
    const dead = answer("dead");
    const slower = answer("slower");
    dead.push(2000);
    for (let count = 0; count < 5; count++) slower.push(900);
    clock.advance(1_500);
    await slower.take();
    clock.advance(500);
    assert.deepEqual(givenUp, ["dead"]);
    assert.equal(isPaused, true);
    clock.advance(1_500);
    assert.deepEqual(givenUp, ["dead", "slower"]);
    assert.equal(isPaused, false);
    assert.equal(clock.pending, 0);
  });

  it("counts every answer that still gets bytes as slow when all together hold too much", async () => {
    const answers = ["a", "b", "c", "d"].map(answer);
    for (const one of answers.slice(0, 3)) one.push(800);
    assert.equal(isPaused, false);
    answers[3].push(800);
    assert.equal(isPaused, true);
    await answers[3].take();
    assert.equal(isPaused, false);
  });

  it("gives nothing up for the sum alone when the others have shrunk it meanwhile", async () => {
    const answers = ["a", "b", "c", "d"].map(answer);
    for (const one of answers) one.push(800);
    assert.equal(isPaused, true);
    await answers[0].take();
    await answers[1].take();
    clock.advance(2_000);
    assert.deepEqual(givenUp, []);
    assert.equal(isPaused, false);
  });

  it("resumes when the client leaves", async () => {
    const a = answer("a");
    a.push(2000);
    await a.cancel();
    assert.equal(isPaused, false);
    assert.equal(clock.pending, 0);
    assert.equal(backpressure.total.heldBytes, 0);
  });
});
