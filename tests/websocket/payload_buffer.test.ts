import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PayloadBuffer } from "../../src/websocket/payload_buffer.ts";
import { patternBytes } from "./support.ts";

const MIB = 1024 * 1024;

describe("PayloadBuffer", () => {
  it("PayloadBuffer reserves exactly the announced length when that is believable", () => {
    const buffer = new PayloadBuffer();
    buffer.append(patternBytes(10), 0, 10, 200_000, 200_000);
    assert.equal(buffer.allocatedBytes, 200_000);
  });

  it("PayloadBuffer reserves what has come, doubled at most, when a huge length is announced", () => {
    const buffer = new PayloadBuffer();
    const chunk = patternBytes(64 * 1024);
    for (let come = chunk.length; come <= 4 * MIB; come += chunk.length) {
      buffer.append(chunk, 0, chunk.length, 512 * MIB, 512 * MIB);
      assert.ok(buffer.allocatedBytes <= 2 * come, `${buffer.allocatedBytes} bytes held for ${come}`);
    }
  });

  it("PayloadBuffer never reserves past the bound when it doubles", () => {
    const buffer = new PayloadBuffer();
    for (let i = 0; i < 100; i++) buffer.append(patternBytes(7), 0, 7, buffer.length + 7, 800);
    assert.equal(buffer.length, 700);
    assert.ok(buffer.allocatedBytes <= 800, `${buffer.allocatedBytes} bytes held`);
    assert.equal(buffer.take().buffer.byteLength, 700);
    assert.equal(buffer.allocatedBytes, 0);
  });
});
