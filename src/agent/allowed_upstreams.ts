/**
 * Where an agent may dial, whoever named the target. The addresses of a name are checked at each dial, so that a name
 * which leads elsewhere today does not lead there: a captured edge must not reach the neighbors of its agents.
 */
import { isIP } from "node:net";
import { type AllowedUpstream, hostName, loopbackUpstreams } from "../config/mod.ts";
import type { Dial } from "../http1/mod.ts";
import { dial as dialDirectly, type DialTarget, formatTarget, isLoopbackName, SocketError } from "../net/mod.ts";

export class AllowedUpstreams {
  readonly #entries: readonly AllowedUpstream[];

  /** @param entries default: every port of this machine's loopback addresses, which is for targets of the edge's config */
  constructor(entries: readonly AllowedUpstream[] = loopbackUpstreams) {
    this.#entries = entries;
  }

  /**
   * A `dial` of allowed targets alone. It rejects with `SocketError` as `dial` does, and with `address_not_allowed` for
   * the others. Unix sockets are among these.
   *
   * @param dial default: that of src/net
   */
  dialer(dial: Dial = dialDirectly): Dial {
    return (target, options, clock) => {
      if (target.kind === "unix") return Promise.reject(notAllowed(target));
      const { host, port } = target;
      return dial(target, { ...options, isAllowed: (address) => this.#allows(host, port, address) }, clock);
    };
  }

  /** True where no dial of `target` can be allowed, whatever its name leads to. */
  forbids(target: DialTarget): boolean {
    if (target.kind === "unix") return true;
    const { host, port } = target;
    if (isIP(host) !== 0) return !this.#allows(host, port, host);
    if (isLoopbackName(host)) return !["127.0.0.1", "::1"].some((address) => this.#allows(host, port, address));
    return !this.#entries.some((entry) => hasPort(entry, port) && (entry.name === null || isNamed(entry, host)));
  }

  /** @param address that `host` leads to */
  #allows(host: string, port: number, address: string): boolean {
    return this.#entries.some((entry) => {
      return hasPort(entry, port) && (isNamed(entry, host) || entry.blocks.some((block) => block.contains(address)));
    });
  }
}

function hasPort(entry: AllowedUpstream, port: number): boolean {
  return entry.port === null || entry.port === port;
}

function isNamed({ name }: AllowedUpstream, host: string): boolean {
  return name !== null && name === hostName(host);
}

function notAllowed(target: DialTarget): SocketError {
  const reason = `Cannot connect to ${formatTarget(target)}: unix sockets are not allowed`;
  return new SocketError({ code: "address_not_allowed", reason, initiator: "user" });
}
