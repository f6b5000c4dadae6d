/** What a listener asks before it takes a connection. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type ConnectionLease, dial, listen, type ListenOptions, type Socket, SocketError } from "../../src/net/mod.ts";
import { eventually, SocketReader } from "../support/net.ts";

const LOOPBACK = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

const leaseOf = (release: () => void = () => {}): ConnectionLease => ({ release, assign: () => true });

async function withListener(
  options: ListenOptions,
  use: (
    connect: () => Promise<SocketReader>,
    accepted: readonly Socket[],
    leases: readonly (ConnectionLease | null)[],
  ) => Promise<void>,
): Promise<void> {
  const accepted: Socket[] = [];
  const leases: (ConnectionLease | null)[] = [];
  const clients: SocketReader[] = [];
  const listener = await listen(LOOPBACK, (socket, lease) => {
    accepted.push(socket);
    leases.push(lease);
    socket.resume();
  }, options);
  try {
    await use(
      async () => {
        const client = new SocketReader(await dial({ ...LOOPBACK, port: listener.address.port }));
        clients.push(client);
        return client;
      },
      accepted,
      leases,
    );
  } finally {
    for (const { socket } of clients) socket.reset();
    for (const socket of accepted) socket.reset();
    await listener.close();
  }
}

/** A runtime may see the reset during the dial or behind it. */
async function assertReset(connect: () => Promise<SocketReader>): Promise<void> {
  const error = await connect().then(({ closed }) => closed, (error) => error);
  assert.ok(error instanceof SocketError && error.code === "connection_reset", String(error));
}

describe("listen with admit", () => {
  it("resets a connection that is not admitted, and tells the address of each", async () => {
    const addresses: string[] = [];
    await withListener({
      admit: (address) => {
        addresses.push(address);
        return addresses.length === 1 ? null : leaseOf();
      },
    }, async (connect, accepted) => {
      await assertReset(connect);
      await connect();
      await eventually(() => accepted.length === 1);
      assert.deepEqual(addresses, ["127.0.0.1", "127.0.0.1"]);
    });
  });

  it("releases a lease once, when its connection has closed", async () => {
    let open = 0;
    let released = 0;
    const given: ConnectionLease[] = [];
    const admit = () => {
      open++;
      given.push(leaseOf(() => void released++));
      return given.at(-1)!;
    };
    await withListener({ admit }, async (connect, accepted, leases) => {
      const first = await connect();
      await connect();
      await eventually(() => accepted.length === 2);
      assert.deepEqual(leases, given);
      assert.deepEqual([open, released], [2, 0]);
      first.socket.reset();
      await eventually(() => released === 1);
      for (const socket of accepted) socket.reset();
      await eventually(() => released === 2);
    });
    assert.equal(released, 2);
  });

  it("gives a connection that is one too many to onSurplus, or resets it where there is none", async () => {
    let isOverfull = false;
    let surplus = 0;
    const shed: string[] = [];
    const onSurplus = (socket: Socket) => {
      surplus++;
      socket.resume();
      socket.end();
    };
    const count = { released: 0 };
    const options: ListenOptions = {
      admit: () => leaseOf(() => void count.released++),
      isOverfull: () => isOverfull,
      onShed: (why) => void shed.push(why),
    };
    await withListener({ ...options, onSurplus }, async (connect, accepted) => {
      await connect();
      await eventually(() => accepted.length === 1);
      isOverfull = true;
      const client = await connect();
      await client.ended;
      assert.deepEqual([surplus, accepted.length, shed], [1, 1, ["connections"]]);
      client.socket.end();
      await eventually(() => count.released === 1);
    });
    const counted = { released: 0 };
    const admit = () => leaseOf(() => void counted.released++);
    await withListener({ ...options, admit }, async (connect, accepted) => {
      await assertReset(connect);
      assert.deepEqual([accepted.length, counted.released], [0, 1]);
    });
  });
});
