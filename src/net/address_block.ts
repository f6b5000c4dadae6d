/** A block of IP addresses, such as 10.0.0.0/8. */
import { BlockList, isIP } from "node:net";
import { canonicalAddress } from "./address.ts";

export class AddressBlock {
  readonly #list = new BlockList();
  readonly #type: "ipv4" | "ipv6";

  private constructor(address: string, prefix: number) {
    this.#type = typeOf(address);
    this.#list.addSubnet(address, prefix, this.#type);
  }

  /**
   * Reads an address, which is a block of one, or `ADDRESS/BITS` (RFC 4632 §3.1, RFC 4291 §2.3); null for any other text.
   * An IPv4 address inside IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
   */
  static parse(text: string): AddressBlock | null {
    const [, address, bits] = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
    const plain = address === undefined || address.includes("%") ? null : canonicalAddress(address);
    if (plain === null) return null;
    const ofMapped = isIP(address as string) === 6 && isIP(plain) === 4 ? MAPPED_BITS : 0;
    const longest = isIP(plain) === 4 ? 32 : 128;
    const prefix = bits === undefined ? longest : Number(bits) - ofMapped;
    return prefix < 0 || prefix > longest ? null : new AddressBlock(plain, prefix);
  }

  /** False for a text that is no address, such as a name. An IPv4 address inside IPv6 is the IPv4 address. */
  contains(address: string): boolean {
    const plain = canonicalAddress(address);
    return plain !== null && typeOf(plain) === this.#type && this.#list.check(plain, this.#type);
  }
}

/** Bits in front of the IPv4 address (RFC 4291 §2.5.5.2). */
const MAPPED_BITS = 96;

function typeOf(address: string): "ipv4" | "ipv6" {
  return isIP(address) === 4 ? "ipv4" : "ipv6";
}
