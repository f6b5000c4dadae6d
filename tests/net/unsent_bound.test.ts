/** Which sockets may have more unsent bytes than others. */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { MAX_UNBOUNDED, UnsentBound } from "../../src/net/unsent_bound.ts";
import { FakeClock } from "../support/clock.ts";

const MIB = 1024 * 1024;

/** A socket's bound; `isOn` is what the kernel was told last. */
function bounded(clock: FakeClock) {
  const socket = {
    isOn: true,
    bound: new UnsentBound((isOn) => void (socket.isOn = isOn), clock),
    /** The peer takes these bytes while the socket waits for so long. */
    take(bytes: number, waitMs: number): void {
      socket.bound.add(bytes);
      socket.bound.wait();
      clock.advance(waitMs);
      socket.bound.endWait();
    },
  };
  return socket;
}

describe("The bound of unsent bytes", () => {
  it("is off for a peer that takes 16 MiB without a pause, and on again once it is slow", () => {
    const socket = bounded(new FakeClock());
    for (let taken = 1; taken < 16; taken++) socket.take(MIB, 99);
    assert.equal(socket.isOn, true);
    socket.take(MIB, 99);
    assert.equal(socket.isOn, false);
    socket.take(MIB, 100);
    assert.equal(socket.isOn, true);
    socket.take(15 * MIB, 1);
    assert.equal(socket.isOn, true);
    socket.take(MIB, 1);
    assert.equal(socket.isOn, false);
    socket.bound.close();
  });

  it("stays on where the kernel had room all the time", () => {
    const socket = bounded(new FakeClock());
    socket.bound.add(64 * MIB);
    socket.bound.endWait();
    assert.equal(socket.isOn, true);
  });

  it(`is off for ${MAX_UNBOUNDED} sockets at most, also where some of them are over or slow`, () => {
    const clock = new FakeClock();
    const sockets = Array.from({ length: MAX_UNBOUNDED + 2 }, () => bounded(clock));
    const countOff = () => sockets.filter(({ isOn }) => !isOn).length;
    for (const socket of sockets) socket.take(16 * MIB, 1);
    assert.equal(countOff(), MAX_UNBOUNDED);
    const [over, slow, ...others] = sockets;
    // Twice: it gives its place up once.
    over.bound.close();
    over.bound.close();
    sockets.at(-1)!.take(MIB, 1);
    sockets.at(-2)!.take(MIB, 1);
    assert.equal(countOff(), MAX_UNBOUNDED + 1, "the one that is over is still off, and takes no place");
    slow.take(MIB, 100);
    sockets.at(-2)!.take(MIB, 1);
    assert.equal(countOff(), MAX_UNBOUNDED + 1);
    for (const socket of others) socket.bound.close();
  });
});
