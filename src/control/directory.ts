/**
 * What the store holds, in memory: every request of the public and every token of an agent is looked up here, and the
 * store is never asked. It follows the store's commits, also those of other programs.
 */
import { wildcardOf } from "../config/mod.ts";
import {
  type Change,
  type Commit,
  isToken,
  type Kind,
  type Records,
  type Store,
  type Stored,
  tokenId,
  type TokenRecord,
  type TunnelRecord,
} from "../store/mod.ts";
import type { WallClock } from "./wall_clock.ts";

/** Told of each change, with the record before and after it; null where there is none. */
export type OnChange = (kind: Kind, before: unknown, after: unknown, revision: number) => void;

type RecordMaps = { readonly [K in Kind]: Map<string, Stored<K>> };

const kinds: readonly Kind[] = ["node", "token", "tunnel", "hostname", "project"];

export class Directory {
  readonly #store: Store;
  readonly #clock: WallClock;
  readonly #records: RecordMaps = {
    node: new Map(),
    token: new Map(),
    tunnel: new Map(),
    hostname: new Map(),
    project: new Map(),
  };
  /** Names of tunnels by those of their nodes. */
  readonly #tunnelsByNode = new Map<string, Set<string>>();
  readonly #listeners = new Set<OnChange>();
  /** Commits that wait until everything is read; null where nothing is being read. */
  #waiting: Commit[] | null = null;
  /** True where commits were missed that have not been read yet. */
  #isBehind = false;
  #revision = 0;
  #stop: () => void = () => {};

  private constructor(store: Store, clock: WallClock) {
    this.#store = store;
    this.#clock = clock;
  }

  /** Reads everything. @throws {StoreError} */
  static async load(store: Store, clock: WallClock): Promise<Directory> {
    const directory = new Directory(store, clock);
    directory.#stop = store.watch((commit) => directory.#follow(commit));
    try {
      await directory.#readAll();
    } catch (error) {
      directory.close();
      throw error;
    }
    return directory;
  }

  get nodes(): ReadonlyMap<string, Stored<"node">> {
    return this.#records.node;
  }

  get tokens(): ReadonlyMap<string, Stored<"token">> {
    return this.#records.token;
  }

  get tunnels(): ReadonlyMap<string, Stored<"tunnel">> {
    return this.#records.tunnel;
  }

  get hostnames(): ReadonlyMap<string, Stored<"hostname">> {
    return this.#records.hostname;
  }

  get projects(): ReadonlyMap<string, Stored<"project">> {
    return this.#records.project;
  }

  /** That of the newest commit in here. */
  get revision(): number {
    return this.#revision;
  }

  /** Calls `listener` after each commit, for each change in it. The returned function ends that. */
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

  /** True while the token of that id is valid. */
  isValid(tokenId: string): boolean {
    const record = this.tokens.get(tokenId)?.value;
    return record !== undefined && !this.isExpired(record);
  }

  isExpired({ expiresAt }: TokenRecord): boolean {
    return expiresAt !== null && Date.parse(expiresAt) <= this.#clock.now();
  }

  /** The declared tunnel that has `host` as its own: the exact hostname first, then the wildcard. */
  tunnelOfHost(host: string): TunnelRecord | null {
    const claim = this.hostnames.get(host) ?? this.#wildcardClaim(host);
    return claim === undefined ? null : this.tunnels.get(claim.value.tunnel)?.value ?? null;
  }

  /** Names of the tunnels that `node` may serve, sorted. */
  tunnelsOf(node: string): string[] {
    return [...this.#tunnelsByNode.get(node) ?? []].sort();
  }

  close(): void {
    this.#stop();
    this.#listeners.clear();
  }

  #wildcardClaim(host: string): Stored<"hostname"> | undefined {
    const wildcard = wildcardOf(host);
    return wildcard === null ? undefined : this.hostnames.get(wildcard);
  }

  #follow(commit: Commit): void {
    if (this.#waiting !== null) return void this.#waiting.push(commit);
    const { revision, changes } = commit;
    if (revision <= this.#revision) return;
    if (changes !== null && !this.#isBehind) {
      return this.#take(changes.map((change) => itemOf(change, revision)), revision);
    }
    // What cannot be read now is read at the next commit.
    this.#isBehind = true;
    this.#readAll().catch(() => this.#waiting = null);
  }

  /** Takes all records as they are now in the store, and then the commits that came meanwhile. */
  async #readAll(): Promise<void> {
    const waiting: Commit[] = this.#waiting = [];
    // Before the records: what is committed while they are read comes once more, from those that wait.
    const revision = await this.#store.revision();
    const items: Item[] = [];
    for (const kind of kinds) {
      const known: ReadonlyMap<string, Stored> = this.#records[kind];
      const gone = new Set(known.keys());
      for (const stored of await this.#store.list(kind)) {
        gone.delete(stored.key);
        if (known.get(stored.key)?.revision !== stored.revision) items.push({ kind, ...stored });
      }
      for (const key of gone) items.push({ kind, key, value: null, revision: Infinity });
    }
    this.#waiting = null;
    this.#isBehind = false;
    this.#take(items, revision);
    for (const commit of waiting) this.#follow(commit);
  }

  /** All of them first: who is told of one must find the others. @param revision of the directory from now on */
  #take(items: readonly Item[], revision: number): void {
    this.#revision = revision;
    const taken: [item: Item, before: Records[Kind] | null][] = [];
    for (const item of items) {
      const { kind, key, value } = item;
      const records = this.#records[kind] as Map<string, Stored>;
      const before = records.get(key) ?? null;
      // It was listed after that commit.
      if (before !== null && before.revision > item.revision) continue;
      if (before === null && value === null) continue;
      if (value === null) records.delete(key);
      else records.set(key, { key, value, revision: item.revision });
      if (kind === "tunnel") this.#index(key, before?.value as TunnelRecord | undefined, value as TunnelRecord | null);
      taken.push([item, before?.value ?? null]);
    }
    for (const [item, before] of taken) {
      for (const listener of this.#listeners) {
        listener(item.kind, before, item.value, Math.min(item.revision, revision));
      }
    }
  }

  #index(name: string, before: TunnelRecord | undefined, after: TunnelRecord | null): void {
    for (const node of before?.nodes ?? []) {
      const names = this.#tunnelsByNode.get(node);
      names?.delete(name);
      if (names?.size === 0) this.#tunnelsByNode.delete(node);
    }
    for (const node of after?.nodes ?? []) {
      const names = this.#tunnelsByNode.get(node);
      if (names === undefined) this.#tunnelsByNode.set(node, new Set([name]));
      else names.add(name);
    }
  }
}

/** A record as it is from `revision` on; `value` is null where it is gone. */
interface Item {
  readonly kind: Kind;
  readonly key: string;
  readonly value: Records[Kind] | null;
  readonly revision: number;
}

function itemOf({ kind, key, value }: Change, revision: number): Item {
  return { kind, key, value, revision };
}
