/** What there is on an edge, and what was counted, for whoever shows it. */
import type { Traffic } from "../http/mod.ts";
import type { EdgeSession } from "../session/mod.ts";
import type { TrafficTable } from "./traffic_table.ts";
import type { Tunnels } from "./tunnels.ts";

/** Of one tunnel. */
export interface TunnelFigures {
  readonly name: string;
  /** Its own counters, or those of all for which there was no room. */
  readonly traffic: Traffic;
  /** The session that takes its requests; null while it is offline. */
  readonly session: EdgeSession | null;
}

/** How often something was refused since the start. */
export interface RefusalFigures {
  /** Agents with a wrong token. */
  readonly tokens: number;
  /** Names and sessions past a quota. */
  readonly quota: number;
  /** Connections while descriptors ran out, or there were too many. */
  readonly descriptors: number;
  /** Requests, connections and handshakes past a limit of visitors. */
  readonly limits: number;
}

export interface EdgeFiguresParts {
  readonly tunnels: Tunnels;
  readonly traffic: TrafficTable;
  sessions(): Iterable<EdgeSession>;
  refusals(): RefusalFigures;
}

export class EdgeFigures {
  readonly #parts: EdgeFiguresParts;

  constructor(parts: EdgeFiguresParts) {
    this.#parts = parts;
  }

  /** Requests that go to no tunnel. */
  get own(): Traffic {
    return this.#parts.traffic.own;
  }

  /** Tunnels past the number of those that are counted by themselves. */
  get rest(): Traffic {
    return this.#parts.traffic.rest;
  }

  get refusals(): RefusalFigures {
    return this.#parts.refusals();
  }

  /** Sessions of agents, those without a tunnel included. */
  sessions(): Iterable<EdgeSession> {
    return this.#parts.sessions();
  }

  /**
   * Every tunnel: those that an agent has opened, offline ones included, and those that are declared. What nobody has
   * any more is forgotten.
   *
   * @param declared their names
   */
  tunnels(declared: Iterable<string> = []): TunnelFigures[] {
    const { tunnels, traffic } = this.#parts;
    const opened = tunnels.list();
    const names = new Set(opened.map(({ name }) => name));
    for (const name of declared) names.add(name);
    traffic.retain(names);
    // There may be room now for one that was counted with the rest.
    for (const tunnel of opened) tunnel.traffic = traffic.of(tunnel.name);
    return Array.from(names, (name) => {
      const session = tunnels.get(name)?.session ?? null;
      return { name, traffic: traffic.of(name), session: session?.isLeaving === false ? session : null };
    });
  }
}
