/**
 * A link between agent and edge on which everything goes wrong that can: it passes the bytes of each connection on, until
 * the test cuts, stalls, swallows or half-closes it, at once or at an exact byte.
 *
 *     agent ──(dials)──▶ ChaosLink ──(dials)──▶ edge      up: from the agent to the edge; down: back
 */
import { release } from "../../src/memory/mod.ts";
import { dial, type DialTarget, type Socket, type SocketError, type SocketHandlers } from "../../src/net/mod.ts";
import { startTcpServer, type TcpServer } from "./net.ts";

/** Seen from who dials: `up` to the target, `down` from it. */
export type Direction = "up" | "down";

/** What happens to one connection. */
export type Fault =
  /** Both ends are reset. What the kernel has not handed over yet is lost. */
  | "cut"
  /** Both ends get a FIN, as of a proxy that was told to stop. */
  | "end"
  /** Nothing is read any more, so that the senders' kernels fill, until `resume()`. */
  | "stall"
  /** Both directions are read and dropped. Neither end learns of what the other one does. */
  | "blackHole"
  /** The same for the one direction; the other one goes on. */
  | "blackHoleOneWay"
  /** FIN to the receiver of the one direction, whose bytes are dropped from then on; the other one goes on. */
  | "halfClose"
  /** The same, and the bytes of the other direction are dropped, too. */
  | "halfCloseAndHang";

export const faults: readonly Fault[] = [
  ...["cut", "end", "stall", "blackHole", "blackHoleOneWay", "halfClose", "halfCloseAndHang"] as const,
];

export interface ChaosCounts {
  /** Connections that came, of which `refused` were reset at once and `joined` reached the target. */
  dials: number;
  refused: number;
  joined: number;
  /** How often each fault struck a connection. */
  readonly faults: Record<Fault, number>;
  /** Bytes that were passed on, and bytes that were read and dropped. */
  readonly passed: Record<Direction, number>;
  readonly dropped: Record<Direction, number>;
}

interface Armed {
  readonly direction: Direction;
  readonly fault: Fault;
  /** Bytes of the direction that still pass. */
  left: number;
  readonly struck: () => void;
}

export class ChaosLink {
  readonly counts: ChaosCounts = {
    dials: 0,
    refused: 0,
    joined: 0,
    faults: Object.fromEntries(faults.map((fault) => [fault, 0])) as Record<Fault, number>,
    passed: { up: 0, down: 0 },
    dropped: { up: 0, down: 0 },
  };
  readonly #server: TcpServer;
  readonly #pairs = new Set<Pair>();
  #armed: Armed | null = null;
  /** Dials that are still to be refused. */
  #refusals = 0;
  #closed = false;

  private constructor(server: TcpServer) {
    this.#server = server;
  }

