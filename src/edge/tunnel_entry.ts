/** A tunnel as the registry has it: whose it is, and the sessions that serve it. */
import type { ExchangeTimeouts, Traffic } from "../http/mod.ts";
import type { EdgeSession } from "../session/mod.ts";
import type { TunnelHolder } from "./tunnel_holder.ts";

export interface Tunnel {
  readonly name: string;
  /** The owner of the token with which the name was claimed. */
  readonly owner: string;
  /** Who serves it, from the oldest to the newest. None while it is offline, several where they share it. */
  readonly holders: readonly TunnelHolder[];
  /** The session that serves it: of several, one that takes requests, where there is one. Null while offline. */
  readonly session: EdgeSession | null;
  /** Of `session`; undefined where they are the edge's defaults. */
  readonly timeouts: ExchangeTimeouts | undefined;
  /** What its exchanges are counted for. */
  traffic: Traffic;
}

/** A tunnel that an edge before this one had open: its agent is about to come. */
export type ExpectedTunnel = Pick<Tunnel, "name" | "owner">;

export class TunnelEntry implements Tunnel {
  readonly name: string;
  readonly owner: string;
  holders: readonly TunnelHolder[] = [];
  traffic: Traffic;
  freedAt: number;
  /** On the clock of the edge; until then its first agent here is waited for. */
  expectedUntil = -Infinity;
  /** Of the last claim: false once its agent cannot come back. */
  isLastKept: () => boolean = () => true;
  /** True while another session waits whether those that have the tunnel answer. */
  isChallenged = false;

  constructor(name: string, owner: string, traffic: Traffic, freedAt: number) {
    this.name = name;
    this.owner = owner;
    this.traffic = traffic;
    this.freedAt = freedAt;
  }

  get session(): EdgeSession | null {
    return this.#first?.session ?? null;
  }

  get timeouts(): ExchangeTimeouts | undefined {
    return this.#first?.timeouts;
  }

  /** False once nobody can come back for the name, and nobody who has it could. */
  get isKept(): boolean {
    return this.isLastKept() || this.holders.some((holder) => holder.isKept());
  }

  /** Null where the session does not have this tunnel. */
  holderOf(session: EdgeSession): TunnelHolder | null {
    return this.holders.find((holder) => holder.session === session) ?? null;
  }

  get #first(): TunnelHolder | undefined {
    return this.holders.find((holder) => holder.takesRequests) ?? this.holders[0];
  }
}
