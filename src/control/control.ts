/**
 * What an operator can change: nodes, tokens and tunnels. Each change is one commit to the store, with its entry in the
 * audit log. Where another program changed a record meanwhile, the change is refused and can be tried again.
 */
import { defaultReservedNames, randomName } from "../config/mod.ts";
import {
  type Change,
  makeToken,
  type NodeRecord,
  type Store,
  type Stored,
  StoreError,
  type TokenRecord,
  type TunnelRecord,
} from "../store/mod.ts";
import { ControlError } from "./control_error.ts";
import { Directory } from "./directory.ts";
import { checkHostnames, checkNodeName, checkPattern, checkTunnelName } from "./rules.ts";
import { WallClock } from "./wall_clock.ts";

export interface ControlOptions {
  store: Store;
  /** Tunnels are served at NAME.domain. */
  domain: string;
  clock?: WallClock;
  /** Names that no tunnel may have. Default: those of src/config/names.ts. */
  reservedNames?: ReadonlySet<string>;
  /** Records of each kind at most. Default 10,000. */
  maxRecords?: number;
  /**
   * Who serves a tunnel of that name now without its being declared, such as `an agent with the edge's own token`; null
   * where nobody does. Default: nobody.
   */
  userOf?(name: string): string | null;
}

/** Who changes something, for the audit log. */
export type Actor = string;

/** A token that was just made: `token` is shown once. */
export interface IssuedToken {
  readonly record: TokenRecord;
  readonly token: string;
}

/** What a new tunnel is made of. */
export type NewTunnel = Omit<TunnelRecord, "id">;

const DEFAULT_MAX_RECORDS = 10_000;
/** Live tokens of one node: a rotation with a grace adds one. */
const MAX_TOKENS_PER_NODE = 10;

export class Control {
  readonly directory: Directory;
  readonly store: Store;
  readonly #domain: string;
  readonly #clock: WallClock;
  readonly #maxRecords: number;
  readonly #reservedNames: ReadonlySet<string>;
  readonly #userOf: (name: string) => string | null;

  private constructor(options: ControlOptions, directory: Directory, clock: WallClock) {
    this.directory = directory;
    this.store = options.store;
    this.#domain = options.domain.toLowerCase();
    this.#clock = clock;
    this.#maxRecords = options.maxRecords ?? DEFAULT_MAX_RECORDS;
    this.#reservedNames = options.reservedNames ?? defaultReservedNames;
    this.#userOf = options.userOf ?? (() => null);
  }

  /** @throws {StoreError} */
  static async open(options: ControlOptions): Promise<Control> {
    const clock = options.clock ?? new WallClock();
    return new Control(options, await Directory.load(options.store, clock), clock);
  }

  /** Enrols a node. @throws {ControlError} `bad_name`, `name_taken`, `too_many` */
  async addNode(
    name: string,
    labels: Readonly<Record<string, string>>,
    actor: Actor,
  ): Promise<{ readonly node: NodeRecord; readonly token: string }> {
    checkNodeName(name);
    if (this.directory.nodes.has(name)) throw new ControlError("name_taken", `There is a node ${name} already`);
    this.#checkRoom("nodes", this.directory.nodes.size);
    const node: NodeRecord = { id: randomName(), name, labels, createdAt: this.#clock.text() };
    const { record, token } = this.#issue({ node: name, names: null, expiresAt: null });
    await this.#commit(
      [{ kind: "node", key: name, value: node, ifRevision: 0 }, putToken(record)],
      { actor, action: "node.add", subject: name, detail: { labels, token: record.id } },
    );
    return { node, token };
  }

