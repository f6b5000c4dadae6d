import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { MAX_U31 } from "../../../src/httpstream/wire/mod.ts";
import { ReceiveWindow, SendWindow } from "../../../src/httpstream/flow/window.ts";

const KIB = 1_024;

describe("SendWindow", () => {
  it("SendWindow refuses credit when it would pass 2^31-1", () => {
    const window = new SendWindow(65_536);
    assert.equal(window.credit(MAX_U31 - 65_536), true);
    assert.equal(window.available, MAX_U31);
    assert.equal(window.credit(1), false);
    assert.equal(window.available, MAX_U31);
  });

  it("SendWindow may fall below zero when settings make it smaller", () => {
    const window = new SendWindow(65_536);
    window.take(60_000);
    window.adjust(16_384 - 65_536);
    assert.equal(window.available, 5_536 - 49_152);
  });
});

describe("ReceiveWindow", () => {
  it("ReceiveWindow does what the worked example of its header says", () => {
    const window = new ReceiveWindow(64 * KIB);
    const sees = (size: number, credit: number, held: number, debt: number) =>
      assert.deepEqual(
        [window.size, window.credit, window.held, window.debt].map((bytes) => bytes / KIB),
        [size, credit, held, debt],
      );
    assert.equal(window.receive(40 * KIB), true);
    sees(64, 24, 40, 0);
    assert.equal(window.consume(30 * KIB), 0);
    sees(64, 24, 10, 0);
    assert.equal(window.consume(10 * KIB), 40 * KIB);
    sees(64, 64, 0, 0);
    window.grow(64 * KIB);
    sees(128, 128, 0, 0);
    window.receive(60 * KIB);
    assert.equal(window.consume(20 * KIB), 0);
    sees(128, 68, 40, 0);
    window.withdraw(64 * KIB);
    sees(64, 68, 40, 44);
    assert.equal(window.consume(40 * KIB), 0);
    sees(64, 68, 0, 4);
  });

  it("ReceiveWindow takes nothing when more comes than was allowed", () => {
    const window = new ReceiveWindow(100);
    assert.equal(window.receive(101), false);
    assert.deepEqual([window.credit, window.held], [100, 0]);
    assert.equal(window.receive(100), true);
    assert.equal(window.receive(1), false);
  });

  it("ReceiveWindow conserves bytes and never starves its sender, whatever happens", () => {
    const action = fc.record({
      kind: fc.constantFrom("receive", "consume", "grow", "withdraw"),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    fc.assert(fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const window = new ReceiveWindow(65_536);
      const sender = new SendWindow(65_536);
      let grown = 0;
      let unreturned = 0;
      for (const { kind, share } of actions) {
        if (kind === "receive") {
          const bytes = Math.floor(share * sender.available);
          sender.take(bytes);
          assert.equal(window.receive(bytes), true, "what the sender may send is welcome");
        } else if (kind === "consume") {
          const bytes = Math.floor(share * window.held);
          const debt = window.debt;
          const credit = window.consume(bytes);
          unreturned += bytes - (debt - window.debt) - credit;
          sender.credit(credit);
        } else if (kind === "grow") {
          const bytes = Math.floor(share * 1_000_000);
          grown += bytes;
          window.grow(bytes);
          sender.credit(bytes);
        } else {
          const bytes = Math.floor(share * grown);
          grown -= bytes;
          const debt = window.debt;
          window.withdraw(bytes);
          unreturned -= bytes - (window.debt - debt);
        }
        assert.equal(window.size, 65_536 + grown);
        assert.equal(sender.available, window.credit);
        assert.equal(window.credit + window.held + unreturned, window.size + window.debt);
        if (window.held === 0) assert.ok(window.credit * 2 >= window.size, "a reader that took all is sent more");
      }
    }));
  });
});
