/** Addresses as text: as a user gives them for a listener, and as logs and errors show them. */
import { isIP } from "node:net";
import { nameErrorClass, RunnelError } from "../base/mod.ts";
import type { DialTarget, ListenTarget, SocketAddress } from "./socket.ts";

/** The text of a listen address is not valid. Code `invalid_address`; the message names the text. */
export class AddressError extends RunnelError {
  static {
    nameErrorClass(this, "AddressError");
  }

  constructor(text: string, expected: string) {
    super({ code: "invalid_address", reason: `Invalid address "${text}": ${expected}`, initiator: "user" });
  }
}

/** The longest `sun_path` (unix(7)) that all systems accept, without the NUL at its end. */
const MAX_UNIX_PATH_BYTES = 103;
const FORMS = "expected PORT, HOST, HOST:PORT, [IPV6]:PORT, :PORT, *:PORT, unix:PATH or fd:N";

/** A host and a port as a user gives them. */
export interface HostPort {
  /** Without brackets. `*`: every address of the machine. Empty where a port stands alone. */
  readonly host: string;
  /** Null where none is given. */
  readonly port: number | null;
}

/** Why a text is no host and port, as a sentence without capital and full stop; null where it has another form. */
export interface HostPortFault {
  readonly fault: string | null;
}

/**
 * Reads `8080`, `:8080` and `*:8080` (every address), `*`, `HOST`, `HOST:PORT`, `[IPV6]`, `[IPV6]:PORT`, and an IPv6
 * address without brackets unless its end looks like a port. Hosts are not checked beyond that.
 *
 * @param leastPort ports are this to 65535. Default 0.
 */
