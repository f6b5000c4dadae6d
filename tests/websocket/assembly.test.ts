import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Assembly } from "../../src/websocket/assembly.ts";
import { patternBytes } from "./support.ts";

const MIB = 1024 * 1024;

describe("Assembly", () => {
  it("Assembly reserves exactly the announced length when that is believable", () => {
    const assembly = new Assembly();
    assembly.append(patternBytes(10), 0, 10, 200_000, 200_000);
    assert.equal(assembly.reserved, 200_000);
  });

  it("Assembly reserves what has come, doubled at most, when a huge length is announced", () => {
    const assembly = new Assembly();
    const chunk = patternBytes(64 * 1024);
    for (let come = chunk.length; come <= 4 * MIB; come += chunk.length) {
      assembly.append(chunk, 0, chunk.length, 512 * MIB, 512 * MIB);
      assert.ok(assembly.reserved <= 2 * come, `${assembly.reserved} bytes held for ${come}`);
    }
  });

  it("Assembly never reserves past the bound when it doubles", () => {
    const assembly = new Assembly();
    for (let i = 0; i < 100; i++) assembly.append(patternBytes(7), 0, 7, assembly.length + 7, 800);
    assert.equal(assembly.length, 700);
    assert.ok(assembly.reserved <= 800, `${assembly.reserved} bytes held`);
    assert.equal(assembly.take().buffer.byteLength, 700);
    assert.equal(assembly.reserved, 0);
  });
});
