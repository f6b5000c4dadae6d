/** What `--allow-upstream` takes: where an agent may dial. */
import { isIP } from "node:net";
import { AddressBlock, isLoopbackName } from "../net/mod.ts";

/** One entry of the list. */
export interface AllowedUpstream {
  /** The host that a target names itself, in lower case; null where addresses alone count. */
  readonly name: string | null;
  /** Addresses that are dialed. Empty where only the name counts. */
  readonly blocks: readonly AddressBlock[];
  /** Null: every port. */
  readonly port: number | null;
}

const FORMS =
  "is none of HOST:PORT, ADDRESS:PORT, ADDRESS/BITS:PORT, [IPV6]:PORT and [IPV6/BITS]:PORT; a * is every port";

/**
 * Reads `10.0.0.0/8:5432`, `127.0.0.1:*`, `[fd00::/8]:443` or `db.internal:5432`. An entry of addresses permits these,
 * whichever name led to them. A name permits what is asked for by that name, wherever it leads: whoever lists it trusts
 * its DNS. `localhost` is 127.0.0.1 and ::1. Throws an `Error` as `OptionSpec.parse` does.
 */
export function parseAllowedUpstream(text: string): AllowedUpstream {
  const [, bracketed, plain, port] = /^(?:\[([^[\]\s]+)\]|([^:[\]\s]+)):(\*|\d{1,5})$/.exec(text) ?? [];
  if (port === undefined) throw new Error(FORMS);
  return { ...hostOf(bracketed, plain), port: portOf(port) };
}

function portOf(text: string): number | null {
  if (text === "*") return null;
  const port = Number(text);
  if (port < 1 || port > 65_535) throw new Error("has a port that is not 1 to 65535");
  return port;
}

function hostOf(bracketed: string | undefined, plain = ""): Pick<AllowedUpstream, "name" | "blocks"> {
  const host = bracketed ?? plain;
  const block = AddressBlock.parse(host);
  const isIPv6 = isIP(host.replace(/\/.*$/s, "")) === 6;
  if (block !== null && isIPv6 === (bracketed !== undefined)) return { name: null, blocks: [block] };
  if (bracketed !== undefined || host.includes("/")) throw new Error("has no block of addresses such as 10.0.0.0/8");
  if (isLoopbackName(host)) return { name: null, blocks: loopbackHosts };
  // A host of digits and dots may be another spelling of an address.
  if (!/^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_.])?$/i.test(host) || /^[\dx.]+$/i.test(host)) throw new Error(FORMS);
  return { name: hostName(host), blocks: [] };
}

/** In the form in which hosts are compared. */
export function hostName(host: string): string {
  return host.toLowerCase().replace(/\.$/, "");
}

/** What `localhost` is for a dial. */
const loopbackHosts = blocksOf("127.0.0.1", "::1");

/** Every port of this machine, by its loopback addresses. */
export const loopbackUpstreams: readonly AllowedUpstream[] = [
  { name: null, blocks: blocksOf("127.0.0.0/8", "::1"), port: null },
];

function blocksOf(...texts: readonly string[]): readonly AddressBlock[] {
  return texts.map((text) => AddressBlock.parse(text) as AddressBlock);
}
