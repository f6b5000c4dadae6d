/** The fields of an agent's handshake that say what it is. Edges ignore those that they do not know. */
import { randomBytes } from "node:crypto";
import {
  agentKeyFieldName,
  featuresFieldName,
  instanceFieldName,
  nameOriginFieldName,
  RANDOM_NAME_ORIGIN,
  versionFieldName,
} from "../config/mod.ts";
import type { Fields } from "../http/mod.ts";

export interface AgentFacts {
  /** Undefined: it is not told. */
  readonly version?: string;
  /** See `newAgentKey`. Default: none is told. */
  readonly agentKey?: string;
  /** See `keptInstance`. Default: none is told, and a suspended session gives way to this one's successor after 3 s. */
  readonly instance?: string;
  /** True where the name of its tunnel was drawn, and nobody chose it. Default false. */
  readonly hasRandomName?: boolean;
}

/** A key for one agent, which it shows with each of its handshakes. */
export function newAgentKey(): string {
  return randomBytes(16).toString("base64url");
}

/** @param features what it can do, for tunnels that require something */
export function handshakeFields(
  { version, agentKey, instance, hasRandomName }: AgentFacts,
  features: readonly string[],
): Fields {
  const fields = [featuresFieldName, features.join(", ")];
  if (version !== undefined) fields.push(versionFieldName, version);
  if (agentKey !== undefined) fields.push(agentKeyFieldName, agentKey);
  if (instance !== undefined) fields.push(instanceFieldName, instance);
  if (hasRandomName === true) fields.push(nameOriginFieldName, RANDOM_NAME_ORIGIN);
  return fields;
}