  /** Listens on a free port of 127.0.0.1; each connection is passed on to `target`, and reset where that cannot be dialed. */
  static async start(target: DialTarget): Promise<ChaosLink> {
    const server = await startTcpServer((socket) => void link.#join(socket, target));
    const link = new ChaosLink(server);
    return link;
  }

  get port(): number {
    return this.#server.port;
  }

  /** Connections of which at least one end is open. */
  get open(): number {
    return this.#pairs.size;
  }

  /** Resets every connection at both ends. */
  cut(): void {
    for (const pair of this.#pairs) pair.strike("cut", "up");
  }

  /** Stops reading, in one direction or both. */
  stall(direction?: Direction): void {
    for (const pair of this.#pairs) {
      this.counts.faults.stall++;
      for (const pipe of pair.pipes(direction)) pipe.stall();
    }
  }

  /** Ends every stall. */
  resume(): void {
    for (const pair of this.#pairs) for (const pipe of pair.pipes()) pipe.resume();
  }

  /** Reads and drops what comes, in one direction or both, on the connections that are there. Later ones are whole. */
  blackHole(direction?: Direction): void {
    for (const pair of this.#pairs) pair.strike(direction === undefined ? "blackHole" : "blackHoleOneWay", direction);
  }

  /** Sends FIN to the receiver of one direction, on the connections that are there. The other direction goes on, or hangs. */
  halfClose(direction: Direction, hangs = false): void {
    for (const pair of this.#pairs) pair.strike(hangs ? "halfCloseAndHang" : "halfClose", direction);
  }

  /**
   * Lets so many more bytes of one direction pass, of whichever connections, and then has `fault` strike the connection of
   * the last of them, before any further byte of that direction. Resolves when it has. One can wait at a time.
   */
  cutAfter(bytes: number, direction: Direction, fault: Fault = "cut"): Promise<void> {
    if (this.#armed !== null) throw new Error(`a ${this.#armed.fault} waits already`);
    if (!(bytes >= 1)) throw new RangeError(`no byte to strike at: ${bytes}`);
    return new Promise((resolve) => this.#armed = { direction, fault, left: bytes, struck: resolve });
  }

  /** Resets new connections at once: the next `count` of them, by default all until `admitDials()`. */
  refuseDials(count = Infinity): void {
    this.#refusals = count;
  }

  admitDials(): void {
    this.#refusals = 0;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const pair of this.#pairs) pair.reset();
    await this.#server.close();
  }

  async #join(near: Socket, target: DialTarget): Promise<void> {
    this.counts.dials++;
    if (this.#refusals > 0) {
      this.#refusals--;
      this.counts.refused++;
      return near.reset();
    }
    let far: Socket;
    try {
      far = await dial(target);
    } catch {
      return near.reset();
    }
    if (this.#closed || near.closed) {
      near.reset();
      return far.reset();
    }
    this.counts.joined++;
    const pair: Pair = new Pair(near, far, {
      counts: this.counts,
      take: (direction, bytes) => this.#take(pair, direction, bytes),
      onClosed: () => this.#pairs.delete(pair),
    });
    this.#pairs.add(pair);
    pair.begin();
  }

  /** How many of `bytes` may pass before a fault is due, and what is to be called behind them. */
  #take(pair: Pair, direction: Direction, bytes: number): { passing: number; strike: (() => void) | null } {
    const armed = this.#armed;
    if (armed === null || armed.direction !== direction) return { passing: bytes, strike: null };
    if (bytes < armed.left) {
      armed.left -= bytes;
      return { passing: bytes, strike: null };
    }
    this.#armed = null;
    const strike = () => {
      pair.strike(armed.fault, direction);
      armed.struck();
    };
    return { passing: armed.left, strike };
  }
}

interface PairOwner {
  readonly counts: ChaosCounts;
  take(direction: Direction, bytes: number): { passing: number; strike: (() => void) | null };
  onClosed(): void;
}

/** One connection: the agent's socket, the edge's, and the two directions between them. */
class Pair {
  readonly #owner: PairOwner;
  readonly #up: Pipe;
  readonly #down: Pipe;
  #open = 2;

  constructor(near: Socket, far: Socket, owner: PairOwner) {
    this.#owner = owner;
    const onClosed = () => {
      if (--this.#open === 0) owner.onClosed();
    };
    this.#up = new Pipe(near, far, "up", owner, onClosed);
    this.#down = new Pipe(far, near, "down", owner, onClosed);
  }

  begin(): void {
    this.#up.begin(this.#down);
    this.#down.begin(this.#up);
  }

  pipes(direction?: Direction): readonly Pipe[] {
    return direction === undefined ? [this.#up, this.#down] : [this.#of(direction)];
  }

  strike(fault: Fault, direction: Direction = "up"): void {
    this.#owner.counts.faults[fault]++;
    const pipe = this.#of(direction);
    const back = this.#of(direction === "up" ? "down" : "up");
    switch (fault) {
      case "cut":
        return this.reset();
      case "end":
        for (const each of [pipe, back]) each.end();
        return;
      case "stall":
        for (const each of [pipe, back]) each.stall();
        return;
      case "blackHole":
        for (const each of [pipe, back]) each.swallow();
        return;
      case "blackHoleOneWay":
        return pipe.swallow();
      case "halfCloseAndHang":
        back.swallow();
        return pipe.end();
      case "halfClose":
        return pipe.end();
    }
  }

  reset(): void {
    for (const pipe of [this.#up, this.#down]) pipe.reset();
  }

  #of(direction: Direction): Pipe {
    return direction === "up" ? this.#up : this.#down;
  }
}

/** One direction of a connection: the owner of the socket that it reads. */
class Pipe implements SocketHandlers {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #direction: Direction;
  readonly #owner: PairOwner;
  readonly #onClosed: () => void;
  #back!: Pipe;
  #isStalled = false;
  #isSwallowing = false;
  /** The part of a read that came behind the byte at which it stalled. */
  #held: Uint8Array | null = null;

  constructor(from: Socket, to: Socket, direction: Direction, owner: PairOwner, onClosed: () => void) {
    this.#from = from;
    this.#to = to;
    this.#direction = direction;
    this.#owner = owner;
    this.#onClosed = onClosed;
  }

  begin(back: Pipe): void {
    this.#back = back;
    this.#from.handlers = this;
    this.#from.resume();
  }

  stall(): void {
    this.#isStalled = true;
    this.#from.pause();
  }

  resume(): void {
    if (!this.#isStalled) return;
    this.#isStalled = false;
    const held = this.#held;
    this.#held = null;
    const isReady = held === null || this.#pass(held);
    // A fault that waited may have struck within what was held.
    if (isReady && !this.#isStalled) this.#from.resume();
  }

  /** Reads on, and drops what comes. The receiver does not learn of the sender's end either. */
  swallow(): void {
    this.#isSwallowing = true;
    this.#isStalled = false;
    if (this.#held !== null) this.#drop(this.#held);
    this.#held = null;
    this.#from.resume();
  }

  /** The receiver gets what was passed, and FIN. */
  end(): void {
    this.swallow();
    this.#to.end();
  }

  reset(): void {
    this.#isSwallowing = true;
    this.#from.reset();
  }

  onData(chunk: Uint8Array): void {
    if (this.#isSwallowing) return this.#drop(chunk);
    if (this.#isStalled) {
      this.#held = this.#held === null ? chunk : joined(this.#held, chunk);
      return;
    }
    if (!this.#pass(chunk)) this.#from.pause();
  }

  onEnd(): void {
    if (!this.#isSwallowing) this.#to.end();
  }

  onDrain(): void {
    this.#back.#drained();
  }

  onClose(error: SocketError | null): void {
    // The connection is over for the receiver as well, unless it is not to learn of that.
    if (error !== null && !this.#isSwallowing) this.#to.reset();
    this.#onClosed();
  }

  #drained(): void {
    if (!this.#isStalled) this.#from.resume();
  }

  /** False where the receiver takes no more for now. */
  #pass(chunk: Uint8Array): boolean {
    const { length } = chunk;
    const { passing, strike } = this.#owner.take(this.#direction, length);
    this.#owner.counts.passed[this.#direction] += passing;
    const isReady = this.#to.write(passing === length ? chunk : chunk.subarray(0, passing));
    if (strike === null) return isReady;
    // Handed to the kernel, these bytes arrive in front of whatever the fault sends.
    this.#to.flush();
    strike();
    if (passing === length) return isReady;
    const rest = chunk.subarray(passing);
    if (this.#isStalled) this.#held = rest;
    else this.#drop(rest);
    return isReady;
  }

  #drop(bytes: Uint8Array): void {
    this.#owner.counts.dropped[this.#direction] += bytes.length;
    release(bytes);
  }
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
