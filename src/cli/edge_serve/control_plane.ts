/** What operators declare, for `edge serve`: the store in the data folder, whose tokens open what, and the admin API. */
import { AdminListener, createAdmin } from "../../admin/mod.ts";
import type { AcmeEvents } from "../../acme/mod.ts";
import { type Clock, systemClock } from "../../base/mod.ts";
import { type DataFolder, version } from "../../config/mod.ts";
import { Control, type ControlOptions, TokenAccess, TokenEnds, WallClock } from "../../control/mod.ts";
import { type Edge, type EdgeEvents, type EdgeOptions, TokenRefusals } from "../../edge/mod.ts";
import { EventFeed } from "../../events/mod.ts";
import { type ListenTarget, SocketError } from "../../net/mod.ts";
import { EdgeMetrics } from "../../metrics/mod.ts";
import { logger } from "../../observe/mod.ts";
import { type Acknowledgement, hashToken, isToken, openSqliteStore, type Store } from "../../store/mod.ts";
import { feedChanges, feedEvents, feedOrders, requestFeed } from "./feed_events.ts";
import { NodeAgents } from "./node_agents.ts";

export interface ControlPlaneOptions {
  data: DataFolder;
  domain: string;
  reservedNames: ReadonlySet<string>;
  /** Where the admin API is; null: nowhere. */
  listen: ListenTarget | null;
  /** True: where it cannot listen there, the edge goes on without an admin API. */
  isListenOptional: boolean;
  /** Names by which the admin API may be asked, in lower case. */
  hosts: readonly string[];
  clock?: Clock;
}

interface PlaneParts {
  readonly control: Control;
  readonly wallClock: WallClock;
  readonly adminToken: string;
  readonly acknowledgements: readonly Acknowledgement[];
}

