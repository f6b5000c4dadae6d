/** What the edge keeps over restarts: nodes, tokens, tunnels, what agents acknowledged, and who changed what. */
export type {
  Acknowledgement,
  AuditEntry,
  HostnameRecord,
  Kind,
  NodeRecord,
  ProjectRecord,
  Records,
  Stored,
  TokenRecord,
  TunnelRecord,
} from "./records.ts";
export { MAX_INSTANCES_PER_NODE } from "./records.ts";
export { type Change, type Commit, type ListOptions, type Store, StoreError, type StoreErrorCode } from "./store.ts";
export { openSqliteStore, restoreBackup, type SqliteStoreOptions } from "./sqlite/mod.ts";
export { hashToken, isToken, makeToken, type NewToken, tokenId, type TokenUse } from "./token.ts";
