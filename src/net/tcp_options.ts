/**
 * What the kernel is told about TCP connections: to notice peers that vanish, and to hold few bytes for slow ones. A
 * listener's options pass to the sockets that it accepts, so that they cost nothing there.
 */
import type * as net from "node:net";
import { runtime } from "./current_runtime.ts";
import { libc } from "./libc.ts";
import type { Libc } from "./libc_functions.ts";

/** Until a peer whose system answers nothing is given up. */
export const DEFAULT_TCP_TIMEOUT_MS = 90_000;

/**
 * What the kernel takes beyond the peer's window. It would take megabytes for a peer that reads nothing: 4 MB on
 * loopback, and 256 KB with this. What is in flight is not counted, so that fast peers are as fast.
 */
const UNSENT_BYTES = 256 * 1024;

/** Keep-alive probes that go unanswered until the peer is given up. */
const PROBES = 3;

const SOL_SOCKET = 1;
const SO_KEEPALIVE = 9;
const IPPROTO_TCP = 6;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_INFO = 11;
const TCP_NOTSENT_LOWAT = 25;
/** Since Linux 6.15; the others are older than any kernel that the runtimes support. */
const TCP_RTO_MAX_MS = 44;
/** The most that the kernel takes. */
const MAX_KEEP_ALIVE_S = 32_767;
const MAX_RTO_MS = 120_000;

/**
 * Has the kernel probe the peer of `raw`, or of each socket that a server accepts: half of `timeoutMs` after the last
 * sign of it, and then three times within the other half. `Infinity`: never.
 *
 * @param isBounded whether it holds few bytes
 */
export function setTcpOptions(raw: net.Socket | net.Server, timeoutMs: number, isBounded: boolean): void {
  const library = libc();
  if (library === null) return;
  runtime.withDescriptor(raw, library, (fd) => {
    if (isBounded) setOption(library, fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, UNSENT_BYTES);
    if (timeoutMs === Infinity) return;
    const intervalMs = timeoutMs / 2 / PROBES;
    setOption(library, fd, SOL_SOCKET, SO_KEEPALIVE, 1);
    setOption(library, fd, IPPROTO_TCP, TCP_KEEPIDLE, seconds(timeoutMs / 2));
    setOption(library, fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(intervalMs));
    setOption(library, fd, IPPROTO_TCP, TCP_KEEPCNT, PROBES);
    // Otherwise a peer whose window is closed is probed more and more rarely, every 2 minutes in the end.
    setOption(library, fd, IPPROTO_TCP, TCP_RTO_MAX_MS, Math.min(1000 * seconds(intervalMs), MAX_RTO_MS));
  });
}

/** Has the kernel hold few unsent bytes for `raw`, or as many as the system lets it. */
export function setUnsentBound(raw: net.Socket, isBounded: boolean): void {
  const library = libc();
  if (library === null) return;
  runtime.withDescriptor(raw, library, (fd) => {
    setOption(library, fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, isBounded ? UNSENT_BYTES : 0);
  });
}

/** Where `setTcpOptions` can do nothing: the runtime's own keep-alive, with the intervals that it or the system has. */
export function keepAliveOf(raw: net.Socket, timeoutMs: number): void {
  if (libc() === null && timeoutMs !== Infinity) raw.setKeepAlive(true, timeoutMs / 2);
}

function seconds(ms: number): number {
  return Math.min(Math.max(1, Math.floor(ms / 1000)), MAX_KEEP_ALIVE_S);
}

const integer = new Int32Array(1);

/** A kernel that does not know an option is left as it is. */
function setOption(library: Libc, fd: number, level: number, option: number, value: number): void {
  integer[0] = value;
  library.setsockopt(fd, level, option, integer, integer.byteLength);
}

/** What the kernel knows of a connection's peer. */
export interface PeerFacts {
  /** Retransmissions, or probes of the peer, that were sent in a row without an answer. */
  readonly unanswered: number;
  /** Milliseconds since the last packet of the peer. */
  readonly silentMs: number;
}

/** The start of Linux' `struct tcp_info`: eight bytes, then numbers of four, in the byte order of the machine. */
const info = new Uint8Array(104);
const numbers = new DataView(info.buffer);
const infoLength = new Uint32Array(1);
const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** Null where the kernel does not tell. */
export function peerFacts(raw: net.Socket): PeerFacts | null {
  const library = libc();
  if (library === null) return null;
  let facts: PeerFacts | null = null;
  runtime.withDescriptor(raw, library, (fd) => {
    infoLength[0] = info.length;
    if (library.getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, infoLength) !== 0) return;
    const [, , retransmits, probes] = info;
    // tcpi_last_data_recv and tcpi_last_ack_recv
    const silentMs = Math.min(numbers.getUint32(52, IS_LITTLE_ENDIAN), numbers.getUint32(56, IS_LITTLE_ENDIAN));
    facts = { unanswered: Math.max(retransmits, probes), silentMs };
  });
  return facts;
}
