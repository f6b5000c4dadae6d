import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { GzipEncoder, gzipWhole } from "../../../src/http/coding/gzip_encoder.ts";
import { textSoFar, wholeText } from "../../support/gunzip.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** Letters that hardly repeat. */
function letters(count: number, seed: number): string {
  let state = seed;
  return Array.from({ length: count }, () => {
    state = Math.imul(state, 1_103_515_245) + 12_345 >>> 0;
    return String.fromCharCode(0x20 + (state >>> 16) % 95);
  }).join("");
}

/** What the encoder makes of `texts`, each added by itself, and then the end. */
async function encoded(texts: readonly string[]): Promise<Uint8Array[]> {
  const encoder = new GzipEncoder();
  const parts: Uint8Array[] = [];
  for (const text of texts) parts.push(await encoder.add(bytesOf(text)));
  return [...parts, encoder.finish()];
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

describe("GzipEncoder", () => {
  it("makes each text decodable by what it has returned for it", async () => {
    const texts = ["a", "data: 1\n\n", letters(40_000, 1), "data: 1\n\n", "x".repeat(100_000)];
    const parts = await encoded(texts);
    for (let count = 1; count <= texts.length; count++) {
      assert.equal(textSoFar(joined(parts.slice(0, count))), texts.slice(0, count).join(""));
    }
    assert.equal(wholeText(joined(parts)), texts.join(""));
  });

  it("keeps bodies apart that are written at the same time", async () => {
    const rounds = ["data: a\n\n", "data: b\n\n", letters(3_000, 3), "data: a\n\n"];
    const made = await Promise.all(Array.from({ length: 50 }, async (_, index) => {
      const texts = rounds.map((text) => `id: ${index}\n${text}`);
      return [wholeText(joined(await encoded(texts))), texts.join("")];
    }));
    for (const [read, written] of made) assert.equal(read, written);
  });

  it("makes a whole member of nothing", () => assert.equal(wholeText(new GzipEncoder().finish()), ""));

  it("refers back to 8 KiB of text, and holds no more", async () => {
    const text = letters(1_000, 1);
    const sizeBehind = async (count: number) => (await encoded([text, letters(count, 2), text]))[2]!.length;
    for (const count of [100, 7_000]) assert.ok(await sizeBehind(count) < 100, `behind ${count}`);
    assert.ok(await sizeBehind(8_192) > 700);
  });
});

describe("gzipWhole", () => {
  it("makes a whole member of one text", () => {
    for (const text of ["", "all of it", letters(40_000, 1)]) assert.equal(wholeText(gzipWhole(bytesOf(text))), text);
  });
});
