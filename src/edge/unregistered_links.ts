/**
 * The links of the JSON protocol that have not registered. Whoever can reach the edge can open them, and needs no token. So
 * none is refused for others: where there are too many, the oldest link of the address that has the most goes. An honest
 * agent registers within a round trip.
 */
import type { Timer } from "../base/mod.ts";
import type { WebSocketConnection } from "../websocket/mod.ts";

export interface UnregisteredLinksOptions {
  /** Of all addresses. Default 1,024. */
  maxLinks?: number;
  /** Of one address. Default 256. */
  maxLinksPerAddress?: number;
}

const DEFAULT_MAX_LINKS = 1_024;
const DEFAULT_MAX_LINKS_PER_ADDRESS = 256;

interface Entry {
  readonly network: string;
  /** Limits how long the link may take. */
  readonly timer: Timer;
}

export class UnregisteredLinks {
  readonly #maxLinks: number;
  readonly #maxLinksPerAddress: number;
  readonly #entries = new Map<WebSocketConnection, Entry>();
  /** The links of each network, oldest first. */
  readonly #networks = new Map<string, Set<WebSocketConnection>>();

  constructor(options: UnregisteredLinksOptions = {}) {
    this.#maxLinks = options.maxLinks ?? DEFAULT_MAX_LINKS;
    this.#maxLinksPerAddress = options.maxLinksPerAddress ?? DEFAULT_MAX_LINKS_PER_ADDRESS;
  }

  /**
   * Adds `link`. Returns the link that has to go for it, and is to be removed; null where there is room.
   *
   * @param address of its agent; empty where it is unknown: such links have no share of their own
   * @param timer is canceled when the link is removed
   */
  add(link: WebSocketConnection, address: string, timer: Timer): WebSocketConnection | null {
    const network = networkOf(address);
    this.#entries.set(link, { network, timer });
    const links = this.#networks.get(network) ?? new Set();
    this.#networks.set(network, links.add(link));
    if (address !== "" && links.size > this.#maxLinksPerAddress) return oldestOf(links);
    return this.#entries.size > this.#maxLinks ? oldestOf(this.#largest()) : null;
  }

  remove(link: WebSocketConnection): void {
    const entry = this.#entries.get(link);
    if (entry === undefined) return;
    entry.timer.cancel();
    this.#entries.delete(link);
    const links = this.#networks.get(entry.network) as Set<WebSocketConnection>;
    links.delete(link);
    if (links.size === 0) this.#networks.delete(entry.network);
  }

  /** All of them, to be closed. */
  list(): WebSocketConnection[] {
    return [...this.#entries.keys()];
  }

  /** Of several that are as large, the one that began first. */
  #largest(): ReadonlySet<WebSocketConnection> {
    let largest: ReadonlySet<WebSocketConnection> = new Set();
    for (const links of this.#networks.values()) if (links.size > largest.size) largest = links;
    return largest;
  }
}

function oldestOf(links: ReadonlySet<WebSocketConnection>): WebSocketConnection {
  return links.values().next().value as WebSocketConnection;
}

/** What one subscriber has: an IPv4 address, or the first 64 bits of an IPv6 address (RFC 6177 §2). */
export function networkOf(address: string): string {
  if (!address.includes(":")) return address;
  const [before = "", behind] = address.split("%", 1)[0]!.split("::");
  const left = before === "" ? [] : before.split(":");
  const right = behind === undefined || behind === "" ? [] : behind.split(":");
  // The last two groups may be written as an IPv4 address.
  const groups = left.length + right.length + (address.includes(".") ? 1 : 0);
  const zeros = behind === undefined ? 0 : Math.max(0, 8 - groups);
  return [...left, ...Array(zeros).fill("0"), ...right].slice(0, 4).join(":");
}
