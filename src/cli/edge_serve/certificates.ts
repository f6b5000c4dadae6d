/** Which certificates an edge serves, made of its options. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../../base/mod.ts";
import { type DataFolder, type edgeServeOptions, type OptionValues, UsageError, wildcardOf } from "../../config/mod.ts";
import { type ClientPolicies, clientPolicyOf, type DeclaredTunnels } from "../../edge/mod.ts";
import {
  type CertificateSource,
  type ClientPolicy,
  type ListenTarget,
  type TlsAcceptorOptions,
  type TlsCertificate,
} from "../../net/mod.ts";
import { readAuthorityFile } from "../agent_endpoints.ts";
import type { ProgramHost } from "../host.ts";
import { CertificateFiles } from "./certificate_files.ts";
import { SelfSignedCertificate, selfSignedNames } from "./self_signed.ts";

/** The file in the data folder that holds the self-signed certificate and its key. */
const SELF_SIGNED_FILE = "self-signed.pem";

type CertificateValues = Pick<
  OptionValues<typeof edgeServeOptions>,
  "tlsCert" | "tlsKey" | "tlsSelfSigned" | "tlsUnknownName" | "clientCa" | "domain"
>;

export interface CertificatesOptions {
  values: CertificateValues;
  host: Pick<ProgramHost, "onSignal">;
  /** Null where nothing can be kept. */
  data: DataFolder | null;
  /** Where the edge listens, which a self-signed certificate names. */
  targets: readonly ListenTarget[];
  /** Those of a CA; its own one is for the domain. Default: there are none. */
  acme?: CertificateSource & { readonly own: TlsCertificate | null };
  /** Whose hostnames have the client policies of their tunnels. Default: there are none. */
  declared?: DeclaredTunnels;
  clock?: Clock;
}

/** Asks `parts` one after the other until one has a certificate. */
export function certificateSource(parts: readonly CertificateSource[]): CertificateSource {
  const ask = (
    hello: Parameters<CertificateSource["certificateFor"]>[0],
    index: number,
  ): ReturnType<CertificateSource["certificateFor"]> => {
    for (let i = index; i < parts.length; i++) {
      const answer = parts[i]!.certificateFor(hello);
      if (answer instanceof Promise) return answer.then((certificate) => certificate ?? ask(hello, i + 1));
      if (answer !== null) return answer;
    }
    return null;
  };
  return { certificateFor: (hello) => ask(hello, 0) };
}

/** The certificates while an edge runs: files are watched, and a self-signed certificate is renewed. */
export class Certificates {
  /** What a listener with TLS needs. */
  readonly tls: TlsAcceptorOptions;
  /** The pin of the self-signed certificate; null without one. */
  readonly pin: string | null;
  readonly #closers: readonly (() => void)[];

  private constructor(tls: TlsAcceptorOptions, pin: string | null, closers: readonly (() => void)[]) {
    this.tls = tls;
    this.pin = pin;
    this.#closers = closers;
  }

  /** @throws {UsageError} where a file cannot be used; `DataFolderError` where the self-signed certificate cannot */
  static async open(options: CertificatesOptions): Promise<Certificates> {
    const { values, host, acme, clock } = options;
    const closers: (() => void)[] = [];
    const parts: CertificateSource[] = [];
    /** Those that answer any name; the first one does. */
    const defaults: (() => TlsCertificate | null)[] = [];
    let pin: string | null = null;
    try {
      const policies = await readClientPolicies(values);
      if (values.tlsCert.length > 0) {
        const files = await CertificateFiles.open(pairsOf(values), clock);
        // Windows does not have it.
        closers.push(() => files.close(), host.onSignal("SIGHUP", () => void files.reload()));
        parts.push(files);
        defaults.push(() => files.first);
      }
      if (acme !== undefined) {
        parts.push(acme);
        defaults.push(() => acme.own);
      }
      if (values.tlsSelfSigned) {
        const own = await openSelfSigned(options);
        closers.push(() => own.close());
        pin = own.pin;
        parts.push(forNames(own, selfSignedNames(values.domain, [])));
        defaults.push(() => own.certificateFor());
      }
      parts.push(lastResort(defaults[0], values.tlsUnknownName === "refuse"));
      const policyOf = policies === null ? undefined : clientPolicyOf(policies, values.domain, options.declared);
      const tls = { certificates: certificateSource(parts), clientPolicyOf: policyOf, clock };
      return new Certificates(tls, pin, closers);
    } catch (error) {
      for (const close of closers) close();
      throw error;
    }
  }

  close(): void {
    for (const close of this.#closers) close();
  }
}

/** @throws {UsageError} where there is a certificate without a key, or a key without a certificate */
function pairsOf({ tlsCert, tlsKey }: CertificateValues) {
  return tlsCert.map((cert, i) => ({ cert, key: tlsKey[i] as string }));
}

/** The certificate for clients whose name no other part knows, or who name none. */
function lastResort(certificate: (() => TlsCertificate | null) | undefined, refusesNames: boolean): CertificateSource {
  return {
    certificateFor: ({ serverName }) => {
      return certificate === undefined || (refusesNames && serverName !== null) ? null : certificate();
    },
  };
}

/** `source` for these names alone; one of them may be a wildcard. */
function forNames(source: CertificateSource, names: readonly string[]): CertificateSource {
  const known = new Set(names);
  return {
    certificateFor(hello) {
      const { serverName } = hello;
      if (serverName === null) return null;
      return known.has(serverName) || known.has(wildcardOf(serverName) ?? "") ? source.certificateFor(hello) : null;
    },
  };
}

async function openSelfSigned({ data, values, targets, clock }: CertificatesOptions): Promise<SelfSignedCertificate> {
  if (data === null) {
    throw new UsageError("--tls-self-signed has no folder to keep its key in", "Name one with --data");
  }
  const names = selfSignedNames(values.domain, targets);
  return await SelfSignedCertificate.open({ path: join(data.path, SELF_SIGNED_FILE), names, clock });
}

/**
 * Whom visitors of tunnels must be certified by; null where nobody is asked.
 *
 * @throws {UsageError} where a file has no certificates
 */
async function readClientPolicies({ clientCa }: CertificateValues): Promise<ClientPolicies | null> {
  if (clientCa.length === 0) return null;
  let general: ClientPolicy | null = null;
  const ofTunnel = new Map<string, ClientPolicy>();
  for (const { tunnel, file, text } of clientCa) {
    const ca = await readAuthorityFile("--client-ca", file, text);
    // The same authorities are the same rule, whoever's visitors it is for.
    const policy: ClientPolicy = { id: createHash("sha256").update(ca).digest("hex"), ca };
    if (tunnel === null) general = policy;
    else ofTunnel.set(tunnel, policy);
  }
  return { general, ofTunnel };
}
