/** What operators declare, for `edge serve`: the store in the data folder, whose tokens open what, and the admin API. */
import { AdminListener, type AdminListenerOptions, createAdmin } from "../../admin/mod.ts";
import type { AcmeEvents } from "../../acme/mod.ts";
import { type Clock, systemClock, type Timer } from "../../base/mod.ts";
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
  /** True: an edge before this one may still listen there, and is waited for. Default false. */
  hasPredecessor?: boolean;
  /** Names by which the admin API may be asked, in lower case. */
  hosts: readonly string[];
  clock?: Clock;
}

/** What its listener serves. */
type AdminParts = Omit<AdminListenerOptions, "listen">;

/** Between two looks whether the edge before this one has given the admin API up. */
const ADMIN_RETRY_MS = 250;

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
  /** Of the next look whether the edge before this one has gone. */
  #retry: Timer | null = null;
  #isLeaving = false;

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
    if (listen !== null) await this.#listen(edge, listen);
  }

  /**
   * Another edge may have the admin API from now on, and is the only one that writes to the store. What changes there
   * still counts here: a token that ends takes its sessions along.
   */
  async leave(): Promise<void> {
    this.#isLeaving = true;
    this.#retry?.cancel();
    this.#agents.leave();
    await this.#admin?.leave();
  }

  /** Ends the admin API and closes the store. */
  async close(): Promise<void> {
    this.#isLeaving = true;
    this.#retry?.cancel();
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

  async #listen(edge: Edge, target: ListenTarget): Promise<void> {
    const admin = this.#createAdmin(edge);
    const log = logger("admin");
    try {
      this.#admin = await AdminListener.start({ listen: target, ...admin });
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      const { reason } = error;
      if (error.code === "address_in_use" && this.#options.hasPredecessor) {
        log.info("The admin API waits for the edge before this one: {reason}", { reason });
        this.#listenLater(target, admin);
      } else if (!this.#options.isListenOptional) throw withFlag(error);
      else log.warn("There is no admin API: {reason}. --admin-listen names another address", { reason });
    }
  }

  #listenLater(target: ListenTarget, admin: AdminParts): void {
    this.#retry = (this.#options.clock ?? systemClock).after(ADMIN_RETRY_MS, async () => {
      try {
        const listener = await AdminListener.start({ listen: target, ...admin });
        if (this.#isLeaving) return await listener.close();
        this.#admin = listener;
        logger("admin").info("The admin API is at {address}", { address: listener.address });
      } catch (error) {
        if (!(error instanceof SocketError)) admin.onError(error);
        if (!this.#isLeaving) this.#listenLater(target, admin);
      }
    });
  }

  #createAdmin(edge: Edge): AdminParts {
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
    return { fetch: (request, bindings) => admin.fetch(request, bindings), onError };
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
