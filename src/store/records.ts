/** What an edge keeps. Each kind of record has a key, by which it is found, and fields, which are stored as JSON. */

/** A machine that runs an agent. Its key is its name. */
export interface NodeRecord {
  /** Never used again, also where a node of the same name is added after this one was removed. */
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** RFC 3339, in UTC. */
  readonly createdAt: string;
}

/** A secret that opens something. Its key is its public id: the secret itself is not stored. */
export interface TokenRecord {
  readonly id: string;
  /** SHA-256 of the whole token, in hexadecimal. */
  readonly hash: string;
  /** The node whose tunnels it opens; null for a token that opens names. */
  readonly node: string | null;
  /** The names that it opens, such as `pr-*`; null for that of a node. */
  readonly names: string | null;
  readonly createdAt: string;
  /** Null where it does not expire. */
  readonly expiresAt: string | null;
}

/** A tunnel that was declared at the edge. Its key is its name. */
export interface TunnelRecord {
  readonly id: string;
  readonly name: string;
  readonly kind: "http" | "tcp";
  /** Names of the nodes that may serve it. */
  readonly nodes: readonly string[];
  readonly upstream: string;
  /** Own hostnames besides NAME.DOMAIN, in A-labels. A record of the kind `hostname` claims each. */
  readonly hostnames: readonly string[];
  /** Of a tcp tunnel: its port at the edge; null where it has none. */
  readonly port: number | null;
  /** What an agent must be able to do, or else it acknowledges a failure. */
  readonly requires: readonly string[];
  /** The `project` of the file that applied it; null where it was added alone. */
  readonly project: string | null;
  /** Further settings, as a file of `edge apply` has them. */
  readonly settings: Readonly<Record<string, unknown>>;
}

/** A hostname and whose it is. Its key is the hostname: a second claim is a conflict. */
export interface HostnameRecord {
  readonly hostname: string;
  readonly tunnel: string;
}

/** What a file of `edge apply` said last of the nodes that it names. Its key is the name of the file's project. */
export interface ProjectRecord {
  readonly name: string;
  /** By their names. Without `labels`, the file leaves a node's own. */
  readonly nodes: Readonly<Record<string, { readonly labels?: Readonly<Record<string, string>> }>>;
}

export interface Records {
  readonly node: NodeRecord;
  readonly token: TokenRecord;
  readonly tunnel: TunnelRecord;
  readonly hostname: HostnameRecord;
  readonly project: ProjectRecord;
}

export type Kind = keyof Records;

/** A record with the revision at which it was written last. */
export interface Stored<K extends Kind = Kind> {
  readonly key: string;
  readonly value: Records[K];
  readonly revision: number;
}

/** Instances of a node whose acknowledgements are kept: those that acknowledged last. */
export const MAX_INSTANCES_PER_NODE = 64;

/** What an agent said of a version of its config. The newest one of each instance of a node is kept. */
export interface Acknowledgement {
  readonly node: string;
  /** Which one of the node's agents; empty where it has one. */
  readonly instance: string;
  readonly version: number;
  readonly checksum: string;
  /** Null where the version was applied. */
  readonly error: string | null;
  /** The version that it goes on with where this one could not be applied. Missing: that is not known. */
  readonly applied?: number;
  readonly at: string;
}

/** Who did what. */
export interface AuditEntry {
  readonly at: string;
  /** Who: `admin`, or the public id of a token. */
  readonly actor: string;
  /** The IP address that asked; missing where none is known. */
  readonly address?: string;
  /** What, such as `node.add`. */
  readonly action: string;
  /** With what, such as the node's name. */
  readonly subject: string;
  /** Further facts. Never a secret. */
  readonly detail: Readonly<Record<string, unknown>>;
}
