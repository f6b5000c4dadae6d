/** Who an agent is: its token's owner, its session, and what its handshake said of it. */
import {
  agentKeyFieldName,
  featuresFieldName,
  instanceFieldName,
  instancePattern,
  nameOriginFieldName,
  parseFeatures,
  RANDOM_NAME_ORIGIN,
  versionFieldName,
} from "../config/mod.ts";
import { fieldValue, type RequestHead } from "../http/mod.ts";
import type { EdgeSession } from "../session/mod.ts";
import { type PublicOrigin, publicOriginOf } from "./public_urls.ts";
import type { TokenOwner } from "./tokens.ts";

/** The agent that asks. It is known from the session, never from a field of the request. */
export interface AgentIdentity {
  readonly owner: TokenOwner;
  readonly session: EdgeSession;
  readonly peer: AgentPeer;
}

/** What an agent's handshake said of it. */
export interface AgentPeer {
  /** Its IP address, or that of a proxy that is not trusted; empty where it is unknown. */
  readonly address: string;
  /** How it was asked for the edge, where a trusted proxy passed that on. */
  readonly origin?: PublicOrigin | null;
  /** The version of its program; null for agents of another make. */
  readonly version: string | null;
  /** What it can do, which tunnels may require. */
  readonly features: ReadonlySet<string>;
  /** The same for all sessions of one agent; null for agents of another make or an earlier version. */
  readonly key: string | null;
  /** Stays the same when the agent's process is started anew; null where it tells none. */
  readonly instance: string | null;
  /** True where it says that the name of its tunnel was drawn at random. */
  readonly hasRandomName: boolean;
}

/** @param head of the agent's handshake */
export function agentPeerOf(
  head: Pick<RequestHead, "client" | "fields" | "isProxied" | "scheme" | "authority">,
): AgentPeer {
  const { client, fields } = head;
  const valueOf = (name: string) => fieldValue(fields, name.toLowerCase()) ?? "";
  const [version, key] = [valueOf(versionFieldName), valueOf(agentKeyFieldName)];
  const instance = valueOf(instanceFieldName);
  return {
    address: client,
    origin: publicOriginOf(head),
    version: /^[\w.+-]{1,64}$/.test(version) ? version : null,
    features: parseFeatures(valueOf(featuresFieldName)),
    key: /^[\w-]{16,64}$/.test(key) ? key : null,
    instance: instancePattern.test(instance) ? instance : null,
    hasRandomName: valueOf(nameOriginFieldName) === RANDOM_NAME_ORIGIN,
  };
}
