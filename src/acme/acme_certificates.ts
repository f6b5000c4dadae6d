/**
 * The certificates that an edge gets from a CA by ACME (RFC 8555): which names get one, when, and what is served
 * meanwhile.
 *
 *     wanted ─▶ waits ─▶ is ordered ─▶ is kept, and served ─▶ waits from two thirds of its lifetime on
 *                            └────▶ has failed: may be wanted again after a pause that doubles
 *
 * A certificate that is kept is served whatever becomes of its renewal, also behind its end.
 */
import { join } from "node:path";
import { type Clock, messageOf, systemClock, type Timer } from "../base/mod.ts";
import { wildcardOf } from "../config/mod.ts";
import type { CertificateSource, ClientHello, TlsCertificate } from "../net/mod.ts";
import { CertificateFolder, MAX_NAME_CHARACTERS } from "./certificate_folder.ts";
import type { AcmeEvents } from "./events.ts";
import { HttpChallenges } from "./http_challenges.ts";
import { AcmeError, type ChallengeType, type IssuedCertificate, type Issuer, type Prover } from "./issuer.ts";
import { type KeptCertificate, keptCertificate } from "./kept_certificate.ts";
import { OrderBook, type OrderLimits, WEEK_MS } from "./order_book.ts";
import { MAX_WAITING, OrderQueue } from "./order_queue.ts";
import { RecentNames } from "./recent_names.ts";

/** For whom a name is ordered. */
export interface NameOwner {
  /** Whose budget it is ordered from. */
  readonly owner: string;
  /** The name of the certificate. Default: the host itself; else the wildcard that is for it. */
  readonly name?: string;
}

export interface AcmeCertificatesOptions {
  issuer: Issuer;
  /** What must survive a restart: certificates with their keys, and which names were ordered. */
  folder: string;
  /** It always has a certificate; with `dns`, the same one is for `*.domain`, too. */
  domain: string;
  /** Asked for other hosts, and for wildcards that are to be renewed. Null: none is ordered. */
  ownerOf(host: string): NameOwner | null;
  /** Proves names by `dns-01`. Default: nothing does, and no wildcard is ordered. */
  dns?: Prover | null;
  limits?: Partial<OrderLimits>;
  /**
   * What the success of orders depends on, such as the CA and the hook, as text: the same for the same settings alone. A
   * name whose order failed with others is ordered at once. Default: they are the same at each start.
   */
  settings?: string;
  events?: AcmeEvents;
  clock?: Clock;
  /** The time of day in milliseconds since 1970. Default: the system's. */
  wallNow?: () => number;
}

interface Order {
  readonly name: string;
  readonly names: readonly string[];
  readonly challenge: ChallengeType;
  /** Null: the edge's own, which no budget bounds. */
  readonly owner: string | null;
}

/** From the first request to the CA to the certificate. */
const ISSUE_TIMEOUT_MS = 600_000;
/** The longest and the shortest pause between two looks at all certificates. */
const MAX_CHECK_MS = 3_600_000;
const MIN_CHECK_MS = 1_000;
/** A file that could not be written is written again then. */
const SAVE_AGAIN_MS = 60_000;
/** A certificate that nobody wants any more is forgotten so long behind its end. */
const FORGET_MS = 86_400_000;

export class AcmeCertificates implements CertificateSource {
  readonly #options: AcmeCertificatesOptions;
  readonly #events: AcmeEvents;
  readonly #clock: Clock;
  readonly #wallNow: () => number;
  readonly #domainOrder: Order;
  readonly #dns: Prover | null;
  readonly #http = new HttpChallenges();
  readonly #folder: CertificateFolder;
  readonly #book: OrderBook;
  readonly #queue = new OrderQueue();
  /** By the name under which it is stored. */
  readonly #kept = new Map<string, KeptCertificate>();
  /** By each name that it is for. */
  readonly #byHost = new Map<string, KeptCertificate>();
  /** By name; each resolves to what is served then. */
  readonly #underWay = new Map<string, Promise<TlsCertificate | null>>();
  /** Names of certificates whose file could not be written. */
  readonly #unsaved = new Set<string>();
  readonly #notOrdered: RecentNames;
  #timer: Timer | null = null;
  /** When all were looked at last, by the time of day. */
  #checkedAt = 0;
  #state: "new" | "started" | "closed" = "new";

  constructor(options: AcmeCertificatesOptions) {
    const { domain, folder, dns = null, clock = systemClock } = options;
    this.#options = options;
    this.#events = options.events ?? {};
    this.#clock = clock;
    this.#wallNow = options.wallNow ?? Date.now;
    this.#dns = dns;
    this.#domainOrder = dns === null
      ? { name: domain, names: [domain], challenge: "http-01", owner: null }
      : { name: domain, names: [domain, `*.${domain}`], challenge: "dns-01", owner: null };
    this.#folder = new CertificateFolder(join(folder, "certificates"));
    this.#book = new OrderBook(join(folder, "orders.json"), options.limits, options.settings);
    this.#notOrdered = new RecentNames(clock);
  }

