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
const FORMS = "expected PORT, HOST:PORT, [IPV6]:PORT, :PORT, unix:PATH or fd:N";

/**
 * Reads `8080` (0.0.0.0), `0.0.0.0:8080`, `example.org:80`, `[::1]:80`, `:8080` (every address of the machine, those of
 * IPv6, too), `unix:PATH` or `fd:N`. Ports are 0 (any free one) to 65535.
 *
 * @throws {AddressError} for anything else
 */
export function parseListenTarget(text: string): ListenTarget {
  if (text.startsWith("unix:")) return parseUnix(text);
  if (text.startsWith("fd:")) return { kind: "fd", fd: parseDecimal(text, text.slice(3), 0x7fffffff, FORMS) };
  const colon = text.lastIndexOf(":");
  if (colon < 0 && !/^[0-9]+$/.test(text)) throw new AddressError(text, FORMS);
  const port = parseDecimal(text, text.slice(colon + 1), 65535, "the port must be 0 to 65535");
  return { kind: "tcp", host: colon < 0 ? "0.0.0.0" : parseHost(text, text.slice(0, colon)), port };
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

function parseHost(text: string, host: string): string {
  // "::" accepts IPv4, too. Where the system has no IPv6, `listen` takes 0.0.0.0 instead.
  if (host === "") return "::";
  if (host.startsWith("[")) {
    const inner = host.slice(1, -1);
    if (!host.endsWith("]") || !inner.includes(":") || /[^0-9a-zA-Z:.%]/.test(inner)) {
      throw new AddressError(text, FORMS);
    }
    return inner;
  }
  if (host.includes(":")) throw new AddressError(text, "an IPv6 address stands in brackets");
  if (host.length > 253 || !/^[0-9a-zA-Z._-]+$/.test(host)) throw new AddressError(text, FORMS);
  return host;
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

/** True for this machine's own addresses and names: `localhost`, NAME.localhost, 127.0.0.0/8, ::1 without brackets. */
export function isLoopback(host: string): boolean {
  if (isIP(host) === 4) return host.startsWith("127.");
  return host === "::1" || isLoopbackName(host);
}

/** True for `localhost` and NAME.localhost, in letters of any case, and with the dot of a full name behind it. */
export function isLoopbackName(host: string): boolean {
  return /^(?:.*\.)?localhost\.?$/i.test(host);
}
