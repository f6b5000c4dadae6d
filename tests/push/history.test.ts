import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { PushHistory } from "../../src/push/history.ts";

const bytesOf = (number: number) => Uint8Array.of(number);

function historyOf(max: number, messages: readonly (readonly [number: number, node: string | null])[]): PushHistory {
  const history = new PushHistory(max);
  for (const [number, node] of messages) history.add(number, node, bytesOf(number));
  return history;
}

const numbersSince = (history: PushHistory, node: string, number: number) =>
  history.since(node, number)?.map(([first]) => first) ?? null;

describe("PushHistory", () => {
  it("has what was for a node and for all of them, behind a number", () => {
    const history = historyOf(10, [[1, "a"], [2, "b"], [3, null], [5, "a"]]);
    assert.deepEqual([0, 1, 3, 5, 9].map((number) => numbersSince(history, "a", number)), [
      [1, 3, 5],
      [3, 5],
      [5],
      [],
      [],
    ]);
    assert.deepEqual(numbersSince(history, "c", 0), [3]);
  });

  it("keeps the newest ones, and says for whom some are gone", () => {
    const history = historyOf(2, [[1, "a"], [2, "b"], [3, "b"], [4, "c"]]);
    assert.deepEqual([numbersSince(history, "a", 0), numbersSince(history, "a", 1)], [null, []]);
    assert.deepEqual([numbersSince(history, "b", 1), numbersSince(history, "b", 2)], [null, [3]]);
    assert.deepEqual([numbersSince(history, "c", 0), numbersSince(history, "d", 0)], [[4], []]);
    const shared = historyOf(1, [[1, null], [2, "a"]]);
    assert.deepEqual([numbersSince(shared, "b", 0), numbersSince(shared, "b", 1)], [null, []]);
  });

  it("holds nothing of a node that is gone, however many come and go", () => {
    const history = historyOf(2, [[1, "a"], [2, "a"], [3, "a"]]);
    history.forget("a");
    history.add(4, "b", bytesOf(4));
    history.add(5, "b", bytesOf(5));
    history.add(6, "b", bytesOf(6));
    assert.deepEqual(numbersSince(history, "a", 0), []);
    assert.deepEqual(numbersSince(history, "b", 4), [5, 6]);
  });
});
