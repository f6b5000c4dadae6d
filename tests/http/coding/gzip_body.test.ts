import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import fc from "fast-check";
import { BodySource } from "../../../src/http/body/mod.ts";
import { gzipBody } from "../../../src/http/coding/mod.ts";
import { checkBuffers, count, isCounted } from "../../../src/memory/mod.ts";
import { GzipReader, textSoFar } from "../../support/gunzip.ts";
import { eventually } from "../../support/net.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A body that the test pushes, and what its reader did with it. */
class ScriptedBody {
  pulls = 0;
  taken = 0;
  canceledWith: unknown = undefined;
  readonly source = new BodySource({
    onPull: () => void this.pulls++,
    onTaken: (chunk) => void (this.taken += chunk.length),
    onCancel: (reason) => this.canceledWith = reason,
  });

  push(text: string): void {
    this.source.push(bytesOf(text));
  }
}

/** Text with repetitions at some distance. */
const text = (bytes: number) =>
  Array.from({ length: bytes }, (_, at) => "abcdefgh"[(at * at + (at >> 5)) % 8]).join("");

describe("gzipBody", () => {
  beforeEach(() => checkBuffers(true));
  afterEach(() => checkBuffers(false));

  it("gives each event so that it can be decoded before the next one is there", async () => {
    const body = new ScriptedBody();
    const reader = new GzipReader(gzipBody(body.source.stream));
    let all = "";
    for (let number = 0; number < 200; number++) {
      const event = `id: ${number}\ndata: ${JSON.stringify({ number, text: "it is" })}\n\n`;
      body.push(event);
      assert.equal(await reader.until(event), all += event);
    }
    body.source.end();
    assert.equal(await reader.readAll(), all);
    // Later events are told by the ones before them.
    assert.ok(reader.coded.length < all.length, `${reader.coded.length} of ${all.length} bytes`);
  });

  it("codes what comes within a tick together", async () => {
    const body = new ScriptedBody();
    const reader = new GzipReader(gzipBody(body.source.stream));
    for (let number = 0; number < 50; number++) body.push("data: one of many\n\n");
    await reader.read();
    assert.equal(textSoFar(reader.coded), "data: one of many\n\n".repeat(50));
    body.source.end();
    await reader.readAll();
  });

  for (const bytes of [0, 1, 8_191, 8_193, 32_768, 32_769, 300_000]) {
    it(`makes a whole member of ${bytes} bytes, in one chunk and in many`, async () => {
      const whole = text(bytes);
      for (const size of [Math.max(bytes, 1), 1_000]) {
        const body = new ScriptedBody();
        for (let at = 0; at < bytes; at += size) body.push(whole.slice(at, at + size));
        body.source.end();
        assert.equal(await new GzipReader(gzipBody(body.source.stream)).readAll(), whole);
      }
    });
  }

  it("is decoded to what was written, however it was written", async () => {
    const chunks = fc.array(fc.record({ size: fc.integer({ min: 1, max: 40_000 }), isAlone: fc.boolean() }), {
      maxLength: 8,
    });
    await fc.assert(
      fc.asyncProperty(chunks, async (parts) => {
        const body = new ScriptedBody();
        const reader = new GzipReader(gzipBody(body.source.stream));
        let all = "";
        for (const { size, isAlone } of parts) {
          const part = text(size).slice(0, -1) + "\n";
          body.push(part);
          all += part;
          if (isAlone) {
            while ((reader.coded.length === 0 ? "" : textSoFar(reader.coded)) !== all) await reader.read();
          }
        }
        body.source.end();
        assert.equal(await reader.readAll(), all);
      }),
      { numRuns: 20 },
    );
  });

  it("reads nothing before its reader reads, and no more than a little ahead of one that stops", async () => {
    const body = new ScriptedBody();
    const stream = gzipBody(body.source.stream);
    for (let number = 0; number < 1_000; number++) body.push(text(4_096));
    await eventually(() => body.pulls === 0);
    assert.equal(body.taken, 0);
    const reader = stream.getReader();
    await reader.read();
    await new Promise((resolve) => setImmediate(resolve));
    assert.ok(body.taken <= 32 * 1024 + 2 * 16 * 1024, `${body.taken} bytes were taken`);
    const before = body.taken;
    await reader.read();
    assert.ok(body.taken > before);
    await reader.cancel();
  });

  it("gives a long chunk part by part, with a turn for others in between", async () => {
    const body = new ScriptedBody();
    const reader = new GzipReader(gzipBody(body.source.stream));
    body.push(text(2 * 1024 ** 2));
    body.source.end();
    let turns = 0;
    let isOver = false;
    const turn = () => {
      if (isOver) return;
      turns++;
      setImmediate(turn);
    };
    turn();
    await reader.readAll();
    isOver = true;
    assert.ok(turns >= 6, `${turns} turns`);
  });

  it("breaks off where the body does, behind what came before", async () => {
    const body = new ScriptedBody();
    const reader = new GzipReader(gzipBody(body.source.stream));
    body.push("data: 1\n\n");
    await reader.until("1");
    const rest = reader.until("2");
    await eventually(() => body.pulls > 0);
    body.push("data: 2\n\n");
    await Promise.resolve();
    body.source.fail(new Error("lost"));
    assert.equal(await rest, "data: 1\n\ndata: 2\n\n");
    await assert.rejects(reader.read(), /lost/);
  });

  it("tells at once of a body that breaks off while nobody reads", async () => {
    const body = new ScriptedBody();
    const stream = gzipBody(body.source.stream);
    body.source.fail(new Error("lost"));
    await assert.rejects(stream.getReader().closed, /lost/);
  });

  it("cancels the body when it is canceled, with what was gathered", async () => {
    for (const isRead of [false, true]) {
      const body = new ScriptedBody();
      const reader = new GzipReader(gzipBody(body.source.stream));
      body.push(text(100_000));
      if (isRead) await reader.read();
      await reader.cancel("enough");
      await eventually(() => body.canceledWith === "enough");
    }
  });

  it("releases each chunk once", async () => {
    const body = new ScriptedBody();
    const reader = new GzipReader(gzipBody(body.source.stream));
    const chunks = [20_000, 100_000, 16_384].map((bytes) => count(bytesOf(text(bytes))));
    for (const chunk of chunks) body.source.push(chunk);
    body.source.end();
    assert.equal((await reader.readAll()).length, 136_384);
    assert.deepEqual(chunks.map(isCounted), [false, false, false]);
    assert.deepEqual(chunks.map(({ buffer }) => buffer.byteLength), [0, 0, 0]);
  });

  it("locks the body", () => {
    const body = new ScriptedBody();
    gzipBody(body.source.stream);
    assert.throws(() => gzipBody(body.source.stream), TypeError);
  });
});
