/**
 * Proxies that are trusted, and what they say of the visitor: his address, the scheme that he used, and what they call the
 * request. Anybody can write such fields, so that they count where the connection is that of a trusted proxy, and of a
 * list only as far as trusted proxies have written it:
 *
 *     X-Forwarded-For: 6.6.6.6, 203.0.113.9, 10.0.0.2      connection: 10.0.0.1      trusted: 10.0.0.0/8
 *                      └ the visitor's own  │         └──────── trusted ────┘
 *                                           └ the rightmost one that is not: the visitor
 */
import { Memo, OptionError } from "../base/mod.ts";
import { AddressBlock, canonicalAddress, type SocketAddress } from "../net/mod.ts";
import { equalsLower, fieldValues, trimSlice } from "./fields.ts";
import type { Fields } from "./message.ts";

/** Who sent a request, as far as that is believed. */
export interface Visitor {
  /** His IP address; empty where it is unknown. */
  readonly client: string;
  readonly scheme: "http" | "https";
  /** A trusted proxy sent the request. */
  readonly isProxied: boolean;
  /** What that proxy calls the request, by X-Request-ID. */
  readonly requestId: string | undefined;
}

export interface TrustedProxiesOptions {
  /**
   * Whether `Forwarded` (RFC 7239) counts, in place of `X-Forwarded-For` and `X-Forwarded-Proto`. Default false: few
   * proxies write it, and the others pass what a visitor wrote.
   */
  usesForwarded?: boolean;
}

/** Stands for a client of a unix socket, which has no address. */
export const UNIX_PEER = "unix";
/** Entries of a list that are looked at. More proxies do not stand in a row. */
const MAX_HOPS = 32;
/** Of an entry: the longest address in brackets, with a port. */
const MAX_ENTRY_LENGTH = 64;
/** Ids of others stand in logs, events and fields as they are: one word of visible ASCII, without quotes. */
const requestIdForm = /^[\w.:+/=@~-]{1,128}$/;

/** Blocks by the words that name them. A unix socket is this machine's, too. */
const namedBlocks: Readonly<Record<string, readonly string[]>> = {
  loopback: ["127.0.0.0/8", "::1"],
  private: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
};

/** What is wrong with an item of a list of trusted proxies, as the end of a sentence; null where nothing is. */
export function trustedProxyFault(text: string): string | null {
  if (Object.hasOwn(namedBlocks, text) || AddressBlock.parse(text) !== null) return null;
  return "is none of loopback, private, an address and a block of addresses such as 10.0.0.0/8";
}

export class TrustedProxies {
  readonly #blocks: readonly AddressBlock[];
  readonly #trustsUnix: boolean;
  readonly #usesForwarded: boolean;
  /** Most requests come from a few proxies. */
  readonly #known = new Memo<boolean>((address) => this.#blocks.some((block) => block.contains(address)));

  /**
   * @param blocks addresses, blocks such as `10.0.0.0/8`, and the words `loopback` (this machine, with its unix sockets) and
   *   `private` (RFC 1918 §3 and RFC 4193)
   * @throws {OptionError} for any other text
   */
  constructor(blocks: readonly string[], options: TrustedProxiesOptions = {}) {
    this.#blocks = blocks.flatMap((text) => namedBlocks[text] ?? [text]).map(parseBlock);
    this.#trustsUnix = blocks.includes("loopback");
    this.#usesForwarded = options.usesForwarded ?? false;
  }

  /** @param address of a peer, or `UNIX_PEER` */
  isTrusted(address: string): boolean {
    return address === UNIX_PEER ? this.#trustsUnix : this.#known.get(address);
  }

  /**
   * Who sent a request.
   *
   * @param peer the address of the connection's other end, or `UNIX_PEER`
   * @param scheme that of the connection: it counts where no trusted proxy says another one
   */
  visitorOf(peer: string, scheme: "http" | "https", fields: Fields): Visitor {
    const client = peer === UNIX_PEER ? "" : peer;
    if (!this.isTrusted(peer)) return { client, scheme, isProxied: false, requestId: undefined };
    const told = this.#usesForwarded ? this.#readForwarded(client, fields) : this.#readXForwarded(client, fields);
    return { client: told.client, scheme: told.scheme ?? scheme, isProxied: true, requestId: proxiesId(fields) };
  }

