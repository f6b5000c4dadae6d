/**
 * What the store holds, in memory: every request of the public and every token of an agent is looked up here, and the
 * store is never asked. It follows the store's commits.
 */
import {
  type Change,
  type Commit,
  isToken,
  type Kind,
  type Store,
  type Stored,
  tokenId,
  type TokenRecord,
  type TunnelRecord,
} from "../store/mod.ts";
import { wildcardOf } from "./hostnames.ts";
import type { WallClock } from "./wall_clock.ts";

/** Told of each change, with the record before and after it; null where there is none. */
export type OnChange = (kind: Kind, before: unknown, after: unknown, revision: number) => void;

export class Directory {
  readonly nodes = new Map<string, Stored<"node">>();
  readonly tokens = new Map<string, Stored<"token">>();
  readonly tunnels = new Map<string, Stored<"tunnel">>();
  readonly hostnames = new Map<string, Stored<"hostname">>();
  readonly #clock: WallClock;
  readonly #listeners = new Set<OnChange>();
  #revision = 0;
  #stop: () => void = () => {};

  private constructor(clock: WallClock) {
    this.#clock = clock;
  }

  /** Reads everything. @throws {StoreError} */
  static async load(store: Store, clock: WallClock): Promise<Directory> {
    const directory = new Directory(clock);
    const early: Commit[] = [];
    let isLoaded = false;
    directory.#stop = store.watch((commit) => {
      if (isLoaded) directory.#take(commit.revision, commit.changes);
      else early.push(commit);
    });
    for (const node of await store.list("node")) directory.nodes.set(node.key, node);
    for (const token of await store.list("token")) directory.tokens.set(token.key, token);
    for (const tunnel of await store.list("tunnel")) directory.tunnels.set(tunnel.key, tunnel);
    for (const hostname of await store.list("hostname")) directory.hostnames.set(hostname.key, hostname);
    directory.#revision = await store.revision();
    isLoaded = true;
    for (const commit of early) directory.#take(commit.revision, commit.changes);
    return directory;
  }

  /** That of the newest commit in here. */
  get revision(): number {
    return this.#revision;
  }

  /** Calls `listener` after each change. The returned function ends that. */
  onChange(listener: OnChange): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** The record of a token that is valid now; null for any other text. */
  tokenOf(token: string): TokenRecord | null {
    const id = tokenId(token);
    const record = id === null ? undefined : this.tokens.get(id)?.value;
    if (record === undefined || !isToken(token, record.hash) || this.isExpired(record)) return null;
    return record;
  }

  isExpired({ expiresAt }: TokenRecord): boolean {
    return expiresAt !== null && Date.parse(expiresAt) <= this.#clock.now();
  }

  /** The declared tunnel that has `host` as its own: the exact hostname first, then the wildcard. */
  tunnelOfHost(host: string): TunnelRecord | null {
    const wildcard = wildcardOf(host);
    const claim = this.hostnames.get(host) ?? (wildcard === null ? undefined : this.hostnames.get(wildcard));
    return claim === undefined ? null : this.tunnels.get(claim.value.tunnel)?.value ?? null;
  }

  /** Names of the tunnels that `node` may serve. */
  tunnelsOf(node: string): string[] {
    return [...this.tunnels.values()].filter(({ value }) => value.nodes.includes(node)).map(({ key }) => key);
  }

  close(): void {
    this.#stop();
    this.#listeners.clear();
  }

  #take(revision: number, changes: readonly Change[]): void {
    this.#revision = Math.max(this.#revision, revision);
    for (const { kind, key, value } of changes) {
      const records = this.#recordsOf(kind);
      const before = records.get(key) ?? null;
      // Listed after that commit.
      if (before !== null && before.revision > revision) continue;
      if (value === null) records.delete(key);
      else records.set(key, { key, value, revision });
      for (const listener of this.#listeners) listener(kind, before?.value ?? null, value, revision);
    }
  }

  #recordsOf(kind: Kind): Map<string, Stored> {
    const byKind: Record<Kind, Map<string, Stored>> = {
      node: this.nodes,
      token: this.tokens,
      tunnel: this.tunnels,
      hostname: this.hostnames,
    };
    return byKind[kind];
  }
}
