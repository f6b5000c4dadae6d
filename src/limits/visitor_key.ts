/** Whom an address counts for. A household has an IPv6 network of its own (RFC 6177 §2), so its addresses are one visitor. */
import { Memo } from "../base/mod.ts";
import { canonicalAddress } from "../net/mod.ts";

const networks = new Memo(networkOf);

/**
 * The visitor of an address: an IPv4 address itself, of an IPv6 address its /64, as `2001:db8:0:1::/64`. An IPv4 address
 * inside IPv6 (`::ffff:192.0.2.1`) is the IPv4 address. Any other text is returned as it is.
 */
export function visitorKey(address: string): string {
  return address.includes(":") ? networks.get(address) : address;
}

function networkOf(address: string): string {
  const canonical = canonicalAddress(address);
  if (canonical === null) return address;
  if (!canonical.includes(":")) return canonical;
  // `::` stands for as many zeros as are missing of eight groups (RFC 5952 §4.2).
  const [before = [], behind = []] = canonical.split("::").map((half) => half === "" ? [] : half.split(":"));
  const zeros = new Array<string>(8 - before.length - behind.length).fill("0");
  return `${[...before, ...zeros, ...behind].slice(0, 4).join(":")}::/64`;
}