export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #store: Store;
  readonly #control: Control;
  readonly #clock: WallClock;
  readonly #adminToken: string;
  readonly #refusals: TokenRefusals;
  readonly #feed: EventFeed;
  readonly #agents: NodeAgents;
  #tokenEnds: TokenEnds | null = null;
  #edge: Edge | null = null;
  #stopFeed = (): void => {};
  #stopWatching = (): void => {};
  #admin: AdminListener | null = null;

  private constructor(options: ControlPlaneOptions, parts: PlaneParts) {
    const { control, wallClock, acknowledgements } = parts;
    this.#options = options;
    this.#store = control.store;
    this.#control = control;
    this.#clock = wallClock;
    this.#adminToken = parts.adminToken;
    // Nobody listens before there is an edge.
    this.#feed = new EventFeed({ startDetails: () => this.#edge!.observeRequests(requestFeed(this.#feed)) });
    const { clock } = options;
    this.#refusals = new TokenRefusals(clock ?? systemClock, logRefusals);
    this.#agents = new NodeAgents({ control, feed: this.#feed, wallClock, acknowledgements, clock });
  }

  /** @throws {RunnelError} where the data folder cannot be used, or the store in it */
  static async open(options: ControlPlaneOptions): Promise<ControlPlane> {
    const { data, domain, reservedNames } = options;
    const adminToken = await data.adminToken();
    const store = await openSqliteStore({ path: data.storePath, clock: options.clock });
    const wallClock = options.clock === undefined ? new WallClock() : new WallClock(options.clock, Date.now());
    let plane: ControlPlane | null = null;
    const userOf = (name: string) => plane === null ? null : plane.#userOf(name);
    const onConfigChanged: ControlOptions["onConfigChanged"] = (...change) => {
      if (plane !== null) plane.#agents.configChanged(...change);
    };
    try {
      const control = await Control.open({ store, domain, reservedNames, clock: wallClock, userOf, onConfigChanged });
      const acknowledgements = await store.acknowledgements();
      return plane = new ControlPlane(options, { control, wallClock, adminToken, acknowledgements });
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  /** What the edge asks of it. */
  get edgeOptions(): Pick<EdgeOptions, "checkToken" | "declared" | "nodes"> {
    const { directory } = this.#control;
    const access = new TokenAccess(directory);
    return {
      checkToken: (token) => access.check(token),
      declared: {
        has: (name) => directory.tunnels.has(name),
        ofHost: (host) => directory.tunnelOfHost(host)?.name ?? null,
        get: (name) => directory.tunnels.get(name)?.value ?? null,
      },
      nodes: this.#agents,
    };
  }

  /** What tells its feed of what happens on the edge. */
  get events(): EdgeEvents {
    return feedEvents(this.#feed);
  }

  /** What tells its feed of what becomes of certificates. */
  get acmeEvents(): AcmeEvents {
    return feedOrders(this.#feed);
  }

  /** `127.0.0.1:4480`; null while there is no admin API. */
  get address(): string | null {
    return this.#admin?.address ?? null;
  }

  /** Makes `edge` follow what changes, and serves the admin API. @throws {SocketError} where it cannot listen */
  async start(edge: Edge): Promise<void> {
    const { directory } = this.#control;
    this.#edge = edge;
    this.#stopFeed = feedChanges(directory, this.#feed);
    const onEnd = (tokenId: string, reason: string) => {
      edge.closeToken(tokenId, reason);
      this.#agents.push.closeToken(tokenId);
    };
    this.#tokenEnds = new TokenEnds(directory, this.#clock, onEnd, this.#options.clock);
    this.#stopWatching = directory.onChange((kind, before, after) => {
      if (kind === "tunnel") edge.recheckTunnel(((after ?? before) as { readonly name: string }).name);
    });
    const { listen } = this.#options;
    if (listen !== null) this.#admin = await this.#listen(edge, listen);
  }

  /** Ends the admin API and closes the store. */
  async close(): Promise<void> {
    this.#feed.close();
    this.#refusals.close();
    await this.#admin?.close();
    this.#stopFeed();
    this.#stopWatching();
    this.#tokenEnds?.close();
    this.#agents.close();
    this.#control.close();
    await this.#store.close();
  }

  /** The agent that serves a tunnel without its being declared, in words for its operator; null where there is none. */
  #userOf(name: string): string | null {
    const tunnel = this.#edge?.tunnels.get(name);
    const { session = null, owner = "" } = tunnel ?? {};
    // A tunnel that was declared a moment ago is still there while its session closes.
    if (session === null || session.isLeaving || owner.startsWith("tunnel:")) return null;
    const [, tokenId] = /^token:(.*)$/.exec(owner) ?? [];
    return tokenId === undefined ? "an agent with the edge's own token" : `an agent with the token ${tokenId}`;
  }

  async #listen(edge: Edge, target: ListenTarget): Promise<AdminListener | null> {
    const log = logger("admin");
    const onError = (error: unknown) => log.warn("A request failed: {error}", { error: String(error) });
    const declared = () => this.#control.directory.tunnels.keys();
    const metrics = new EdgeMetrics({ edge, version, declared, push: () => this.#agents.figures() });
    const { push } = this.#agents;
    const adminHash = hashToken(this.#adminToken);
    const admin = createAdmin({
      control: this.#control,
      version,
      checkToken: (token) => isToken(token, adminHash),
      refuseToken: (address, signal) => this.#refusals.refuse(address, signal),
      hosts: this.#options.hosts,
      feed: this.#feed,
      edge,
      push,
      instancesOf: (node) => push.instancesOf(node),
      urlOf: (name) => edge.urlOf(name),
      isReady: () => !edge.isDraining,
      backupFolder: this.#options.data.path,
      metrics: (isHead) => metrics.answer(isHead),
      onError,
    });
    try {
      return await AdminListener.start({
        listen: target,
        fetch: (request, bindings) => admin.fetch(request, bindings),
        onError,
      });
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      if (!this.#options.isListenOptional) throw withFlag(error);
      log.warn("There is no admin API: {reason}. --admin-listen names another address", { reason: error.reason });
      return null;
    }
  }
}

/** @param address null: of further ones together; empty: on a unix socket */
function logRefusals(address: string | null, count: number): void {
  const from = address === null ? "further addresses" : address === "" ? "a unix socket" : address;
  const what = count === 1 ? "a wrong token" : "{count} more wrong tokens";
  logger("admin").warn(`The admin API refused ${what} from {from}`, { from, count });
}

function withFlag(error: SocketError): SocketError {
  const { code, reason, initiator, retryable } = error;
  return new SocketError({ code, reason: `--admin-listen: ${reason}`, initiator, retryable, cause: error });
}
