import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { afterTickEnd, atTickEnd, callAtTickEnd } from "../../src/base/tick.ts";

/** Resolves in the immediate after those that are due now. */
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("The end of a tick", () => {
  it("atTickEnd calls in order, after what the tick still does", async () => {
    const heard: string[] = [];
    atTickEnd({ onTickEnd: () => heard.push("first") });
    callAtTickEnd(() => heard.push("second"));
    heard.push("tick");
    await nextTurn();
    assert.deepEqual(heard, ["tick", "first", "second"]);
  });

  it("atTickEnd calls in the same tick when a flush asks for it, and in the next when that one asks again", async () => {
    const heard: string[] = [];
    let ticks = 0;
    const count = () => {
      ticks++;
      if (heard.length < 3) setImmediate(count);
    };
    callAtTickEnd(() => {
      heard.push(`multiplexer ${ticks}`);
      callAtTickEnd(() => {
        heard.push(`socket ${ticks}`);
        callAtTickEnd(() => heard.push(`later ${ticks > 0}`));
      });
    });
    setImmediate(count);
    while (heard.length < 3) await nextTurn();
    assert.deepEqual(heard, ["multiplexer 0", "socket 0", "later true"]);
  });

  it("afterTickEnd calls when all the others were called, in the same tick", async () => {
    const heard: string[] = [];
    afterTickEnd({ onTickEnd: () => heard.push("log") });
    callAtTickEnd(() => {
      heard.push("multiplexer");
      callAtTickEnd(() => heard.push("socket"));
    });
    await nextTurn();
    assert.deepEqual(heard, ["multiplexer", "socket", "log"]);
  });
});
