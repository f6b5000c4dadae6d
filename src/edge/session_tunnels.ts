/** The tunnels of one session. */

/** One of them, as the registry has it. */
export interface SessionTunnel {
  readonly name: string;
  /** What `:tunnel` says of requests for it; undefined where it is not said. */
  wireName: string | undefined;
}

export class SessionTunnels<T extends SessionTunnel> {
  readonly #tunnels = new Set<T>();
  /** Those that were given back count, too: the agent may still get requests for one of them. */
  #hasOpenedSeveral = false;
  #hasOpened = false;

  get size(): number {
    return this.#tunnels.size;
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#tunnels.values();
  }

  add(tunnel: T): void {
    this.#hasOpenedSeveral ||= this.#hasOpened;
    this.#hasOpened = true;
    this.#tunnels.add(tunnel);
    if (!this.#hasOpenedSeveral) return;
    for (const member of this.#tunnels) member.wireName = member.name;
  }

  delete(tunnel: T): void {
    this.#tunnels.delete(tunnel);
  }
}
