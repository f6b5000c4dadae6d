/**
 * Which tunnels are open, in the file `known-tunnels.json` of the data folder: an edge that starts anew, or takes another
 * one's place, holds requests for these until their agents are there.
 */
import { z } from "zod";
import { type Clock, messageOf, systemClock, type Timer } from "../../base/mod.ts";
import { readIfExists, replacePrivateFile } from "../../config/mod.ts";
import type { Edge, EdgeEvents, ExpectedTunnel } from "../../edge/mod.ts";
import { logger } from "../../observe/mod.ts";

/**
 * Behind the first change that is not in the file yet: thousands of agents that come together cost ten writes a second. Not
 * longer, since the next edge may start right behind the change.
 */
const WRITE_AFTER_MS = 100;
const MAX_TUNNELS = 10_000;

const file = z.object({
  tunnels: z.array(z.object({ name: z.string().max(63), owner: z.string().max(256) })).max(MAX_TUNNELS),
});

export class KnownTunnels {
  /** Those of the edge before this one. */
  readonly expected: readonly ExpectedTunnel[];
  readonly #path: string;
  readonly #clock: Clock;
  #edge: Edge | null = null;
  #timer: Timer | null = null;
  #writing: Promise<void> = Promise.resolve();
  #isFrozen = false;
  /** What is still to be written; null where nothing is. */
  #last: string | null = null;

  private constructor(path: string, expected: readonly ExpectedTunnel[], clock: Clock) {
    this.#path = path;
    this.expected = expected;
    this.#clock = clock;
  }

  /** A file that cannot be read counts as empty: its tunnels are unknown until their agents are there. */
  static async open(path: string, clock: Clock = systemClock): Promise<KnownTunnels> {
    let expected: readonly ExpectedTunnel[] = [];
    try {
      const text = await readIfExists(path);
      if (text !== null) expected = file.parse(JSON.parse(text)).tunnels;
    } catch (error) {
      logger("edge").warn("The file {path} cannot be used: {reason}", { path, reason: messageOf(error) });
    }
    return new KnownTunnels(path, expected, clock);
  }

  /** What it has to know of the edge. */
  get events(): EdgeEvents {
    return { onSession: () => this.#changed(), onSessionEnd: () => this.#changed() };
  }

  start(edge: Edge): void {
    this.#edge = edge;
    this.#changed();
  }

  /** What the file says from now on is what is open now. To be called before sessions end, since this edge does. */
  freeze(): void {
    if (this.#isFrozen) return;
    this.#isFrozen = true;
    if (this.#timer !== null) this.#last = this.#text();
    this.#timer?.cancel();
    this.#timer = null;
  }

  /**
   * Writes what has changed before `freeze()` and was not written yet.
   *
   * @param hasSuccessor true: the file is that edge's, and not written
   */
  async close(hasSuccessor: boolean): Promise<void> {
    if (this.#last !== null && !hasSuccessor) this.#write(this.#last);
    this.#last = null;
    await this.#writing;
  }

  #changed(): void {
    if (this.#isFrozen || this.#edge === null) return;
    this.#timer ??= this.#clock.after(WRITE_AFTER_MS, () => {
      this.#timer = null;
      this.#write(this.#text());
    });
  }

  #text(): string {
    const { tunnels } = this.#edge!;
    // Those that are still waited for are as good as open: this edge, too, may have to start anew.
    const open = tunnels.list().filter((tunnel) => tunnel.session !== null || tunnels.isExpected(tunnel));
    const known = open.slice(0, MAX_TUNNELS).map(({ name, owner }) => ({ name, owner }));
    return `${JSON.stringify({ tunnels: known })}\n`;
  }

  #write(text: string): void {
    this.#writing = this.#writing.then(() => replacePrivateFile(this.#path, text)).catch((error) => {
      logger("edge").warn("The file {path} cannot be written: {reason}", {
        path: this.#path,
        reason: messageOf(error),
      });
    });
  }
}
