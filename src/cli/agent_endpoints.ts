/** The two ends that an agent dials, made of its options: the edge, perhaps through a proxy, and the upstream. */
import { readFile } from "node:fs/promises";
import {
  AllowedUpstreams,
  dialThrough,
  type EdgeUrl,
  parseEdgeUrl,
  parseTarget,
  proxyFor,
  type UpstreamTarget,
} from "../agent/mod.ts";
import { type AllowedUpstream, asUsageError, UsageError } from "../config/mod.ts";
import type { Dial } from "../http1/mod.ts";
import { checkCertificates, dial as dialDirectly } from "../net/mod.ts";
import type { ProgramHost } from "./host.ts";

export interface EdgeEndpoint {
  readonly edge: EdgeUrl;
  /** Dials the edge through a proxy; undefined where there is none. */
  readonly dial: Dial | undefined;
}

interface EdgeValues {
  readonly edge: string;
  readonly edgeInsecure: boolean;
  readonly edgeCa: string | undefined;
  readonly edgePin: readonly string[];
  readonly proxy: string | undefined;
}

export interface UpstreamEndpoint extends UpstreamTarget {
  /** Dials the upstream, at allowed addresses alone where a list is given. */
  readonly dialer: Dial;
}

interface UpstreamValues {
  readonly allowUpstream: readonly AllowedUpstream[];
  readonly upstreamInsecure: boolean;
  readonly upstreamCa: string | undefined;
}

/** Rejects with `UsageError` where an option is wrong. */
export async function edgeEndpoint(values: EdgeValues, host: ProgramHost): Promise<EdgeEndpoint> {
  const ca = await readAuthorities("--edge-ca", values.edgeCa);
  const edge = asUsageError(() => parseEdgeUrl(values.edge, values.edgeInsecure, ca, values.edgePin));
  const environment = (name: string) => host.environment(name);
  const proxy = asUsageError(() => proxyFor(edge, { flag: values.proxy, environment }));
  return { edge, dial: proxy === null ? undefined : dialThrough(proxy) };
}

/**
 * @param target the argument: `3000`, `https://host`
 * @throws {UsageError} where the target or an option is wrong
 */
export async function upstreamEndpoint(target: string, values: UpstreamValues): Promise<UpstreamEndpoint> {
  const ca = await readAuthorities("--upstream-ca", values.upstreamCa);
  const upstream = asUsageError(() => parseTarget(target, { insecure: values.upstreamInsecure, ca }));
  // Whoever names the target and no list wants just that target.
  if (values.allowUpstream.length === 0) return { ...upstream, dialer: dialDirectly };
  const allowed = new AllowedUpstreams(values.allowUpstream);
  if (!allowed.forbids(upstream.dial)) return { ...upstream, dialer: allowed.dialer() };
  throw new UsageError(
    `The target ${JSON.stringify(target)} is not among those of --allow-upstream`,
    upstream.dial.kind === "unix"
      ? "Name a TCP target, since --allow-upstream permits no unix sockets, or leave it out"
      : "Add its address and port with --allow-upstream HOST:PORT, or leave it out",
  );
}

/** `dial`, which gives a peer that vanished up after `tcpTimeoutMs`. */
export function withTcpTimeout(dial: Dial, tcpTimeoutMs: number): Dial {
  return (target, options, clock) => dial(target, { ...options, tcpTimeoutMs }, clock);
}

/** `readAuthorityFile`; undefined where no file is given. */
export async function readAuthorities(flag: string, file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : await readAuthorityFile(flag, file);
}

/**
 * The text of a PEM file.
 *
 * @param value of the flag, for the error. Default: the file.
 * @throws {UsageError} where it has no certificates, or other ones than valid ones
 */
export async function readAuthorityFile(flag: string, file: string, value = file): Promise<string> {
  try {
    const pem = await readFile(file, "utf8");
    checkCertificates(pem);
    return pem;
  } catch (error) {
    throw new UsageError(
      `${flag} ${JSON.stringify(value)} holds no certificates: ${(error as Error).message}`,
      "Name a file with the certificates of authorities in PEM",
    );
  }
}
