import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type LineSink, LineWriter } from "../../src/observe/line_writer.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";

/** A sink that writes what it is told to, when it is told to. */
class ScriptedSink implements LineSink {
  readonly name = "the file";
  written = "";
  writes = 0;
  reopened = 0;
  isClosed = false;
  /** Answers the write that waits: with how many characters were written, or with an error. */
  answer: ((result: number | Error) => void) | null = null;
  offered = "";

  write(text: string): Promise<number> {
    this.writes++;
    this.offered = text;
    return new Promise((resolve, reject) => {
      this.answer = (result) => {
        this.answer = null;
        if (result instanceof Error) return reject(result);
        this.written += text.slice(0, result);
        resolve(Math.min(result, text.length));
      };
    });
  }

  reopen(): void {
    this.reopened++;
  }

  close(): Promise<void> {
    this.isClosed = true;
    return Promise.resolve();
  }
}

const ALL = Infinity;

function open(maxWaitingBytes?: number) {
  const sink = new ScriptedSink();
  const clock = new FakeClock();
  const problems: string[] = [];
  const onProblem = (problem: string) => void problems.push(problem);
  const writer = new LineWriter(sink, { onProblem, clock, maxWaitingBytes });
  const answer = async (result: number | Error) => {
    await eventually(() => sink.answer !== null);
    sink.answer?.(result);
  };
  return { sink, clock, problems, writer, answer };
}

describe("LineWriter", () => {
  it("writes the lines of a tick together and in order, one write at a time", async () => {
    const { sink, writer, answer, problems } = open();
    for (const line of ["a\n", "b\n", "c\n"]) writer.add(line);
    await eventually(() => sink.writes === 1);
    writer.add("d\n");
    assert.equal(sink.offered, "a\nb\nc\n");
    await answer(ALL);
    await answer(ALL);
    await writer.close(1000);
    assert.deepEqual([sink.written, sink.writes, sink.isClosed, problems], ["a\nb\nc\nd\n", 2, true, []]);
  });

  it("goes on where a write took only a part", async () => {
    const { sink, writer, answer } = open();
    writer.add("abcdef\n");
    await answer(2);
    await answer(3);
    assert.equal(sink.written, "abcde");
    await answer(ALL);
    await writer.close(1000);
    assert.equal(sink.written, "abcdef\n");
  });

  it("tells of a failure once, tries again each second, and loses and repeats nothing", async () => {
    const { sink, clock, writer, answer, problems } = open();
    writer.add("abcd\n");
    await answer(2);
    for (let attempt = 0; attempt < 3; attempt++) {
      await answer(new Error("no space left"));
      await eventually(() => clock.pending === 1);
      writer.add(`${attempt}\n`);
      clock.advance(999);
      assert.equal(sink.answer, null);
      clock.advance(1);
    }
    await answer(ALL);
    await answer(ALL);
    assert.equal(sink.written, "abcd\n0\n1\n2\n");
    assert.equal(sink.reopened, 3);
    assert.deepEqual(problems, ["Cannot write to the file: no space left"]);
    writer.add("e\n");
    await answer(new Error("gone"));
    await eventually(() => problems.length === 2);
    assert.equal(problems[1], "Cannot write to the file: gone");
  });

  it("loses lines beyond the limit, and tells so at the first one and in the end", async () => {
    const { sink, writer, answer, problems } = open(10);
    writer.add("12345678\n");
    await eventually(() => sink.writes === 1);
    for (let count = 0; count < 100; count++) writer.add("xx\n");
    assert.deepEqual(problems, ["Lines for the file are lost: more than 10 bytes wait already"]);
    await answer(ALL);
    await eventually(() => problems.length === 2);
    assert.equal(problems[1], "100 lines for the file were lost");
    writer.add("yy\n");
    await answer(ALL);
    await writer.close(1000);
    assert.equal(sink.written, "12345678\nyy\n");
  });

  it("begins the sink anew at once, also in the pause behind a failure", async () => {
    const { sink, clock, writer, answer } = open();
    writer.reopen();
    await answer(0);
    assert.deepEqual([sink.reopened, sink.offered], [1, ""]);
    writer.add("a\n");
    await answer(new Error("gone"));
    await eventually(() => clock.pending === 1);
    writer.reopen();
    await answer(ALL);
    await answer(0);
    await writer.close(1000);
    assert.equal(sink.written, "a\n");
  });

  it("gives up at its close where the sink takes nothing, or fails", async () => {
    const hanging = open();
    hanging.writer.add("a\n");
    await eventually(() => hanging.sink.writes === 1);
    const closed = hanging.writer.close(2000);
    hanging.clock.advance(2000);
    await closed;
    assert.equal(hanging.sink.isClosed, false);

    const failing = open();
    failing.writer.add("a\n");
    await failing.answer(new Error("full"));
    await eventually(() => failing.clock.pending === 1);
    const end = failing.writer.close(2000);
    await failing.answer(new Error("full"));
    await end;
    assert.deepEqual([failing.sink.isClosed, failing.clock.pending], [true, 0]);
  });
});
