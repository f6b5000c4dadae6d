/** What `edge serve --acme` makes of its flags: certificates for the domain, and for the hostnames of tunnels. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import {
  AcmeCertificates,
  AcmeClientIssuer,
  type AcmeEvents,
  DnsHook,
  type Issuer,
  type NameOwner,
} from "../../acme/mod.ts";
import { messageOf, systemClock, type Timer } from "../../base/mod.ts";
import { type DataFolder, UsageError, wildcardOf } from "../../config/mod.ts";
import { type DeclaredTunnels, type Edge, type EdgeEvents, joinEvents } from "../../edge/mod.ts";
import { logger } from "../../observe/mod.ts";
import { readAuthorities } from "../agent_endpoints.ts";
import type { ServeValues } from "./acme_flags.ts";

export interface EdgeAcmeOptions {
  readonly values: ServeValues;
  /** Null where nothing can be kept. */
  readonly data: DataFolder | null;
  readonly declared?: DeclaredTunnels;
  /** Beside the log. */
  readonly events?: AcmeEvents;
  /** Default: the CA of the flags. */
  readonly issuer?: Issuer;
}

/** Certificates for an edge: to be opened before it, started once it listens, and closed behind it. */
export class EdgeAcme {
  readonly certificates: AcmeCertificates;
  readonly #domain: string;
  readonly #hasWildcard: boolean;
  readonly #declared: DeclaredTunnels | undefined;
  /** Names of open tunnels that were drawn at random. */
  readonly #randomNames = new Set<string>();
  #edge: Edge | null = null;
  #startTimer: Timer | null = null;

  private constructor(
    { values, declared, events }: EdgeAcmeOptions,
    { folder, issuer, settings }: { folder: string; issuer: Issuer; settings: string },
  ) {
    const { domain, acmeDnsHook: command, acmeDnsTimeout: timeoutMs } = values;
    this.#domain = domain.toLowerCase();
    this.#hasWildcard = command !== undefined;
    this.#declared = declared;
    this.certificates = new AcmeCertificates({
      issuer,
      folder,
      domain: this.#domain,
      ownerOf: (host) => this.#ownerOf(host),
      dns: command === undefined ? null : new DnsHook({ command, timeoutMs }),
      settings,
      limits: { namesPerWeek: values.acmeNamesPerWeek, namesPerOwner: values.acmeNamesPerToken },
      events: joinEvents<AcmeEvents>(logEvents(), events ?? {}),
    });
  }

  /**
   * Reads what was kept.
   *
   * @throws {UsageError} where nothing can be kept
   */
  static async open(options: EdgeAcmeOptions): Promise<EdgeAcme> {
    const { values, data } = options;
    if (data === null) throw new UsageError("--acme needs a data folder for its certificates", "Name one with --data");
    const folder = join(data.acmePath, folderOf(values.acmeDirectory));
    const ca = await readAuthorities("--acme-ca", values.acmeCa);
    const issuer = options.issuer ?? new AcmeClientIssuer({
      directoryUrl: values.acmeDirectory.href,
      accountKeyPath: join(folder, "account.key"),
      email: values.acmeEmail,
      ca,
      onTerms: (url) => {
        logger("acme").info("--acme accepts the terms of the CA: {url}", { url: url ?? "it names none" });
      },
    });
    const acme = new EdgeAcme(options, { folder, issuer, settings: settingsOf(values, ca) });
    await acme.certificates.load();
    return acme;
  }

