import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { holdSignals } from "../../src/cli/held_signals.ts";
import { processHost } from "../../src/cli/host.ts";

/** A host whose signals the test sends. */
function open() {
  const handlers = new Set<() => void>();
  const onSignal = (_name: string, handler: () => void) => {
    handlers.add(handler);
    return () => void handlers.delete(handler);
  };
  const host = holdSignals({ ...processHost(), onSignal });
  const signal = () => [...handlers].forEach((handler) => handler());
  return { host, signal, handlers };
}

describe("holdSignals", () => {
  it("hears a signal that comes after the last subscription has ended, once", () => {
    const { host, signal, handlers } = open();
    let heard = 0;
    const unsubscribe = host.onSignal("SIGINT", () => heard++);
    signal();
    unsubscribe();
    assert.equal(handlers.size, 1);
    signal();
    assert.deepEqual([heard, handlers.size], [1, 0]);
  });
});
