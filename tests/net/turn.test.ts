import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { atTurnEnd, hearTurnEnd, hearTurnOver } from "../../src/net/turn.ts";

/** Resolves in the immediate after those that are due now. */
const nextTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("The end of the turn", () => {
  it("hearTurnEnd calls in order, after what the turn still does", async () => {
    const heard: string[] = [];
    hearTurnEnd({ onTurnEnd: () => heard.push("first") });
    atTurnEnd(() => heard.push("second"));
    heard.push("turn");
    await nextTurn();
    assert.deepEqual(heard, ["turn", "first", "second"]);
  });

  it("hearTurnEnd calls in the same turn when a flush asks for it, and in the next when that one asks again", async () => {
    const heard: string[] = [];
    let turns = 0;
    const count = () => {
      turns++;
      if (heard.length < 3) setImmediate(count);
    };
    atTurnEnd(() => {
      heard.push(`multiplexer ${turns}`);
      atTurnEnd(() => {
        heard.push(`socket ${turns}`);
        atTurnEnd(() => heard.push(`later ${turns > 0}`));
      });
    });
    setImmediate(count);
    while (heard.length < 3) await nextTurn();
    assert.deepEqual(heard, ["multiplexer 0", "socket 0", "later true"]);
  });

  it("hearTurnOver calls when all the others were called, in the same turn", async () => {
    const heard: string[] = [];
    hearTurnOver({ onTurnEnd: () => heard.push("log") });
    atTurnEnd(() => {
      heard.push("multiplexer");
      atTurnEnd(() => heard.push("socket"));
    });
    await nextTurn();
    assert.deepEqual(heard, ["multiplexer", "socket", "log"]);
  });
});
