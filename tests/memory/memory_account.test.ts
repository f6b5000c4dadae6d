import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { MemoryAccount } from "../../src/memory/mod.ts";

describe("MemoryAccount", () => {
  it("reserves what fits it and the accounts above it, and nothing else", () => {
    const process = new MemoryAccount(100);
    const session = new MemoryAccount(Infinity, process);
    const bodies = new MemoryAccount(60, session);
    assert.deepEqual([bodies.reserve(60), bodies.reserve(1), bodies.hasRoom(0)], [true, false, true]);
    session.add(30);
    bodies.add(-30);
    assert.deepEqual([bodies.reserve(30), bodies.heldBytes, session.heldBytes, process.heldBytes], [true, 60, 90, 90]);
    bodies.add(-30);
    session.add(20);
    assert.deepEqual([bodies.hasRoom(20), bodies.reserve(21), process.heldBytes], [true, false, 80]);
  });

  it("has those freed that hold most, and the next ones where these have nothing to free", () => {
    const process = new MemoryAccount(100);
    const freed: string[] = [];
    const accounts = ["stuck", "large", "small"].map((name) => {
      const account: MemoryAccount = new MemoryAccount(Infinity, process, () => {
        if (name === "stuck" || account.heldBytes === 0) return false;
        freed.push(name);
        account.add(-10);
        return true;
      });
      return account;
    });
    accounts.forEach((account, index) => account.add([80, 35, 10][index]));
    accounts[2].enforceLimit();
    assert.deepEqual([freed, process.heldBytes], [["large", "large", "large"], 95]);
    accounts[0].add(60);
    accounts[0].enforceLimit();
    assert.equal(process.heldBytes, 140 + accounts[1].heldBytes + accounts[2].heldBytes);
  });

  it("asks an account that was closed to free nothing, and counts what it still holds", () => {
    const process = new MemoryAccount(10);
    const closed = new MemoryAccount(Infinity, process, () => assert.fail("it was asked"));
    closed.add(20);
    closed.close();
    new MemoryAccount(Infinity, process).enforceLimit();
    closed.add(-5);
    assert.equal(process.heldBytes, 15);
  });
});
