/** A session of an agent, for tests of those that choose among sessions. */
import type { EdgeSession, SessionEnd } from "../../src/session/session.ts";

/** A session whose ping is answered when the test says so. */
export class FakeSession implements EdgeSession {
  readonly protocol = "json";
  readonly active = 0;
  readonly bufferedBytes = 0;
  readonly bytesIn = 0;
  readonly bytesOut = 0;
  readonly rttMs = null;
  readonly closed: Promise<SessionEnd>;
  closedFor: string | null = null;
  replacedFor: string | null = null;
  isLeaving = false;
  isSuspended = false;
  suspendedMs = 0;
  /** It was ended since nobody needs it any more. */
  endedWithLink = false;
  drained = false;
  pingedFor: number | null = null;
  /** Default: its agent cannot be told that it lost a tunnel. */
  withdraw?: () => boolean;
  answerPing!: (isAlive: boolean) => void;
  end!: (end: SessionEnd) => void;

  constructor(readonly id: string) {
    this.closed = new Promise((resolve) => this.end = resolve);
  }

  readonly #watchers = new Set<(isSuspended: boolean) => void>();

  watchSuspension(listener: (isSuspended: boolean) => void): () => void {
    this.#watchers.add(listener);
    return () => this.#watchers.delete(listener);
  }

  get watchers(): number {
    return this.#watchers.size;
  }

  /** Its link is lost, or back. */
  suspend(isSuspended: boolean): void {
    this.isSuspended = isSuspended;
    for (const listener of [...this.#watchers]) listener(isSuspended);
  }

  endWithLink(): void {
    this.endedWithLink = true;
    if (this.isSuspended) this.end({ code: "resume_expired", reason: "" });
  }

  open(..._: unknown[]): Promise<never> {
    return Promise.reject(new Error("not asked here"));
  }

  ping(timeoutMs: number): Promise<boolean> {
    this.pingedFor = timeoutMs;
    return new Promise((resolve) => this.answerPing = resolve);
  }

  drain(): Promise<void> {
    this.drained = true;
    return Promise.resolve();
  }

  close(reason: string): void {
    this.closedFor ??= reason;
    this.end({ code: "closed", reason });
  }

  replace(reason: string): void {
    this.replacedFor = reason;
    this.end({ code: "closed", reason });
  }
}