export function readHostPort(text: string, leastPort = 0): HostPort | HostPortFault {
  if (isIP(text) === 6) return withoutBrackets(text);
  const [, host, digits] = /^(\*|\[[^\s[\]]*\]|[^\s/:@?#[\]*]*)(?::([0-9]*))?$/.exec(text) ?? [];
  if (host === undefined || text === "") return { fault: null };
  if (digits === undefined) return /^[0-9]+$/.test(host) ? withPort("", host, leastPort) : hostOf(host, null);
  if (digits === "") return { fault: "the port is missing" };
  return withPort(host === "" ? "*" : host, digits, leastPort);
}

function withPort(host: string, digits: string, leastPort: number): HostPort | HostPortFault {
  const port = /^[0-9]{1,5}$/.test(digits) ? Number(digits) : Infinity;
  const isPort = port >= leastPort && port <= 65535;
  return isPort ? hostOf(host, port) : { fault: `the port must be ${leastPort} to 65535` };
}

function hostOf(host: string, port: number | null): HostPort | HostPortFault {
  if (!host.startsWith("[")) return { host, port };
  const inner = host.slice(1, -1);
  const isAddress = isIP(inner.replace(/%[0-9a-zA-Z._-]+$/, "")) === 6;
  return isAddress ? { host: inner, port } : { fault: null };
}

/** `::1:8080` is an address, but whoever wrote it probably means port 8080 of `::1`. */
function withoutBrackets(address: string): HostPort | HostPortFault {
  const colon = address.lastIndexOf(":");
  const [begin, end] = [address.slice(0, colon), address.slice(colon + 1)];
  if (!/^[0-9]{2,5}$/.test(end) && !(isIP(begin) === 6 && /^[0-9]$/.test(end))) return { host: address, port: null };
  const host = isIP(begin) === 6 ? begin : `${begin}:`;
  const other = isIP(host) === 6 ? `[${host}]:${end}, or [${address}] for an address without a port` : `[${address}]`;
  return { fault: `write ${other}` };
}

/**
 * Reads what `readHostPort` does (a port alone is one of 0.0.0.0, `*` is `::`), `unix:PATH` or `fd:N`. Port 0 is any free
 * one.
 *
 * @param defaultPort the port where none is given. Default: one must be given.
 * @throws {AddressError} for anything else
 */
export function parseListenTarget(text: string, defaultPort?: number): ListenTarget {
  if (text.startsWith("unix:")) return parseUnix(text);
  if (text.startsWith("fd:")) return { kind: "fd", fd: parseDecimal(text, text.slice(3), 0x7fffffff, FORMS) };
  if (/^[.~]{0,2}\//.test(text)) throw new AddressError(text, `for a unix socket, write unix:${text}`);
  const read = readHostPort(text);
  if ("fault" in read) throw new AddressError(text, read.fault ?? FORMS);
  const port = read.port ?? defaultPort;
  if (port === undefined) throw new AddressError(text, "the port is missing");
  return { kind: "tcp", host: listenHost(text, read.host), port };
}

function listenHost(text: string, host: string): string {
  if (host === "") return "0.0.0.0";
  // "::" accepts IPv4, too. Where the system has no IPv6, `listen` takes 0.0.0.0 instead.
  if (host === "*") return "::";
  if (!host.includes(":") && !/^[0-9a-zA-Z_][0-9a-zA-Z._-]{0,252}$/.test(host)) throw new AddressError(text, FORMS);
  return host;
}

function parseUnix(text: string): ListenTarget {
  const path = text.slice("unix:".length);
  if (path === "") throw new AddressError(text, "the path is missing");
  if (path.includes("\0")) throw new AddressError(text.replaceAll("\0", "\\0"), "the path holds a NUL");
  if (new TextEncoder().encode(path).length > MAX_UNIX_PATH_BYTES) {
    throw new AddressError(text, `the path is longer than ${MAX_UNIX_PATH_BYTES} bytes`);
  }
  return { kind: "unix", path };
}

function parseDecimal(text: string, digits: string, max: number, expected: string): number {
  if (!/^[0-9]{1,10}$/.test(digits)) throw new AddressError(text, expected);
  const value = Number(digits);
  if (value > max) throw new AddressError(text, expected);
  return value;
}

/** `127.0.0.1:80`, `[::1]:80`, `unix:/run/app.sock`. */
export function formatAddress(address: SocketAddress): string {
  if (address.kind === "unix") return `unix:${address.host}`;
  return address.host.includes(":") ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** The same for a target; `fd:3` for an inherited descriptor. */
export function formatTarget(target: DialTarget | ListenTarget): string {
  if (target.kind === "fd") return `fd:${target.fd}`;
  return formatAddress(
    target.kind === "unix" ? unixAddress(target.path) : { kind: "tcp", host: target.host, port: target.port },
  );
}

export function unixAddress(path: string): SocketAddress {
  return { kind: "unix", host: path, port: 0 };
}

/** A listener on `::` sees IPv4 clients as `::ffff:192.0.2.1`. They get the IPv4 address that they have. */
export function tcpAddress(host: string | undefined, port: number | undefined): SocketAddress {
  const plain = host?.startsWith("::ffff:") && host.includes(".") ? host.slice("::ffff:".length) : host;
  return { kind: "tcp", host: plain ?? "", port: port ?? 0 };
}

/**
 * An IP address in the one form in which addresses are compared and logged: IPv6 as RFC 5952 writes it, without a zone,
 * and an IPv4 address inside IPv6 as the IPv4 address, to which a connection then goes. Null for any other text.
 */
export function canonicalAddress(text: string): string | null {
  const bare = text.includes("%") ? text.replace(/%.*$/s, "") : text;
  const family = isIP(bare);
  if (family !== 6) return family === 0 ? null : bare;
  // The parser of URLs writes each address in one way: `::ffff:a00:1`.
  const written = bareHost(new URL(`http://[${bare}]/`).hostname);
  const [, high, low] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(written) ?? [];
  if (high === undefined || low === undefined) return written;
  return [high, low].flatMap((group) => [parseInt(group, 16) >> 8, parseInt(group, 16) & 0xff]).join(".");
}

/** The host of a URL or an authority without the brackets of an IPv6 address. */
export function bareHost(host: string): string {
  return host.replace(/^\[|\]$/g, "");
}

/** True for this machine's own addresses and names: `localhost`, NAME.localhost, 127.0.0.0/8, ::1 without brackets. */
export function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith("127.");
  return host === "::1" || isLoopbackName(host);
}

/** True for `localhost` and NAME.localhost, in letters of any case, and with the dot of a full name behind it. */
export function isLoopbackName(host: string): boolean {
  return /^(?:.*\.)?localhost\.?$/i.test(host);
}
