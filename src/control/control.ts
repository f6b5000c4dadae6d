/**
 * What an operator can change: nodes, tokens and tunnels. Each change is one commit to the store, with its entry in the
 * audit log. Where another program changed a record meanwhile, the change is refused and can be tried again.
 */
import { isDeepStrictEqual } from "node:util";
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
import type { Deployment, TunnelRules } from "./deployment_plan.ts";
import { apply, type DeploymentResult, type DeploymentStage, type DeployOptions, rollback } from "./deployments.ts";
import { Directory } from "./directory.ts";
import { belongsElsewhere, claim, describeTunnel, hostnameTaken, ofProject, portTaken } from "./holders.ts";
import { checkHostnames, checkKind, checkNodeName, checkPattern, checkTunnelName } from "./rules.ts";
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
  /**
   * Told behind each commit that gave `node` another version of its config. `deploy`: a file was applied; `fleet`: the node
   * itself changed; `tunnel`: one tunnel did.
   */
  onConfigChanged?(node: string, version: number, reason: ConfigChangeReason): void;
}

export type ConfigChangeReason = "deploy" | "fleet" | "tunnel";

/**
 * Who changes something, for the audit log: `admin`, or the public id of a token. `address` is the IP address that asks,
 * empty where there is none.
 */
export type Actor = string | { readonly id: string; readonly address: string };

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
  readonly #onConfigChanged: NonNullable<ControlOptions["onConfigChanged"]>;

  private constructor(options: ControlOptions, directory: Directory, clock: WallClock) {
    this.directory = directory;
    this.store = options.store;
    this.#domain = options.domain.toLowerCase();
    this.#clock = clock;
    this.#maxRecords = options.maxRecords ?? DEFAULT_MAX_RECORDS;
    this.#reservedNames = options.reservedNames ?? defaultReservedNames;
    this.#userOf = options.userOf ?? (() => null);
    this.#onConfigChanged = options.onConfigChanged ?? (() => {});
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
      // One that was removed meanwhile must not come back.
      return putToken({ ...record, expiresAt }, this.directory.tokens.get(record.id)!.revision);
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
    const sharing: string[] = [];
    for (const tunnelName of this.directory.tunnelsOf(name)) {
      const tunnel = this.directory.tunnels.get(tunnelName)!;
      const nodes = tunnel.value.nodes.filter((other) => other !== name);
      if (nodes.length === 0) left.push(tunnelName);
      sharing.push(...nodes);
      changes.push({ kind: "tunnel", key: tunnelName, value: { ...tunnel.value, nodes }, ifRevision: tunnel.revision });
    }
    changes.push(...this.#touch(sharing));
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
    const before = this.directory.tunnels.get(name);
    if (before !== undefined) {
      throw new ControlError("name_taken", `There is a tunnel ${name} already${ofProject(before.value)}`);
    }
    return await this.#declare(given, null, actor);
  }

  /**
   * Declares a tunnel, or changes the one of that name as a whole; its id stays. What is as it was is not written again.
   *
   * @throws {ControlError} as `addTunnel`; `name_taken` where another project has the tunnel
   */
  async setTunnel(given: NewTunnel, actor: Actor): Promise<TunnelRecord> {
    const { name } = given;
    const before = this.directory.tunnels.get(name) ?? null;
    if (before !== null && before.value.project !== given.project) throw belongsElsewhere(before.value);
    return await this.#declare(given, before, actor);
  }

  #checkUnused(name: string): void {
    const user = this.#userOf(name);
    if (user === null) return;
    const remedy = "stop that agent first, or choose another name";
    throw new ControlError("name_taken", `The name ${name} is in use by ${user}: ${remedy}`);
  }

  /** @param before the tunnel as it is; null for a new one */
  async #declare(given: NewTunnel, before: Stored<"tunnel"> | null, actor: Actor): Promise<TunnelRecord> {
    const { name } = given;
    if (before === null) {
      checkTunnelName(name, this.#reservedNames);
      this.#checkUnused(name);
      this.#checkRoom("tunnels", this.directory.tunnels.size);
    }
    const tunnel = this.#checked({ ...given, id: before?.value.id ?? randomName() });
    if (before !== null && isDeepStrictEqual(tunnel, before.value)) return tunnel;
    const had = before?.value.hostnames ?? [];
    const gained = tunnel.hostnames.filter((hostname) => !had.includes(hostname));
    const lost = had.filter((hostname) => !tunnel.hostnames.includes(hostname));
    this.#checkHostnameRoom(gained.length - lost.length);
    const changes: Change[] = [{ kind: "tunnel", key: name, value: tunnel, ifRevision: before?.revision ?? 0 }];
    changes.push(...gained.map((hostname) => claim(hostname, name)));
    changes.push(...lost.map((key): Change => ({ kind: "hostname", key, value: null })));
    changes.push(...this.#touch([...before?.value.nodes ?? [], ...tunnel.nodes]));
    const action = before === null ? "tunnel.add" : "tunnel.change";
    await this.#commit(changes, { actor, action, subject: name, detail: { ...given } });
    return tunnel;
  }

  /** @throws {ControlError} `tunnel_not_found` */
  async removeTunnel(name: string, actor: Actor): Promise<void> {
    const tunnel = this.directory.tunnels.get(name);
    if (tunnel === undefined) throw new ControlError("tunnel_not_found", `There is no tunnel ${name}`);
    const claims = tunnel.value.hostnames.map((key): Change => ({ kind: "hostname", key, value: null }));
    await this.#commit(
      [
        { kind: "tunnel", key: name, value: null, ifRevision: tunnel.revision },
        ...claims,
        ...this.#touch(tunnel.value.nodes),
      ],
      { actor, action: "tunnel.remove", subject: name, detail: { hostnames: tunnel.value.hostnames } },
    );
  }

  /**
   * Makes the tunnels of a project, and the labels of nodes, what `deployment` says: all of it in one commit, or nothing.
   * Where everything is so already, nothing is written.
   *
   * @throws {ControlError} `bad_name`, `bad_request`, `node_not_found`, `name_taken`, `hostname_taken`, `port_taken`,
   *   `too_many`, `conflict`
   */
  async apply(deployment: Deployment, options: DeployOptions, actor: Actor): Promise<DeploymentResult> {
    return await apply(this.#stageFor(actor), deployment, options);
  }

  /**
   * Makes a project what it was at `revision`, as a new revision.
   *
   * @param project null: the one that was deployed with `revision`
   * @throws {ControlError} as `apply`, and `project_not_found`, `revision_not_found`
   */
  async rollback(
    revision: number,
    project: string | null,
    options: DeployOptions,
    actor: Actor,
  ): Promise<DeploymentResult> {
    return await rollback(this.#stageFor(actor), revision, project, options);
  }

  /**
   * Writes to the audit log what agents are told. Nothing that is stored changes.
   *
   * @param node null: all of them
   */
  async notePush(node: string | null, detail: Readonly<Record<string, unknown>>, actor: Actor): Promise<void> {
    await this.#commit([], { actor, action: "push.send", subject: node ?? "*", detail });
  }

  close(): void {
    this.directory.close();
  }

  #stageFor(actor: Actor): DeploymentStage {
    const rules: TunnelRules = {
      domain: this.#domain,
      reservedNames: this.#reservedNames,
      maxRecords: this.#maxRecords,
      checkUnused: (name) => this.#checkUnused(name),
    };
    const commit: DeploymentStage["commit"] = (changes, action, subject, detail) =>
      this.#commit(changes, { actor, action, subject, detail });
    return { directory: this.directory, store: this.store, rules, commit };
  }

  /** `tunnel` with its nodes and hostnames in their stored form. */
  #checked(tunnel: TunnelRecord): TunnelRecord {
    const nodes = [...new Set(tunnel.nodes)];
    for (const node of nodes) this.#node(node);
    checkKind(tunnel);
    const hostnames = checkHostnames(tunnel.hostnames, this.#domain, this.#reservedNames);
    for (const hostname of hostnames) {
      const holder = this.directory.hostnames.get(hostname)?.value.tunnel;
      if (holder !== undefined && holder !== tunnel.name) {
        throw hostnameTaken(hostname, describeTunnel(this.directory, holder));
      }
    }
    const sharing = tunnel.port === null
      ? undefined
      : [...this.directory.tunnels.values()].find(({ value }) => value.port === tunnel.port);
    if (sharing !== undefined && sharing.key !== tunnel.name) throw portTaken(sharing.value.port!, sharing.key);
    return { ...tunnel, nodes, hostnames };
  }

  #node(name: string): Stored<"node"> {
    const node = this.directory.nodes.get(name);
    if (node === undefined) throw new ControlError("node_not_found", `There is no node ${name}`);
    return node;
  }

  /** Writes these nodes as they are: a node's revision is the version of its config. */
  #touch(nodes: readonly string[]): Change[] {
    return [...new Set(nodes)].map((key): Change => {
      const { value, revision } = this.#node(key);
      return { kind: "node", key, value, ifRevision: revision };
    });
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

  /** @param count of those that there are before one more */
  #checkRoom(what: string, count: number): void {
    if (count < this.#maxRecords) return;
    throw new ControlError("too_many", `The edge has ${count} ${what}, which is the most that it takes`);
  }

  /** @param more hostnames than before */
  #checkHostnameRoom(more: number): void {
    const count = this.directory.hostnames.size + more;
    if (more <= 0 || count <= this.#maxRecords) return;
    throw new ControlError("too_many", `The edge takes ${this.#maxRecords} hostnames, and these would make ${count}`);
  }

  /** Resolves to the revision. @throws {ControlError} @throws {StoreError} `unavailable` */
  async #commit(
    changes: Change[],
    audit: { actor: Actor; action: string; subject: string; detail: object },
  ): Promise<number> {
    const { action, subject } = audit;
    const { id: actor, address } = typeof audit.actor === "string" ? { id: audit.actor, address: "" } : audit.actor;
    const detail = audit.detail as Readonly<Record<string, unknown>>;
    const from = address === "" ? {} : { address };
    let revision: number;
    try {
      revision = await this.store.commit(changes, { at: this.#clock.text(), actor, ...from, action, subject, detail });
    } catch (error) {
      throw asControlError(error);
    }
    const reason = reasonOf(action);
    for (const { kind, key, value } of changes) {
      if (kind === "node" && value !== null) this.#onConfigChanged(key, revision, reason);
    }
    return revision;
  }
}

function reasonOf(action: string): ConfigChangeReason {
  if (action.startsWith("node.")) return "fleet";
  return action.startsWith("tunnel.") ? "tunnel" : "deploy";
}

function putToken(record: TokenRecord, ifRevision?: number): Change {
  return { kind: "token", key: record.id, value: record, ifRevision };
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
