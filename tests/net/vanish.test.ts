/** Peers that vanish, and peers that only take a break. */
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import * as net from "node:net";
import { dial, listen, type Listener, type Socket } from "../../src/net/mod.ts";
import { SilenceWatch } from "../../src/net/silence_watch.ts";
import type { PeerFacts } from "../../src/net/tcp_options.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually, fillUntilStalled, SocketReader } from "../support/net.ts";
import { cannotVanish, connectRaw, vanish } from "../support/vanish.ts";

/** So short that a test can wait for it: the kernel counts in seconds. */
const TCP_TIMEOUT_MS = 2_000;
/** Far beyond that, and far below the 15 minutes after which the kernel gives up by itself. */
const deadlineMs = 60_000;

/** Both ends of a connection: our socket, and the peer's. */
type Connect = (tcpTimeoutMs: number) => Promise<[Socket, net.Socket]>;

async function accepted(tcpTimeoutMs: number): Promise<[Socket, net.Socket]> {
  let accept!: (socket: Socket) => void;
  const accepting = new Promise<Socket>((resolve) => accept = resolve);
  const target = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;
  const listener: Listener = await listen(target, (socket) => accept(socket), { tcpTimeoutMs });
  const peer = await connectRaw(listener.address.port);
  const socket = await accepting;
  await listener.close();
  return [socket, peer];
}

async function dialed(tcpTimeoutMs: number): Promise<[Socket, net.Socket]> {
  let accept!: (raw: net.Socket) => void;
  const accepting = new Promise<net.Socket>((resolve) => accept = resolve);
  const server = net.createServer({ pauseOnConnect: true }, (raw) => accept(raw));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as net.AddressInfo;
  const socket = await dial({ kind: "tcp", host: "127.0.0.1", port }, { tcpTimeoutMs });
  const peer = await accepting;
  server.close();
  return [socket, peer];
}

const connects: [end: string, connect: Connect][] = [["accepted", accepted], ["dialed", dialed]];

for (const [end, connect] of connects) {
  describe(`A peer that vanishes (${end} end)`, { skip: cannotVanish }, () => {
    const states: [when: string, prepare: (socket: Socket) => Promise<unknown>][] = [
      ["with nothing to send to it", () => Promise.resolve()],
      ["with a few bytes that it does not acknowledge", (socket) => Promise.resolve(socket.write(new Uint8Array(100)))],
      ["with its window closed and much to send", (socket) => fillUntilStalled(socket)],
    ];
    for (const paused of [false, true]) {
      it(`is given up ${paused ? "while we do not read" : "while we read"}, whatever is to be sent`, async () => {
        await Promise.all(states.map(async ([when, prepare]) => {
          const [socket, peer] = await connect(TCP_TIMEOUT_MS);
          const reader = new SocketReader(socket, { paused });
          // A window that is closed must be known to be; the others write to a peer that has gone.
          if (when.includes("window")) await prepare(socket);
          vanish(peer);
          if (!when.includes("window")) await prepare(socket);
          await eventually(() => reader.sawClose, { deadlineMs, message: when });
          const error = await reader.closed;
          // The runtime may only find that the connection is over.
          assert.ok(error?.code === "connect_timeout" || error?.code === "connection_reset", `${when}: ${error}`);
          assert.equal(reader.sawEnd, false);
          peer.destroy();
        }));
      });
    }
  });

  describe(`A peer that reads nothing (${end} end)`, { skip: cannotVanish }, () => {
    it("is kept for as long as its kernel answers, and gets all of it in the end", async () => {
      const [socket, peer] = await connect(TCP_TIMEOUT_MS);
      const reader = new SocketReader(socket);
      const taken = await fillUntilStalled(socket);
      // Others vanish meanwhile, one after the other: more than the time that this peer has.
      for (let round = 0; round < 2; round++) {
        const [lost, lostPeer] = await connect(TCP_TIMEOUT_MS);
        const lostReader = new SocketReader(lost);
        vanish(lostPeer);
        lost.write(new Uint8Array(100));
        await eventually(() => lostReader.sawClose, { deadlineMs });
        lostPeer.destroy();
      }
      assert.equal(reader.sawClose, false);
      let received = 0;
      peer.on("data", (chunk: Uint8Array) => received += chunk.length);
      peer.resume();
      await eventually(() => socket.bufferedBytes === 0 && received >= taken, { deadlineMs });
      socket.reset();
      peer.destroy();
    });
  });
}

describe("SilenceWatch", () => {
  const raw = (): net.Socket => new net.Socket();

  /** A watch whose kernel says what `facts` has. */
  function watchOf(facts: Map<net.Socket, PeerFacts>): { clock: FakeClock; watch: SilenceWatch } {
    const clock = new FakeClock();
    return { clock, watch: new SilenceWatch((socket) => facts.get(socket) ?? null, clock) };
  }

  const cases: [what: string, facts: PeerFacts, isGivenUp: boolean][] = [
    ["was silent for the whole time, and left two probes unanswered", { unanswered: 2, silentMs: 90_000 }, true],
    ["was silent for the whole time, but was not probed", { unanswered: 0, silentMs: 900_000 }, false],
    ["left one probe unanswered, which may be lost", { unanswered: 1, silentMs: 120_000 }, false],
    ["left many unanswered in a short time", { unanswered: 9, silentMs: 89_999 }, false],
  ];
  for (const [what, facts, isGivenUp] of cases) {
    it(`${isGivenUp ? "gives up" : "keeps"} a peer that ${what}`, () => {
      const socket = raw();
      const { clock, watch } = watchOf(new Map([[socket, facts]]));
      let calls = 0;
      const watched = watch.add(socket, 90_000, () => calls++);
      clock.advance(60_000);
      assert.equal(calls, isGivenUp ? 1 : 0);
      watch.remove(watched);
    });
  }

  it("keeps a peer of which the kernel says nothing", () => {
    const { clock, watch } = watchOf(new Map());
    watch.add(raw(), 90_000, () => assert.fail("given up"));
    clock.advance(60_000);
  });

  it("asks about each of many sockets in a round of 15 s, and never about more than 500 in a tick", () => {
    const looks = new Map<net.Socket, number>();
    const clock = new FakeClock();
    let sinceTick = 0;
    const watch = new SilenceWatch((socket) => {
      looks.set(socket, (looks.get(socket) ?? 0) + 1);
      sinceTick++;
      return null;
    }, clock);
    const sockets = Array.from({ length: 3_000 }, raw);
    const watched = sockets.map((socket) => watch.add(socket, 1_000, () => {}));
    for (let tick = 0; tick < 60; tick++) {
      sinceTick = 0;
      clock.advance(250);
      assert.ok(sinceTick <= 500, `${sinceTick} in one tick`);
    }
    assert.equal(looks.size, sockets.length);
    assert.ok([...looks.values()].every((count) => count === 1));
    for (const one of watched) watch.remove(one);
  });

  it("sets no timer once nothing is watched, and watches what comes after that", () => {
    const socket = raw();
    const { clock, watch } = watchOf(new Map([[socket, { unanswered: 3, silentMs: 1_000 }]]));
    const watched = watch.add(socket, 2_000, () => assert.fail("given up"));
    clock.advance(1_000);
    watch.remove(watched);
    clock.advance(15_000);
    assert.equal(clock.pending, 0);
    let calls = 0;
    watch.add(socket, 500, () => calls++);
    clock.advance(15_000);
    assert.equal(calls, 1);
  });
});