  /**
   * Gives a node a new token. The old ones end at once, or with `graceMs` after that time.
   *
   * @throws {ControlError} `node_not_found`, `too_many`
   */
  async rotateNode(name: string, graceMs: number, actor: Actor): Promise<IssuedToken> {
    const node = this.#node(name);
    const live = this.#tokensOf(name).filter((record) => !this.directory.isExpired(record));
    if (graceMs > 0 && live.length >= MAX_TOKENS_PER_NODE) {
      throw new ControlError("too_many", `The node ${name} has ${live.length} tokens: rotate without a grace`);
    }
    const issued = this.#issue({ node: name, names: null, expiresAt: null });
    const endsAt = this.#clock.text(graceMs);
    const old = this.#tokensOf(name).map((record): Change => {
      const isKept = graceMs > 0 && live.includes(record);
      if (!isKept) return { kind: "token", key: record.id, value: null };
      const expiresAt = record.expiresAt !== null && record.expiresAt < endsAt ? record.expiresAt : endsAt;
      return putToken({ ...record, expiresAt });
    });
    const detail = { token: issued.record.id, graceMs, replaced: live.map(({ id }) => id) };
    // The node is written with them, so that of two rotations at once one is refused.
    const changes: Change[] = [{ kind: "node", key: name, value: node.value, ifRevision: node.revision }];
    changes.push(putToken(issued.record), ...old);
    await this.#commit(changes, { actor, action: "node.rotate", subject: name, detail });
    return issued;
  }

  /**
   * Removes a node with its tokens. Its tunnels stay declared, and are offline where they have no other node.
   *
   * @returns the names of the tunnels that have no node now
   * @throws {ControlError} `node_not_found`
   */
  async removeNode(name: string, actor: Actor): Promise<string[]> {
    const { revision } = this.#node(name);
    const changes: Change[] = [{ kind: "node", key: name, value: null, ifRevision: revision }];
    for (const { id } of this.#tokensOf(name)) changes.push({ kind: "token", key: id, value: null });
    const left: string[] = [];
    for (const tunnelName of this.directory.tunnelsOf(name)) {
      const tunnel = this.directory.tunnels.get(tunnelName)!;
      const nodes = tunnel.value.nodes.filter((other) => other !== name);
      if (nodes.length === 0) left.push(tunnelName);
      changes.push({ kind: "tunnel", key: tunnelName, value: { ...tunnel.value, nodes }, ifRevision: tunnel.revision });
    }
    await this.#commit(changes, { actor, action: "node.remove", subject: name, detail: { tunnelsWithoutNode: left } });
    return left;
  }

  /** Makes a token that opens tunnels with the names of a pattern. @throws {ControlError} `bad_name`, `too_many` */
  async addToken(names: string, expiresInMs: number | null, actor: Actor): Promise<IssuedToken> {
    checkPattern(names);
    const expired = this.#makeRoomForToken();
    const expiresAt = expiresInMs === null ? null : this.#clock.text(expiresInMs);
    const issued = this.#issue({ node: null, names, expiresAt });
    const detail = { names, expiresAt };
    const changes = [putToken(issued.record), ...expired];
    await this.#commit(changes, { actor, action: "token.add", subject: issued.record.id, detail });
    return issued;
  }

  /** @throws {ControlError} `token_not_found` */
  async removeToken(id: string, actor: Actor): Promise<void> {
    if (!this.directory.tokens.has(id)) throw new ControlError("token_not_found", `There is no token ${id}`);
    await this.#commit(
      [{ kind: "token", key: id, value: null }],
      { actor, action: "token.remove", subject: id, detail: {} },
    );
  }

  /**
   * Declares a tunnel.
   *
   * @throws {ControlError} `bad_name`, `bad_request`, `name_taken`, `hostname_taken`, `port_taken`, `node_not_found`,
   *   `too_many`
   */
  async addTunnel(given: NewTunnel, actor: Actor): Promise<TunnelRecord> {
    const { name } = given;
    checkTunnelName(name, this.#reservedNames);
    if (this.directory.tunnels.has(name)) throw new ControlError("name_taken", `There is a tunnel ${name} already`);
    const user = this.#userOf(name);
    if (user !== null) {
      const remedy = "stop that agent first, or choose another name";
      throw new ControlError("name_taken", `The name ${name} is in use by ${user}: ${remedy}`);
    }
    this.#checkRoom("tunnels", this.directory.tunnels.size);
    const tunnel = this.#checked({ ...given, id: randomName() });
    const claims = tunnel.hostnames.map((hostname) => claim(hostname, name));
    await this.#commit(
      [{ kind: "tunnel", key: name, value: tunnel, ifRevision: 0 }, ...claims],
      { actor, action: "tunnel.add", subject: name, detail: { ...given } },
    );
    return tunnel;
  }

  /** @throws {ControlError} `tunnel_not_found` */
  async removeTunnel(name: string, actor: Actor): Promise<void> {
    const tunnel = this.directory.tunnels.get(name);
    if (tunnel === undefined) throw new ControlError("tunnel_not_found", `There is no tunnel ${name}`);
    const claims = tunnel.value.hostnames.map((key): Change => ({ kind: "hostname", key, value: null }));
    await this.#commit(
      [{ kind: "tunnel", key: name, value: null, ifRevision: tunnel.revision }, ...claims],
      { actor, action: "tunnel.remove", subject: name, detail: { hostnames: tunnel.value.hostnames } },
    );
  }

  close(): void {
    this.directory.close();
  }

  /** `tunnel` with its hostnames in their stored form. */
  #checked(tunnel: TunnelRecord): TunnelRecord {
    for (const node of tunnel.nodes) this.#node(node);
    const hostnames = checkHostnames(tunnel.hostnames, this.#domain, this.#reservedNames);
    for (const hostname of hostnames) {
      const holder = this.directory.hostnames.get(hostname)?.value.tunnel;
      if (holder !== undefined && holder !== tunnel.name) throw hostnameTaken(hostname, this.#describe(holder));
    }
    const sharing = tunnel.port === null
      ? undefined
      : [...this.directory.tunnels.values()].find(({ value }) => value.port === tunnel.port);
    if (sharing !== undefined && sharing.key !== tunnel.name) {
      throw new ControlError("port_taken", `The port ${tunnel.port} belongs to the tunnel ${sharing.key}`);
    }
    return { ...tunnel, hostnames };
  }

  /** A tunnel, as its neighbours may know it: nothing of its upstream or its tokens. */
  #describe(name: string): string {
    const tunnel = this.directory.tunnels.get(name)?.value;
    const nodes = tunnel?.nodes.join(", ") ?? "";
    return nodes === "" ? `the tunnel ${name}` : `the tunnel ${name} of ${nodes}`;
  }

  #node(name: string): Stored<"node"> {
    const node = this.directory.nodes.get(name);
    if (node === undefined) throw new ControlError("node_not_found", `There is no node ${name}`);
    return node;
  }

  #tokensOf(node: string): TokenRecord[] {
    return [...this.directory.tokens.values()].map(({ value }) => value).filter((record) => record.node === node);
  }

  #issue(init: Pick<TokenRecord, "node" | "names" | "expiresAt">): IssuedToken {
    const { id, token, hash } = makeToken(init.node === null ? "name" : "node");
    return { record: { id, hash, ...init, createdAt: this.#clock.text() }, token };
  }

  /** Those of nodes are bounded with the nodes. Expired ones go where there is no room left. */
  #makeRoomForToken(): Change[] {
    const tokens = [...this.directory.tokens.values()].filter(({ value }) => value.node === null);
    if (tokens.length < this.#maxRecords) return [];
    const expired = tokens.filter(({ value }) => this.directory.isExpired(value));
    this.#checkRoom("tokens", tokens.length - expired.length);
    return expired.map(({ key }) => ({ kind: "token", key, value: null }));
  }

  #checkRoom(what: string, count: number): void {
    if (count < this.#maxRecords) return;
    throw new ControlError("too_many", `The edge has ${count} ${what}, which is the most that it takes`);
  }

  /** @throws {StoreError} `unavailable` */
  async #commit(changes: Change[], audit: { actor: Actor; action: string; subject: string; detail: object }) {
    const detail = audit.detail as Readonly<Record<string, unknown>>;
    try {
      return await this.store.commit(changes, { ...audit, detail, at: this.#clock.text() });
    } catch (error) {
      throw asControlError(error);
    }
  }
}

function putToken(record: TokenRecord): Change {
  return { kind: "token", key: record.id, value: record };
}

function claim(hostname: string, tunnel: string): Change {
  return { kind: "hostname", key: hostname, value: { hostname, tunnel }, ifRevision: 0 };
}

function hostnameTaken(hostname: string, holder: string, cause?: unknown): ControlError {
  return new ControlError("hostname_taken", `The hostname ${hostname} belongs to ${holder}`, cause);
}

/** Another program was faster than the directory knows. */
function asControlError(error: unknown): unknown {
  if (!(error instanceof StoreError)) return error;
  if (error.code === "conflict" && error.subject?.kind === "hostname") {
    return hostnameTaken(error.subject.key, "another tunnel", error);
  }
  if (error.code === "conflict" || error.code === "reference") {
    return new ControlError("conflict", `${error.reason}: try again`, error);
  }
  return error;
}
