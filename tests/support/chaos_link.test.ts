import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { afterEach, beforeEach, describe, it } from "node:test";
import { dial, type Socket, type SocketError } from "../../src/net/mod.ts";
import { ChaosLink, type Direction } from "./chaos_link.ts";
import { bytesOf, eventually, fillUntilStalled, latin1, patternBytes, SocketReader, startTcpServer } from "./net.ts";
import type { TcpServer } from "./net.ts";

describe("ChaosLink", () => {
  let server: TcpServer;
  let link: ChaosLink;
  let accepted: Socket[];
  const opened: Socket[] = [];
  beforeEach(async () => {
    accepted = [];
    server = await startTcpServer((socket) => accepted.push(socket));
    link = await ChaosLink.start(server.target);
  });
  afterEach(async () => {
    for (const socket of opened.splice(0)) socket.reset();
    await link.close();
    await server.close();
  });

  const connect = async () => {
    const socket = await dial({ kind: "tcp", host: "127.0.0.1", port: link.port });
    opened.push(socket);
    return new SocketReader(socket);
  };
  /** The two ends of a connection through the link, by what is sent from them. */
  async function join(): Promise<Record<Direction, SocketReader>> {
    const before = accepted.length;
    const up = await connect();
    await eventually(() => accepted.length > before);
    return { up, down: new SocketReader(accepted[before]!) };
  }
  /** Deno reports a reset that comes at once as that of the dial. */
  async function assertRefused(): Promise<void> {
    const reason = await connect().then(({ closed }) => closed, (error) => error as SocketError);
    assert.equal(reason?.code, "connection_reset");
  }
  const other = (direction: Direction) => direction === "up" ? "down" : "up";
  const send = ({ socket }: SocketReader, text: string) => void socket.write(bytesOf(text));

  it("passes bytes and FIN of both directions on while nothing is asked of it", async () => {
    const ends = await join();
    const sent = patternBytes(3_000_000);
    for (const { socket } of Object.values(ends)) {
      socket.write(sent.slice());
      socket.end();
    }
    for (const reader of Object.values(ends)) assert.equal(Buffer.compare(await reader.readAll(), sent), 0);
    await eventually(() => link.open === 0);
    assert.deepEqual(link.counts.passed, { up: sent.length, down: sent.length });
    assert.deepEqual(link.counts.dropped, { up: 0, down: 0 });
    assert.deepEqual([link.counts.dials, link.counts.joined, link.counts.refused], [1, 1, 0]);
  });

  it("resets both ends when it is cut", async () => {
    const ends = await join();
    link.cut();
    for (const reader of Object.values(ends)) assert.equal((await reader.closed)?.code, "connection_reset");
    await eventually(() => link.open === 0);
    assert.equal(link.counts.faults.cut, 1);
  });

  for (const direction of ["up", "down"] as const) {
    it(`lets exactly as many bytes pass as it was told before it ends both sides (${direction})`, async () => {
      const ends = await join();
      const struck = link.cutAfter(100_003, direction, "end");
      const sent = patternBytes(300_000);
      ends[direction].socket.write(sent.slice());
      await struck;
      const received = await ends[other(direction)].readAll();
      assert.equal(Buffer.compare(received, sent.subarray(0, 100_003)), 0, `${received.length} bytes came`);
      await ends[direction].ended;
      await eventually(() => link.counts.dropped[direction] === 300_000 - 100_003);
      assert.equal(link.counts.passed[direction], 100_003);
    });

    it(`counts bytes over connections, and strikes the one on which the last of them passed (${direction})`, async () => {
      const first = await join();
      const struck = link.cutAfter(10, direction, "cut");
      send(first[direction], "1234");
      assert.equal(latin1(await first[other(direction)].read(4)), "1234");
      const second = await join();
      send(second[direction], "567890 and more");
      await struck;
      for (const reader of Object.values(second)) await reader.closed;
      send(first[direction], "on");
      assert.equal(latin1(await first[other(direction)].read(2)), "on");
      assert.equal(link.counts.passed[direction], 12);
    });

    it(`drops one direction as a black hole, without a word to either end (${direction})`, async () => {
      const ends = await join();
      link.blackHole(direction);
      send(ends[direction], "lost");
      send(ends[other(direction)], "heard");
      assert.equal(latin1(await ends[direction].read(5)), "heard");
      await eventually(() => link.counts.dropped[direction] === 4);
      ends[direction].socket.reset();
      // What the other end sends arrives nowhere any more, and it is not told why nothing comes.
      await eventually(() => ends[direction].sawClose);
      assert.deepEqual([ends[other(direction)].sawEnd, ends[other(direction)].sawClose], [false, false]);
      assert.equal(ends[other(direction)].receivedBytes, 0);
    });

    it(`half-closes a direction behind an exact byte while the other one goes on (${direction})`, async () => {
      const ends = await join();
      const struck = link.cutAfter(3, direction, "halfClose");
      send(ends[direction], "abcdef");
      await struck;
      assert.equal(latin1(await ends[other(direction)].readAll()), "abc");
      send(ends[other(direction)], "goes on");
      assert.equal(latin1(await ends[direction].read(7)), "goes on");
      send(ends[direction], "lost");
      await eventually(() => link.counts.dropped[direction] === 7);
    });

    it(`half-closes a direction while the other one hangs (${direction})`, async () => {
      const ends = await join();
      link.halfClose(direction, true);
      await ends[other(direction)].ended;
      for (const reader of Object.values(ends)) send(reader, "lost");
      await eventually(() => link.counts.dropped.up === 4 && link.counts.dropped.down === 4);
      assert.deepEqual([ends[direction].receivedBytes, ends[direction].sawEnd], [0, false]);
      assert.equal(link.counts.faults.halfCloseAndHang, 1);
    });

    it(`stalls its sender until it is resumed, and loses nothing (${direction})`, async () => {
      const ends = await join();
      const struck = link.cutAfter(5, direction, "stall");
      send(ends[direction], "hello, ");
      await struck;
      assert.equal(latin1(await ends[other(direction)].read(5)), "hello");
      const taken = await fillUntilStalled(ends[direction].socket);
      assert.equal(ends[other(direction)].receivedBytes, 5);
      link.resume();
      await eventually(() => ends[other(direction)].receivedBytes >= 7 + taken);
      assert.equal(latin1(await ends[other(direction)].read(2)), ", ");
    });
  }

  it("drops both directions as a black hole, and leaves later connections whole", async () => {
    const ends = await join();
    link.blackHole();
    for (const reader of Object.values(ends)) send(reader, "lost");
    await eventually(() => link.counts.dropped.up === 4 && link.counts.dropped.down === 4);
    for (const reader of Object.values(ends)) assert.deepEqual([reader.receivedBytes, reader.sawClose], [0, false]);
    const later = await join();
    send(later.up, "found");
    assert.equal(latin1(await later.down.read(5)), "found");
    assert.equal(link.open, 2);
  });

  it("resets as many dials as it was told to, and then joins again", async () => {
    link.refuseDials(2);
    for (let dialed = 0; dialed < 2; dialed++) await assertRefused();
    const ends = await join();
    send(ends.up, "in");
    assert.equal(latin1(await ends.down.read(2)), "in");
    assert.deepEqual([link.counts.dials, link.counts.refused, link.counts.joined], [3, 2, 1]);
  });

  it("resets every dial until it admits them again", async () => {
    link.refuseDials();
    for (let dialed = 0; dialed < 5; dialed++) await assertRefused();
    link.admitDials();
    await join();
    assert.equal(link.counts.refused, 5);
  });

  it("resets a connection whose target is not there", async () => {
    await server.close();
    await assertRefused();
    await eventually(() => link.open === 0);
  });
});
