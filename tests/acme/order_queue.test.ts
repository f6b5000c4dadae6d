import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MAX_WAITING, OrderQueue } from "../../src/acme/order_queue.ts";

/** Orders that run until they are ended; `begun` has the names of those that have begun. */
function scripted(queue: OrderQueue) {
  const begun: string[] = [];
  const ends = new Map<string, () => void>();
  const add = (name: string, isRenewal: boolean) =>
    queue.run(() => {
      begun.push(name);
      return new Promise<string>((resolve) => ends.set(name, () => resolve(name)));
    }, isRenewal);
  return { begun, add, end: (name: string) => ends.get(name)!() };
}

describe("OrderQueue", () => {
  it("runs four orders at a time, renewals before those that came earlier", async () => {
    const { begun, add, end } = scripted(new OrderQueue());
    const running = ["1", "2", "3", "4"].map((name) => add(name, false));
    const waiting = [add("new", false), add("renewal", true), add("newer", false)];
    assert.deepEqual(begun, ["1", "2", "3", "4"]);
    for (const name of ["1", "2", "3", "4"]) end(name);
    await Promise.all(running);
    assert.deepEqual(begun.slice(4), ["renewal", "new", "newer"]);
    for (const name of ["new", "renewal", "newer"]) end(name);
    assert.deepEqual(await Promise.all(waiting), ["new", "renewal", "newer"]);
  });

  it("goes on when an order fails", async () => {
    const queue = new OrderQueue();
    const failing = Array.from({ length: 4 }, () => queue.run(() => Promise.reject(new Error("no")), false));
    await Promise.allSettled(failing);
    assert.equal(await queue.run(() => Promise.resolve("yes"), false), "yes");
  });

  it("is full when as many wait as may, and runs none of them once it is closed", async () => {
    const queue = new OrderQueue();
    const { begun, add, end } = scripted(queue);
    const running = Array.from({ length: 4 }, (_, i) => add(`running ${i}`, false));
    const waiting = Array.from({ length: MAX_WAITING - 1 }, (_, i) => add(`waiting ${i}`, i % 2 === 0));
    assert.equal(queue.isFull, false);
    waiting.push(add("last", false));
    assert.equal(queue.isFull, true);
    queue.close();
    assert.ok((await Promise.all(waiting)).every((result) => result === null));
    for (let i = 0; i < 4; i++) end(`running ${i}`);
    assert.equal((await Promise.all(running)).length, 4);
    assert.equal(begun.length, 4);
  });
});