  #readXForwarded(peer: string, fields: Fields): Told {
    const addresses = new MembersFromRight(fieldValues(fields, "x-forwarded-for").join(","));
    let client = peer;
    let hops = 0;
    for (; hops < MAX_HOPS; hops++) {
      const address = addressOf(addresses.next());
      // What a proxy did not write as an address, it does not know: nothing before it can be believed.
      if (address === null) break;
      client = address;
      if (!this.isTrusted(address)) {
        hops++;
        break;
      }
    }
    // A proxy appends to both lists, or has one scheme for all of them.
    const schemes = new MembersFromRight(fieldValues(fields, "x-forwarded-proto").join(","));
    let scheme = schemes.next();
    for (let hop = 1; hop < hops && scheme !== null; hop++) scheme = schemes.next() ?? scheme;
    return { client, scheme: schemeOf(scheme) };
  }

  #readForwarded(peer: string, fields: Fields): Told {
    const elements = forwardedElements(fieldValues(fields, "forwarded").join(","));
    const told: { client: string; scheme: "http" | "https" | null } = { client: peer, scheme: null };
    for (const element of elements.reverse()) {
      const address = addressOf(element.for);
      if (address === null) break;
      told.client = address;
      told.scheme = schemeOf(element.proto);
      if (!this.isTrusted(address)) break;
    }
    return told;
  }
}

/** What the fields say. */
interface Told {
  readonly client: string;
  /** Null where they say none. */
  readonly scheme: "http" | "https" | null;
}

/** The other end of a connection, as `TrustedProxies` is asked about it. */
export function peerOf({ kind, host }: SocketAddress): string {
  return kind === "unix" ? UNIX_PEER : host;
}

function parseBlock(text: string): AddressBlock {
  const block = AddressBlock.parse(text);
  if (block !== null) return block;
  throw new OptionError(`The trusted proxy ${JSON.stringify(text)} ${trustedProxyFault(text)}`);
}

/** The members of a list, the last one first. A long list is not split as a whole: its beginning may be a visitor's. */
class MembersFromRight {
  readonly #text: string;
  #end: number;

  constructor(text: string) {
    this.#text = text;
    this.#end = text.length;
  }

  /** Null where there are no more. Empty ones are passed over (RFC 9110 §5.6.1). */
  next(): string | null {
    while (this.#end > 0) {
      const comma = this.#text.lastIndexOf(",", this.#end - 1);
      const member = trimSlice(this.#text, comma + 1, this.#end);
      this.#end = Math.max(comma, 0);
      if (member !== "") return member;
    }
    return null;
  }
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`; null for anything else. */
function addressOf(entry: string | null): string | null {
  if (entry === null || entry.length > MAX_ENTRY_LENGTH || entry.includes("%")) return null;
  const [, bracketed, beforePort] = /^(?:\[([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)\]|([0-9.]+))(?::[0-9]{1,5})?$/.exec(entry) ??
    [];
  return canonicalAddress(bracketed ?? beforePort ?? entry);
}

/** Some proxies name the scheme of a WebSocket's URL. */
function schemeOf(text: string | null): "http" | "https" | null {
  if (text === null) return null;
  if (equalsLower(text, "https") || equalsLower(text, "wss")) return "https";
  return equalsLower(text, "http") || equalsLower(text, "ws") ? "http" : null;
}

function proxiesId(fields: Fields): string | undefined {
  const values = fieldValues(fields, "x-request-id");
  return values.length === 1 && requestIdForm.test(values[0]) ? values[0] : undefined;
}

interface ForwardedElement {
  readonly for: string | null;
  readonly proto: string | null;
}

const pairForm = /([^\s=;,"]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s;,"]*))/y;

/**
 * The last elements of `Forwarded` (RFC 7239 §4). None where any of them is malformed: a quote that a visitor left open must
 * not hide what a proxy wrote behind it.
 */
function forwardedElements(text: string): ForwardedElement[] {
  const elements: ForwardedElement[] = [];
  let element: { for: string | null; proto: string | null } = { for: null, proto: null };
  let isSeparated = true;
  for (let at = 0; at < text.length;) {
    const char = text[at];
    if (char === "," || char === ";" || char === " " || char === "\t") {
      at++;
      isSeparated ||= char === "," || char === ";";
      if (char !== ",") continue;
      if (elements.push(element) > MAX_HOPS) elements.shift();
      element = { for: null, proto: null };
      continue;
    }
    pairForm.lastIndex = at;
    const [whole, name, quoted, plain] = pairForm.exec(text) ?? [];
    if (whole === undefined || !isSeparated) return [];
    isSeparated = false;
    at += whole.length;
    const value = quoted === undefined ? plain : quoted.replace(/\\(.)/g, "$1");
    if (equalsLower(name, "for")) element.for = value;
    else if (equalsLower(name, "proto")) element.proto = value;
  }
  elements.push(element);
  return elements;
}
