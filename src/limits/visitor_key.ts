/** Whom an address counts for. A household has an IPv6 network of its own (RFC 6177 §2), so its addresses are one visitor. */
import { isIP } from "node:net";
import { Memo } from "../base/mod.ts";

const networks = new Memo(networkOf);

/**
 * The visitor of an address: an IPv4 address itself, of an IPv6 address its /64, as `2001:db8:0:1::/64`. An IPv4 address
 * inside IPv6 (`::ffff:192.0.2.1`) is the IPv4 address. Any other text is returned as it is.
 */
export function visitorKey(address: string): string {
  return address.includes(":") ? networks.get(address) : address;
}

function networkOf(address: string): string {
  const bare = address.replace(/%.*$/s, "");
  if (isIP(bare) !== 6) return address;
  const groups = groupsOf(bare);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) return groups.slice(6).flatMap((group) => [group >> 8, group & 0xff]).join(".");
  return `${groups.slice(0, 4).map((group) => group.toString(16)).join(":")}::/64`;
}

/** The eight groups of an IPv6 address (RFC 4291 §2.2). */
function groupsOf(address: string): number[] {
  const [left = "", right] = address.split("::");
  const before = halfOf(left);
  if (right === undefined) return before;
  const behind = halfOf(right);
  return [...before, ...new Array<number>(8 - before.length - behind.length).fill(0), ...behind];
}

/** The last group may be an IPv4 address, which stands for two. */
function halfOf(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [parseInt(group, 16)];
    const [a, b, c, d] = group.split(".").map(Number) as [number, number, number, number];
    return [a << 8 | b, c << 8 | d];
  });
}