  /** Reads what was kept. It is served from then on; nothing is ordered before `start()`. */
  async load(): Promise<void> {
    const onFault = (path: string, reason: string) => this.#events.onFileFault?.(path, reason);
    await this.#book.load(onFault);
    for (const kept of await this.#folder.load(onFault)) this.#keep(kept);
  }

  /** Begins to order: to be called once challenges can be answered. */
  start(): Promise<void> {
    if (this.#state !== "new") return Promise.resolve();
    this.#state = "started";
    for (const waiting of this.#book.waiting(this.#wallNow())) this.#events.onWaiting?.(waiting);
    this.#check();
    return Promise.resolve();
  }

  /** Orders nothing new. Resolves once no file is being written. */
  async close(): Promise<void> {
    this.#state = "closed";
    this.#timer?.cancel();
    this.#queue.close();
    await this.#book.settled;
  }

  /** At once where there is one. Else it is ordered, where the host has an owner, and comes with the order's end. */
  certificateFor(
    { serverName }: Pick<ClientHello, "serverName">,
  ): TlsCertificate | null | Promise<TlsCertificate | null> {
    // Whoever names no host asks the edge by its address.
    const host = serverName ?? this.#options.domain;
    const kept = this.#keptFor(host);
    if (kept !== undefined) return kept.tls;
    const order = this.#orderFor(host);
    return order === null ? null : this.#order(order);
  }

  /** The domain's, for clients of names without one; null while there is none. */
  get own(): TlsCertificate | null {
    return this.#keptFor(this.#options.domain)?.tls ?? null;
  }

  /** A tunnel serves `host` from now on: orders a certificate, or renews it, where that is due. */
  want(host: string): void {
    const order = this.#orderFor(host);
    if (order !== null && this.#isDue(order)) void this.#order(order);
  }

  /** The answer to a challenge of `http-01`; null where it is not one of ours. */
  challengeAnswer(host: string, token: string): string | null {
    return this.#http.answer(host, token);
  }

  /** Orders under way, those that wait among them. */
  get ordering(): number {
    return this.#underWay.size;
  }

  #keptFor(host: string): KeptCertificate | undefined {
    return this.#byHost.get(host) ?? this.#byHost.get(wildcardOf(host) ?? "");
  }

  /** The order that would bring a certificate for `host`; null where none may be ordered. */
  #orderFor(host: string): Order | null {
    if (this.#state !== "started") return null;
    const { domain } = this.#options;
    if (host === domain || (this.#dns !== null && wildcardOf(host) === `*.${domain}`)) return this.#domainOrder;
    const owned = this.#options.ownerOf(host);
    if (owned === null) return null;
    const { owner, name = host } = owned;
    const isWildcard = name.startsWith("*.");
    if (isWildcard && this.#dns === null) return this.#refuse(name, "A wildcard needs --acme-dns-hook");
    if (name.length > MAX_NAME_CHARACTERS) return this.#refuse(name, `It has over ${MAX_NAME_CHARACTERS} characters`);
    return { name, names: [name], challenge: isWildcard ? "dns-01" : "http-01", owner };
  }

  #isDue({ name, names }: Order): boolean {
    const kept = this.#kept.get(name);
    if (kept === undefined || kept.renewAt <= this.#wallNow()) return true;
    // With the first hook for DNS, the domain's certificate is to be for the wildcard, too.
    return !names.every((item) => kept.names.includes(item));
  }

  /** One at a time for a name. Null where none may be ordered now. */
  #order(order: Order): Promise<TlsCertificate | null> | null {
    const { name, owner } = order;
    const known = this.#underWay.get(name);
    if (known !== undefined) return known;
    const now = this.#wallNow();
    if (this.#book.retryAt(name, now) > now) return null;
    const isRenewal = this.#kept.has(name);
    const refusal = isRenewal || owner === null ? null : this.#refusalOf(name, owner, now);
    if (refusal !== null) return this.#refuse(name, refusal);
    // Counted at once, so that those that wait count, too.
    this.#book.begin(name, owner ?? "", now, isRenewal);
    const underWay = this.#queue.run(() => this.#issue(order, isRenewal), isRenewal).finally(() => {
      this.#underWay.delete(name);
      this.#schedule();
    });
    this.#underWay.set(name, underWay);
    return underWay;
  }

  #refusalOf(name: string, owner: string, now: number): string | null {
    if (this.#queue.isFull) return `${MAX_WAITING} names wait for their certificates already`;
    let renewals = 0;
    for (const { renewAt } of this.#kept.values()) if (renewAt <= now + WEEK_MS) renewals++;
    return this.#book.refusal(name, owner, now, renewals);
  }

  #refuse(name: string, reason: string): null {
    if (this.#notOrdered.add(name)) this.#events.onNotOrdered?.(name, reason);
    return null;
  }

  /** Resolves to what is served then: the new certificate, or the old one where there is one. */
  async #issue(order: Order, isRenewal: boolean): Promise<TlsCertificate | null> {
    const { name, names, challenge } = order;
    try {
      // What could not be remembered is not ordered: an edge that starts again and again would use up what the CA allows.
      await this.#book.save(this.#wallNow()).catch((error) => {
        throw new AcmeError(`Nothing is ordered while its file cannot be written: ${messageOf(error)}`, error);
      });
      const prover = challenge === "dns-01" ? this.#dns! : this.#http;
      const issued = await this.#inTime(this.#options.issuer.issue({ names, challenge, prover }));
      const kept = this.#checked(order, issued);
      this.#keep(kept);
      this.#book.succeeded(name);
      await this.#save(kept);
      await this.#saveBook();
      this.#events.onIssued?.({ names: kept.names, notAfter: kept.notAfter, isRenewal });
      return kept.tls;
    } catch (error) {
      const reason = messageOf(error);
      const retryInMs = this.#book.failed(name, this.#wallNow(), reason);
      await this.#saveBook();
      const old = this.#kept.get(name);
      const oldNotAfter = old?.notAfter ?? null;
      this.#events.onFailed?.({ names, challenge, reason, retryInMs, oldNotAfter });
      return old?.tls ?? null;
    }
  }

  #inTime(issued: Promise<IssuedCertificate>): Promise<IssuedCertificate> {
    const { promise, reject } = Promise.withResolvers<never>();
    const timer = this.#clock.after(ISSUE_TIMEOUT_MS, () => {
      reject(new AcmeError(`The CA has not issued it within ${ISSUE_TIMEOUT_MS / 60_000} minutes`));
    });
    return Promise.race([issued, promise]).finally(() => timer.cancel());
  }

  /** @throws {CertificateError|AcmeError} where what the CA sent cannot be served */
  #checked({ name, names }: Order, { chain, key }: IssuedCertificate): KeptCertificate {
    const kept = keptCertificate(name, chain, key);
    const missing = names.filter((item) => !kept.names.includes(item));
    if (missing.length > 0) throw new AcmeError(`The certificate that the CA sent is not for ${missing.join(", ")}`);
    if (kept.notAfter <= this.#wallNow()) throw new AcmeError("The certificate that the CA sent has ended already");
    return kept;
  }

  #keep(kept: KeptCertificate): void {
    this.#drop(kept.name);
    this.#kept.set(kept.name, kept);
    for (const host of kept.names) this.#byHost.set(host, kept);
  }

  #drop(name: string): void {
    const old = this.#kept.get(name);
    if (old === undefined) return;
    this.#kept.delete(name);
    for (const host of old.names) if (this.#byHost.get(host) === old) this.#byHost.delete(host);
  }

  async #save(kept: KeptCertificate): Promise<void> {
    try {
      await this.#folder.save(kept);
      this.#unsaved.delete(kept.name);
    } catch (error) {
      this.#unsaved.add(kept.name);
      this.#events.onFileFault?.(this.#folder.pathOf(kept.name), messageOf(error));
    }
  }

  /** A fault is told with the next order, which needs the file. */
  async #saveBook(): Promise<void> {
    await this.#book.save(this.#wallNow()).catch(() => {});
  }

  /** Looks at all certificates: what is due is ordered, and what nobody wants any more goes. */
  #check(): void {
    const now = this.#wallNow();
    this.#checkedAt = now;
    if (this.#isDue(this.#domainOrder)) void this.#order(this.#domainOrder);
    for (const kept of [...this.#kept.values()]) {
      if (this.#unsaved.has(kept.name)) void this.#save(kept);
      if (kept.renewAt > now || kept.name === this.#options.domain) continue;
      const order = this.#orderFor(kept.name);
      if (order?.name === kept.name) void this.#order(order);
      else if (kept.notAfter + FORGET_MS <= now) this.#forget(kept.name);
    }
    this.#schedule();
  }

  #forget(name: string): void {
    this.#drop(name);
    this.#unsaved.delete(name);
    this.#folder.remove(name).catch((error) => {
      this.#events.onFileFault?.(this.#folder.pathOf(name), messageOf(error));
    });
  }

  /** The next look: when the first certificate comes due, and each hour, since the time of day may be set. */
  #schedule(): void {
    if (this.#state !== "started") return;
    const now = this.#wallNow();
    let delayMs = this.#unsaved.size > 0 ? SAVE_AGAIN_MS : MAX_CHECK_MS;
    // One that was due at the last look waits for its order, or for somebody who wants it. What has come due since then
    // was not seen: an order ends just before the next look, which is put off here.
    const seenUntil = Math.min(this.#checkedAt, now);
    const consider = (at: number) => {
      if (at > seenUntil) delayMs = Math.min(delayMs, at - now);
    };
    consider(this.#book.retryAt(this.#options.domain, now));
    for (const { name, renewAt } of this.#kept.values()) {
      consider(Math.max(renewAt, this.#book.retryAt(name, now)));
    }
    this.#timer?.cancel();
    this.#timer = this.#clock.after(Math.max(delayMs, MIN_CHECK_MS), () => this.#check());
  }
}
