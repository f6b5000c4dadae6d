/** The limits and options of a connection: each with its default, its unit and its check. */
import { checkRange, type Clock } from "../base/mod.ts";
import { MAX_FIELDS, MAX_HEADER_BLOCK_BYTES, MAX_U31 } from "./wire/mod.ts";
import type { MemoryAccount } from "../memory/mod.ts";
import type { NewStreamHandler, Role } from "./types.ts";

const KIB = 1_024;
const MIB = 1_024 * KIB;

/** The limits that one side sets. Those of its peer come in the peer's SETTINGS. */
export interface ConnectionLimits {
  /** Bytes that the peer may send on a new stream before any credit. Default 65,536; at least 16,384. */
  initialWindowBytes: number;
  /** No stream's window grows beyond this. Default 4 MiB. */
  maxWindowBytes: number;
  /** The pool from which windows grow, for the whole connection. Default 8 MiB. */
  growthPoolBytes: number;
  /** Streams that the peer may have open. Default: 64 at an edge (its agent opens few), 16,384 at an agent. */
  maxConcurrentStreams: number;
  /** Bytes of the largest header block that is accepted. Default and at most 131,072: twice the 64 KiB of a head. */
  maxHeaderBlockBytes: number;
  /** Fields of a header block that are accepted, pseudo-fields included. Default and at most 512. */
  maxFields: number;
  /** Header bytes that may wait, both directions, and one block. Past it new streams are refused. Default 4 MiB. */
  maxHeldHeaderBytes: number;
  /** Bytes that a connection may hold. Past it the stream that stalled longest is reset. Default 256 MiB. */
  maxHeldBytes: number;
  /** Opens by an agent that an edge takes at once, and per second afterwards. Default 256 and 100: it opens few. */
  openBurst: number;
  opensPerSecond: number;
  /** Resets by an agent of its own streams that an edge takes at once, and per second. Default 400 and 100. */
  resetBurst: number;
  resetsPerSecond: number;
  /**
   * Silence until a PING is sent. Default 10,000 ms at an agent, and 12,500 ms at an edge: the agent's PING comes before,
   * and an idle link has one every 10 s, not two. An edge may have thousands of these.
   */
  pingAfterMs: number;
  /**
   * The same where no stream is open and earlier PINGs were answered: each answer makes the next wait longer by half, up
   * to this. Default twice `pingAfterMs`, and two thirds of the way from there to `deadAfterMs` at most.
   */
  idlePingAfterMs: number;
  /** Silence, or frames unacknowledged, until the peer counts as dead. Default 25,000 ms. */
  deadAfterMs: number;
}

/** When a silent peer is asked, and given up. */
export type LinkLimits = Partial<Pick<ConnectionLimits, "pingAfterMs" | "idlePingAfterMs" | "deadAfterMs">>;

export interface ConnectionOptions {
  /** Which end this is. */
  role: Role;
  /** Called once for each stream of the peer's. Default: refuses all (`noOpNewStreamHandler`). */
  onStream?: NewStreamHandler;
  /** Default: see each of them. */
  limits?: Partial<ConnectionLimits>;
  /**
   * A handler of a stream's owner threw: its stream was reset with `INTERNAL_ERROR`. Default: the error is thrown again
   * in a microtask, where the runtime reports it as uncaught.
   */
  onHandlerError?: (error: unknown) => void;
  /** Bytes held by all connections of the process. Past its limit, the one that holds most resets a stream. */
  memory?: MemoryAccount;
  /** Default: the system's. */
  clock?: Clock;
  /** Calls back when what was queued should be sent. Default: at the end of the event-loop tick. */
  defer?: (callback: () => void) => void;
  /** Further bits of `Feature` to announce, which are those of the streams' owner. Default 0. */
  features?: number;
  /**
   * Milliseconds for which the connection outlives a lost link, and waits for `resume()`. 0: it ends with its link.
   * Default 0.
   */
  resumeTimeoutMs?: number;
  /** The number of this side's first stream, counted from 0. Default 0. A test of the last ids sets it. */
  firstStreamIndex?: number;
}

const defaults: Omit<ConnectionLimits, "maxConcurrentStreams" | "pingAfterMs" | "idlePingAfterMs"> = {
  initialWindowBytes: 64 * KIB,
  maxWindowBytes: 4 * MIB,
  growthPoolBytes: 8 * MIB,
  maxHeaderBlockBytes: MAX_HEADER_BLOCK_BYTES,
  maxFields: MAX_FIELDS,
  maxHeldHeaderBytes: 4 * MIB,
  maxHeldBytes: 256 * MIB,
  openBurst: 256,
  opensPerSecond: 100,
  resetBurst: 400,
  resetsPerSecond: 100,
  deadAfterMs: 25_000,
};

/** Streams that `acceptor` lets its peer open: an edge opens one for each visitor's request, an agent few of its own. */
export function defaultMaxConcurrentStreams(acceptor: Role): number {
  return acceptor === "agent" ? 16_384 : 64;
}

/** `given` with defaults. @throws {OptionError} naming the option and its value. */
export function connectionLimits(role: Role, given: Partial<ConnectionLimits> = {}): ConnectionLimits {
  const { pingAfterMs = role === "edge" ? 12_500 : 10_000, deadAfterMs = defaults.deadAfterMs } = given;
  const limits = {
    ...defaults,
    maxConcurrentStreams: defaultMaxConcurrentStreams(role),
    pingAfterMs,
    idlePingAfterMs: Math.min(2 * pingAfterMs, Math.floor((pingAfterMs + 2 * deadAfterMs) / 3)),
    ...given,
  };
  check(limits, "initialWindowBytes", 16 * KIB, MAX_U31);
  check(limits, "maxWindowBytes", limits.initialWindowBytes, MAX_U31);
  check(limits, "growthPoolBytes", 0, MAX_U31);
  check(limits, "maxConcurrentStreams", 0, MAX_U31);
  check(limits, "maxHeaderBlockBytes", 1 * KIB, MAX_HEADER_BLOCK_BYTES);
  check(limits, "maxFields", 16, MAX_FIELDS);
  check(limits, "maxHeldHeaderBytes", 64 * KIB, Number.MAX_SAFE_INTEGER);
  check(limits, "maxHeldBytes", limits.initialWindowBytes, Number.MAX_SAFE_INTEGER);
  for (const rate of ["openBurst", "opensPerSecond", "resetBurst", "resetsPerSecond"] as const) {
    check(limits, rate, 1, MAX_U31);
  }
  check(limits, "pingAfterMs", 1, MAX_U31);
  check(limits, "deadAfterMs", limits.pingAfterMs + 1, MAX_U31);
  check(limits, "idlePingAfterMs", limits.pingAfterMs, MAX_U31);
  return limits;
}

function check(limits: ConnectionLimits, name: keyof ConnectionLimits, least: number, most: number): void {
  checkRange(name, limits[name], least, most);
}
