/** What is left of a connection when a write fails: the bytes that came before. */
import { after, describe, it } from "node:test";
import assert from "node:assert/strict";
import { dial, listen, runtimeName, type Socket, startTls } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import {
  bytesOf,
  eventually,
  fillUntilStalled,
  latin1,
  patternBytes,
  removeTemporaryFolders,
  SocketReader,
  temporaryPath,
} from "../support/net.ts";
import { plain, startTlsServer, trusted } from "../support/tls.ts";

after(removeTemporaryFolders);

/** Both ends of a connection. Of TLS `raw` and `farRaw` are the sockets underneath, else the same. */
interface Ends {
  near: Socket;
  raw: Socket;
  far: Socket;
  farRaw: Socket;
}

type Connect = (clock: FakeClock) => Promise<Ends>;

async function connectUnix(clock: FakeClock): Promise<Ends> {
  const path = await temporaryPath("peer.sock");
  let accept!: (socket: Socket) => void;
  const accepted = new Promise<Socket>((resolve) => accept = resolve);
  const listener = await listen({ kind: "unix", path }, (socket) => accept(socket));
  const near = await dial({ kind: "unix", path }, {}, clock);
  const far = await accepted;
  await listener.close();
  return { near, raw: near, far, farRaw: far };
}

async function connectTcp(clock: FakeClock): Promise<Ends> {
  let accept!: (socket: Socket) => void;
  const accepted = new Promise<Socket>((resolve) => accept = resolve);
  const listener = await listen({ kind: "tcp", host: "127.0.0.1", port: 0 }, (socket) => accept(socket));
  const near = await dial({ kind: "tcp", host: "127.0.0.1", port: listener.address.port }, {}, clock);
  const far = await accepted;
  await listener.close();
  return { near, raw: near, far, farRaw: far };
}

async function connectTls(clock: FakeClock): Promise<Ends> {
  let accept!: (ends: [Socket, Socket]) => void;
  const accepted = new Promise<[Socket, Socket]>((resolve) => accept = resolve);
  const server = await startTlsServer((socket, raw) => accept([socket, raw]));
  const raw = await dial(server.target, {}, clock);
  const near = await startTls(raw, { ...server.target, tls: trusted }, { timeoutMs: 5_000 }, clock);
  const [far, farRaw] = await accepted;
  await server.listener.close();
  return { near, raw, far, farRaw };
}

const connects: [name: string, connect: Connect][] = [
  ["TCP", connectTcp],
  ["unix", connectUnix],
  ["TLS", connectTls],
];

/** Says of a broken socket whether it wants the rest. */
class Reader extends SocketReader {
  asked = 0;
  wantsRest = true;

  onBroken(): boolean {
    this.asked++;
    return this.wantsRest;
  }
}

/** Resolves when `bytes` of `ends.far` lie in the kernel of the near end, which is paused. */
async function deliver({ far }: Ends, bytes: Uint8Array): Promise<void> {
  far.write(bytes);
  let quietTurns = 0;
  await eventually(() => far.bufferedBytes === 0 && ++quietTurns > 5);
}

/** In one tick, so that nothing is read in between: the far end resets, and the near end's next write fails. */
function breakConnection({ raw, farRaw }: Ends): void {
  farRaw.reset();
  raw.write(bytesOf("refused"));
  raw.flush();
}

const answer = patternBytes(40_000);