  /** What it has to know of the edge's tunnels. */
  get events(): EdgeEvents {
    return {
      onSession: (_id, tunnel, _protocol, { hasRandomName }) => {
        if (hasRandomName && this.#declared?.has(tunnel) !== true) this.#randomNames.add(tunnel);
        else this.#randomNames.delete(tunnel);
        this.#want(tunnel);
      },
      onSessionEnd: (_id, tunnel) => {
        const session = this.#edge?.tunnels.get(tunnel)?.session ?? null;
        if (session === null) this.#randomNames.delete(tunnel);
      },
    };
  }

  /**
   * True for the host of a tunnel that gets no certificate, since its name was drawn at random and there is no wildcard.
   * It is served without TLS alone.
   *
   * @param isDrawn true where the tunnel is about to open, and its name was drawn. Default false.
   */
  isPlainHost(host: string, isDrawn = false): boolean {
    const name = this.#nameOf(host);
    return !this.#hasWildcard && name !== null && (isDrawn || this.#randomNames.has(name));
  }

  /** Begins to order. */
  async start(edge: Edge): Promise<void> {
    this.#edge = edge;
    await this.certificates.start();
    // Agents may have come meanwhile.
    for (const { name, session } of edge.tunnels.list()) if (session !== null) this.#want(name);
  }

  /** The same after `delayMs`. */
  startLater(edge: Edge, delayMs: number): void {
    this.#edge = edge;
    this.#startTimer = systemClock.after(delayMs, () => {
      this.start(edge).catch((error) => {
        logger("acme").error("No certificate is ordered: {reason}", { reason: messageOf(error) });
      });
    });
  }

  close(): Promise<void> {
    this.#startTimer?.cancel();
    return this.certificates.close();
  }

  #want(tunnel: string): void {
    const host = `${tunnel}.${this.#domain}`;
    if (this.isPlainHost(host)) {
      const why = "its name was drawn at random. Choose one with --name, or get a wildcard by --acme-dns-hook";
      logger("acme").warn(`No certificate is ordered for {host}, which is served as http alone: ${why}`, { host });
    } else this.certificates.want(host);
    for (const hostname of this.#declared?.get?.(tunnel)?.hostnames ?? []) this.certificates.want(hostname);
  }

  #ownerOf(host: string): NameOwner | null {
    const name = this.#nameOf(host);
    if (name !== null) {
      // The operator has declared it: its own budget.
      if (this.#declared?.has(name)) return { owner: `tunnel:${name}` };
      const tunnel = this.#edge?.tunnels.get(name);
      return tunnel === undefined || tunnel.session === null || this.#randomNames.has(name)
        ? null
        : { owner: tunnel.owner };
    }
    const tunnel = this.#declared?.ofHost(host) ?? null;
    if (tunnel === null) return null;
    const isExact = this.#declared!.get?.(tunnel)?.hostnames.includes(host) ?? false;
    return { owner: `tunnel:${tunnel}`, name: isExact ? host : wildcardOf(host) ?? host };
  }

  /** The tunnel's name of NAME.DOMAIN; null for other hosts. */
  #nameOf(host: string): string | null {
    if (!host.endsWith(`.${this.#domain}`)) return null;
    const name = host.slice(0, -this.#domain.length - 1);
    return name.includes(".") || name === "*" ? null : name;
  }
}

/** Each CA has a folder of its own: certificates of one for tests are not served in place of another's. */
function folderOf(directory: URL): string {
  const digest = createHash("sha256").update(directory.href).digest("hex").slice(0, 8);
  return `${directory.hostname.replace(/[^a-z0-9.-]/g, "_")}-${digest}`;
}

/** Whoever mends a flag of these need not wait until an order that failed may be tried again. */
function settingsOf({ acmeDirectory, acmeEmail, acmeDnsHook, acmeDnsTimeout }: ServeValues, ca?: string): string {
  const parts = [acmeDirectory.href, acmeEmail, ca, acmeDnsHook, acmeDnsTimeout];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}

function day(ms: number): string {
  return new Date(ms).toISOString().slice(0, 10);
}

function logEvents(): AcmeEvents {
  const log = logger("acme");
  return {
    onIssued: ({ names, notAfter, isRenewal }) => {
      const what = isRenewal
        ? "Renewed the certificate for {names}, until {end}"
        : "Got a certificate for {names}, until {end}";
      log.info(what, { names: names.join(", "), end: day(notAfter) });
    },
    onFailed: ({ names, reason, retryInMs, oldNotAfter }) => {
      const rest = oldNotAfter === null ? "Visitors of https are refused" : "The old one goes on until {end}";
      log.error(`No certificate for {names}: {reason}. ${rest}; the next try is in {minutes} min`, {
        names: names.join(", "),
        reason,
        end: oldNotAfter === null ? "" : day(oldNotAfter),
        minutes: Math.ceil(retryInMs / 60_000),
      });
    },
    onWaiting: ({ name, reason, retryAt }) => {
      const next = "the next try is at {time}, in {minutes} min";
      log.warn(
        `The last order of a certificate for {name} failed with the same flags: {reason}. Unless they change, ${next}`,
        {
          name,
          reason,
          time: new Date(retryAt).toISOString(),
          minutes: Math.ceil((retryAt - Date.now()) / 60_000),
        },
      );
    },
    onNotOrdered: (name, reason) => log.warn("No certificate is ordered for {name}: {reason}", { name, reason }),
    onFileFault: (path, reason) => log.error("The file {path} cannot be used: {reason}", { path, reason }),
  };
}
