/** The two ends that an agent dials, as its options name them: the edge, perhaps through a proxy, and the upstream. */
import { readFile } from "node:fs/promises";
import { dialThrough, type EdgeUrl, parseEdgeUrl, parseTarget, proxyFor, type UpstreamTarget } from "../agent/mod.ts";
import { UsageError } from "../config/mod.ts";
import type { Dial } from "../http1/mod.ts";
import { checkCertificates } from "../net/mod.ts";
import { usage } from "./agent_settings.ts";
import type { ProgramHost } from "./host.ts";

export interface EdgeEndpoint {
  readonly edge: EdgeUrl;
  /** Present where a proxy stands before the edge. */
  readonly dial?: Dial;
}

interface EdgeValues {
  readonly edge: string;
  readonly edgeInsecure: boolean;
  readonly edgeCa?: string | undefined;
  readonly proxy?: string | undefined;
}

interface UpstreamValues {
  readonly upstreamInsecure: boolean;
  readonly upstreamCa?: string | undefined;
}

/** Rejects with `UsageError`. */
export async function edgeEndpoint(values: EdgeValues, host: ProgramHost): Promise<EdgeEndpoint> {
  const ca = await authorities("--edge-ca", values.edgeCa);
  const edge = usage(() => parseEdgeUrl(values.edge, values.edgeInsecure, ca));
  const environment = (name: string) => host.environment(name);
  const proxy = usage(() => proxyFor(edge, { flag: values.proxy, environment }));
  return proxy === null ? { edge } : { edge, dial: dialThrough(proxy) };
}

/** Rejects with `UsageError`. */
export async function upstreamEndpoint(target: string, values: UpstreamValues): Promise<UpstreamTarget> {
  const ca = await authorities("--upstream-ca", values.upstreamCa);
  return usage(() => parseTarget(target, { insecure: values.upstreamInsecure, ...(ca === undefined ? {} : { ca }) }));
}

async function authorities(flag: string, file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    const pem = await readFile(file, "utf8");
    checkCertificates(pem);
    return pem;
  } catch (error) {
    throw new UsageError(`${flag} ${JSON.stringify(file)} holds no certificates: ${(error as Error).message}`);
  }
}
