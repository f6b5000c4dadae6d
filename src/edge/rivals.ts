/**
 * Who keeps a tunnel that another session claims. Of those that have it:
 *
 *     leaves, or is of the same agent ──────────────▶ gives way, and finishes what runs
 *     shares it with the newcomer, who shares, too ─▶ both serve it
 *     suspended, of the same machine ───────────────▶ is replaced at once: its process was killed, and started anew
 *     does not answer within 3 s ───────────────────▶ is replaced; one that is suspended may come back meanwhile
 *     answers ──────────────────────────────────────▶ keeps it, and the newcomer is refused
 */
import { ClaimError } from "./claim_error.ts";
import type { TunnelEntry } from "./tunnel_entry.ts";
import { describeHolder, type TunnelHolder } from "./tunnel_holder.ts";

/** The session that claims the tunnel. */
export type Newcomer = Pick<TunnelHolder, "session" | "claimant" | "isShared">;

/** One that is to be replaced. */
export interface Loser {
  readonly holder: TunnelHolder;
  /** The end of a sentence. */
  readonly why: string;
}

const FORCED = "another agent took over by force";

export class Rivals {
  readonly #challengeMs: number;

  /** @param challengeMs in which a session must answer */
  constructor(challengeMs: number) {
    this.#challengeMs = challengeMs;
  }

  /** Those that have the tunnel, and neither give way nor share it with the newcomer. */
  of({ holders }: TunnelEntry, newcomer: Newcomer): TunnelHolder[] {
    return holders.filter((holder) => {
      return holder.session !== newcomer.session && !sharesWith(holder, newcomer) && !givesWay(holder, newcomer);
    });
  }

  /** Whether one of them may be alive. */
  haveToBeAsked(entry: TunnelEntry, newcomer: Newcomer): boolean {
    return this.of(entry, newcomer).some((holder) => !isDead(holder, newcomer));
  }

  /** All of them, where the newcomer takes over by force. */
  forced(entry: TunnelEntry, newcomer: Newcomer): Loser[] {
    return this.of(entry, newcomer).map((holder) => ({ holder, why: FORCED }));
  }

  /**
   * Those that do not answer in time. Resolves at once where nobody has to be asked.
   *
   * @throws {ClaimError} `name_taken` where one keeps the tunnel
   */
  async silent(entry: TunnelEntry, newcomer: Newcomer): Promise<Loser[]> {
    const rivals = this.of(entry, newcomer);
    const asked = rivals.filter((holder) => !isDead(holder, newcomer));
    const areAlive = asked.length === 0
      ? []
      : await Promise.all(asked.map((holder) => this.#answers(holder, newcomer)));
    const losers: Loser[] = [];
    // Meanwhile some may have left, or lost the tunnel, and another session may have been faster.
    for (const holder of this.of(entry, newcomer)) {
      if (!rivals.includes(holder)) {
        throw new ClaimError("name_taken", `The name ${entry.name} is taken: another agent was faster`);
      }
      if (areAlive[asked.indexOf(holder)] === true) throw taken(entry, holder, newcomer);
      losers.push({ holder, why: reasonOf(holder, newcomer) });
    }
    return losers;
  }

  /** A suspended one answers when its agent is back. */
  #answers(holder: TunnelHolder, newcomer: Newcomer): Promise<boolean> {
    const { session } = holder;
    if (!isSameMachine(holder, newcomer)) return session.ping(this.#challengeMs);
    return new Promise((resolve) => {
      // Its process has ended, and the edge learns of it only now.
      const endWatch = session.watchSuspension((isSuspended) => isSuspended && resolve(false));
      void session.ping(this.#challengeMs).then(resolve).finally(endWatch);
    });
  }
}

/** True where both asked to share the tunnel, and are not of one agent. */
export function sharesWith(holder: TunnelHolder, newcomer: Newcomer): boolean {
  return holder.isShared && newcomer.isShared && !isSameAgent(holder, newcomer) && !holder.session.isLeaving;
}

function givesWay(holder: TunnelHolder, newcomer: Newcomer): boolean {
  return holder.session.isLeaving || isSameAgent(holder, newcomer);
}

function isSameAgent({ claimant }: TunnelHolder, newcomer: Newcomer): boolean {
  return claimant.key !== null && claimant.key === newcomer.claimant.key;
}

function isSameMachine({ claimant }: TunnelHolder, newcomer: Newcomer): boolean {
  return claimant.instance !== null && claimant.instance === newcomer.claimant.instance;
}

function isDead(holder: TunnelHolder, newcomer: Newcomer): boolean {
  return holder.session.isSuspended && isSameMachine(holder, newcomer);
}

function reasonOf(holder: TunnelHolder, newcomer: Newcomer): string {
  if (isDead(holder, newcomer)) return "its link was lost, and an agent of the same machine came";
  if (holder.session.isSuspended) return "its link was lost, and another agent came before it was back";
  return "it was silent, and another agent came";
}

function taken({ name, holders }: TunnelEntry, holder: TunnelHolder, { isShared }: Newcomer): ClaimError {
  const who = describeHolder(holder.session, holder.claimant);
  const wish = isShared
    ? "it does not share the tunnel: start it with --share, too, or stop it"
    : holder.isShared
    ? `${
      holders.length === 1 ? "it shares the tunnel" : `${holders.length} agents share the tunnel`
    }: start this one ` +
      "with --share, too, or take the name over with --force"
    : "stop it, start both with --share, or take the name over with --force";
  return new ClaimError("name_taken", `The name ${name} is taken: another agent serves it, ${who}: ${wish}`);
}
