/** A store of certificates with a scripted issuer, and clocks that the test moves. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { AcmeCertificates, type AcmeCertificatesOptions } from "../../src/acme/acme_certificates.ts";
import type { FailedOrder, IssuedNames, WaitingName } from "../../src/acme/events.ts";
import type { IssuedCertificate, Issuer, IssueRequest, Prover } from "../../src/acme/issuer.ts";
import { FakeClock } from "../support/clock.ts";
import { TestAuthority } from "../support/make_certificate.ts";
import { eventually } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";

export const DAY_MS = 86_400_000;
export const HOUR_MS = 3_600_000;
/** Where the time of day of the tests begins. */
export const STARTED_AT = Date.UTC(2030, 0, 1);

export const authority = new TestAuthority();

/** What an issuer was asked, and how the test answers. */
export interface AskedOrder {
  readonly request: IssueRequest;
  /** @param lifetimeMs default 90 days */
  issue(lifetimeMs?: number): void;
  answer(issued: IssuedCertificate): void;
  fail(reason: string): void;
}

/** Keeps each order until the test answers it; with `isEager` it answers at once. */
export class ScriptedIssuer implements Issuer {
  readonly asked: AskedOrder[] = [];
  isEager = false;
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  issue(request: IssueRequest): Promise<IssuedCertificate> {
    const { promise, resolve, reject } = Promise.withResolvers<IssuedCertificate>();
    const order: AskedOrder = {
      request,
      issue: (lifetimeMs = 90 * DAY_MS) => resolve(certificateOf(request.names, this.#now(), lifetimeMs)),
      answer: resolve,
      fail: (reason) => reject(new Error(reason)),
    };
    this.asked.push(order);
    if (this.isEager) order.issue();
    return promise;
  }

  /** The names of each order. */
  get names(): string[] {
    return this.asked.map(({ request }) => request.names.join(" "));
  }
}

export function certificateOf(names: readonly string[], from: number, lifetimeMs: number): IssuedCertificate {
  const wish = { names, notBefore: new Date(from), notAfter: new Date(from + lifetimeMs) };
  const { certificate, key } = authority.make(wish);
  return { chain: certificate + authority.certificate, key };
}

export interface AcmeStage {
  readonly certificates: AcmeCertificates;
  readonly issuer: ScriptedIssuer;
  readonly clock: FakeClock;
  readonly folder: string;
  /** The time of day. */
  now(): number;
  readonly issued: IssuedNames[];
  readonly failed: FailedOrder[];
  readonly notOrdered: string[];
  readonly faults: string[];
  /** Names that wait for their next try, as told at the start. */
  readonly waiting: WaitingName[];
  /** Resolves when every order is over. */
  idle(): Promise<void>;
  /** Moves the clock, and waits behind each hour until every order is over. */
  pass(ms: number): Promise<void>;
}

export type StageOptions = Partial<Omit<AcmeCertificatesOptions, "issuer" | "folder" | "clock" | "wallNow">> & {
  readonly folder?: string;
  readonly clock?: FakeClock;
};

/** Opens a store, without starting it. Its domain is example.com, and every other name is of the owner `somebody`. */
export async function openStage(folder: string, options: StageOptions = {}): Promise<AcmeStage> {
  const clock = options.clock ?? new FakeClock();
  const now = () => STARTED_AT + clock.now();
  const issuer = new ScriptedIssuer(now);
  const [issued, failed, notOrdered, faults]: [IssuedNames[], FailedOrder[], string[], string[]] = [[], [], [], []];
  const waiting: WaitingName[] = [];
  const certificates = new AcmeCertificates({
    domain: "example.com",
    ownerOf: () => ({ owner: "somebody" }),
    ...options,
    issuer,
    folder,
    clock,
    wallNow: now,
    events: {
      onIssued: (event) => issued.push(event),
      onFailed: (event) => failed.push(event),
      onNotOrdered: (name, reason) => notOrdered.push(`${name}: ${reason}`),
      onWaiting: (name) => waiting.push(name),
      onFileFault: (path, reason) => faults.push(`${path}: ${reason}`),
    },
  });
  await certificates.load();
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= HOUR_MS) {
      clock.advance(Math.min(left, HOUR_MS));
      await idle();
    }
  };
  const idle = () => eventually(() => certificates.ordering === 0);
  return { certificates, issuer, clock, folder, now, issued, failed, notOrdered, faults, waiting, idle, pass };
}

export function withStage(use: (stage: AcmeStage) => Promise<void>, options: StageOptions = {}): Promise<void> {
  return withScratch(async (scratch) => {
    const folder = join(scratch, "acme");
    await mkdir(folder);
    const stage = await openStage(folder, options);
    try {
      await use(stage);
    } finally {
      for (const { fail } of stage.issuer.asked) fail("the test is over");
      await stage.idle();
      await stage.certificates.close();
    }
  });
}

/** Notes what it is asked, and succeeds. */
export function notingProver(): Prover & { readonly calls: string[] } {
  const calls: string[] = [];
  return {
    calls,
    present: ({ host }) => (calls.push(`present ${host}`), Promise.resolve()),
    cleanUp: ({ host }) => (calls.push(`cleanup ${host}`), Promise.resolve()),
  };
}