for (const [name, connect] of connects) {
  describe(`a socket whose write fails (${name})`, () => {
    const test = (what: string, use: (ends: Ends, clock: FakeClock) => Promise<void>): void => {
      it(what, async () => {
        const clock = new FakeClock();
        const ends = await connect(clock);
        try {
          await use(ends, clock);
          assert.equal(clock.pending, 0, "a timer is left");
        } finally {
          ends.near.reset();
          ends.far.reset();
        }
      });
    };

    test("delivers what came before, then closes with the error", async (ends) => {
      const reader = new Reader(ends.near, { paused: true });
      await deliver(ends, answer);
      ends.near.resume();
      breakConnection(ends);
      assert.equal((await reader.closed)?.code, "connection_reset");
      assert.equal(reader.sawEnd, false);
      assert.equal(reader.asked, 1);
      assert.equal(Buffer.compare(await reader.read(answer.length), answer), 0);
      assert.equal(ends.near.closed, true);
    });

    test("delivers what came before when a write waits for room", async (ends) => {
      const reader = new Reader(ends.near, { paused: true });
      await deliver(ends, answer);
      await fillUntilStalled(ends.near);
      ends.near.resume();
      ends.farRaw.reset();
      assert.equal((await reader.closed)?.code, "connection_reset");
      assert.equal(reader.sawEnd, false);
      assert.equal(Buffer.compare(await reader.read(answer.length), answer), 0);
    });

    test("keeps what came before until its owner reads on", async (ends) => {
      const reader = new Reader(ends.near, { paused: true });
      await deliver(ends, answer);
      breakConnection(ends);
      await eventually(() => reader.asked > 0);
      assert.equal(reader.receivedBytes, 0);
      assert.equal(reader.sawClose, false);
      ends.near.resume();
      assert.equal((await reader.closed)?.code, "connection_reset");
      assert.equal(Buffer.compare(await reader.read(answer.length), answer), 0);
      assert.equal(reader.asked, 1);
    });

    test("drops what is written and ends without a word, and asks nobody to wait for it", async (ends) => {
      const reader = new Reader(ends.near, { paused: true });
      await deliver(ends, bytesOf("answer"));
      breakConnection(ends);
      await eventually(() => reader.asked > 0);
      assert.equal(ends.near.write(bytesOf("more")), true);
      ends.near.flush();
      ends.near.end();
      assert.equal(ends.raw.bufferedBytes, 0);
      ends.near.resume();
      assert.equal((await reader.closed)?.code, "connection_reset");
      assert.equal(latin1(await reader.read(6)), "answer");
    });

    test("wakes an owner that waits for room", async (ends) => {
      const reader = new Reader(ends.near, { paused: true });
      await deliver(ends, bytesOf("answer"));
      ends.farRaw.reset();
      const mayGoOn = ends.near.write(new Uint8Array(1 << 20));
      ends.near.flush();
      if (!mayGoOn) await eventually(() => reader.drains > 0);
      await eventually(() => reader.asked > 0);
      ends.near.resume();
      await reader.closed;
      assert.equal(latin1(await reader.read(6)), "answer");
    });

    test("closes at once when its owner does not want the rest", async (ends) => {
      const reader = new Reader(ends.near, { paused: true });
      reader.wantsRest = false;
      await deliver(ends, answer);
      breakConnection(ends);
      assert.equal((await reader.closed)?.code, "connection_reset");
      assert.equal(reader.receivedBytes, 0);
    });

    test("closes at once when its owner knows nothing of broken sockets", async (ends) => {
      const reader = new SocketReader(ends.near, { paused: true });
      await deliver(ends, answer);
      breakConnection(ends);
      assert.equal((await reader.closed)?.code, "connection_reset");
      assert.equal(reader.receivedBytes, 0);
    });

    test("closes when its owner has not read on for a minute", async (ends, clock) => {
      const reader = new Reader(ends.near, { paused: true });
      await deliver(ends, answer);
      breakConnection(ends);
      await eventually(() => reader.asked > 0 && clock.pending === 1);
      clock.advance(59_999);
      assert.equal(reader.sawClose, false);
      clock.advance(1);
      // Under TLS the bytes have reached the socket above by then, which waits as long for its own reader.
      await eventually(() => reader.sawClose || clock.pending > 0);
      if (!reader.sawClose) clock.advance(60_000);
      assert.equal((await reader.closed)?.code, "connection_reset");
      assert.equal(reader.receivedBytes, 0);
    });

    test("may be reset", async (ends) => {
      const reader = new Reader(ends.near, { paused: true });
      await deliver(ends, answer);
      breakConnection(ends);
      await eventually(() => reader.asked > 0);
      ends.near.reset();
      assert.equal(await reader.closed, null);
      assert.equal(reader.receivedBytes, 0);
    });
  });
}

describe("a paused socket whose peer resets", () => {
  // Bun closes it by itself.
  const skip = runtimeName === "bun";

  it("keeps what came before for an owner that wants it", { skip }, async () => {
    const [near, far] = await plain.pair();
    const reader = new Reader(near, { paused: true });
    far.write(bytesOf("answer"));
    await eventually(() => far.bufferedBytes === 0);
    far.reset();
    await eventually(() => reader.asked > 0);
    near.resume();
    assert.equal((await reader.closed)?.code, "connection_reset");
    assert.equal(latin1(await reader.read(6)), "answer");
    assert.equal(reader.sawEnd, false);
  });
});

describe("a socket with TLS whose peer resets", () => {
  for (const isSlow of [false, true]) {
    it(`delivers what came with the reset to ${isSlow ? "an owner that pauses after each chunk" : "its owner"}`, async () => {
      const clock = new FakeClock();
      const ends = await connectTls(clock);
      const reader = new Reader(ends.near, { paused: true });
      await deliver(ends, answer);
      ends.near.resume();
      ends.farRaw.reset();
      while (isSlow && !reader.sawClose) {
        const { receivedBytes } = reader;
        await eventually(() => reader.receivedBytes > receivedBytes || reader.sawClose);
        ends.near.pause();
        await new Promise((resolve) => setImmediate(resolve));
        ends.near.resume();
      }
      assert.equal((await reader.closed)?.code, "connection_reset");
      assert.equal(Buffer.compare(await reader.read(answer.length), answer), 0);
      assert.equal(clock.pending, 0);
    });
  }
});
