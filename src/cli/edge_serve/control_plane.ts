/** What operators declare, for `edge serve`: the store in the data folder, whose tokens open what, and the admin API. */
import { createHash, timingSafeEqual } from "node:crypto";
import { AdminListener, createAdmin } from "../../admin/mod.ts";
import { type DataFolder, UsageError, version } from "../../config/mod.ts";
import { Control, TokenAccess, TokenEnds, WallClock } from "../../control/mod.ts";
import type { Edge, EdgeOptions } from "../../edge/mod.ts";
import { type ListenTarget, SocketError } from "../../net/mod.ts";
import { EdgeMetrics } from "../../metrics/mod.ts";
import { logger } from "../../observe/mod.ts";
import { openSqliteStore, type Store } from "../../store/mod.ts";

export interface ControlPlaneOptions {
  data: DataFolder;
  domain: string;
  reservedNames: ReadonlySet<string>;
  /** Null: no admin API. Undefined: the usual address, and no admin API where that is in use. */
  listen: ListenTarget | null | undefined;
  /** Names by which the admin API may be asked, in lower case. */
  hosts: readonly string[];
}

const usualListen: ListenTarget = { kind: "tcp", host: "127.0.0.1", port: 4480 };

export class ControlPlane {
  readonly #options: ControlPlaneOptions;
  readonly #store: Store;
  readonly #control: Control;
  readonly #clock: WallClock;
  readonly #adminToken: string;
  #tokenEnds: TokenEnds | null = null;
  #stopWatching = (): void => {};
  #admin: AdminListener | null = null;

  private constructor(options: ControlPlaneOptions, store: Store, control: Control, clock: WallClock, token: string) {
    this.#options = options;
    this.#store = store;
    this.#control = control;
    this.#clock = clock;
    this.#adminToken = token;
  }

  /** @throws {RunnelError} where the data folder cannot be used, or the store in it */
  static async open(options: ControlPlaneOptions): Promise<ControlPlane> {
    const { data, domain, reservedNames } = options;
    const adminToken = await data.adminToken();
    const store = await openSqliteStore({ path: data.storePath });
    const clock = new WallClock();
    const control = await Control.open({ store, domain, reservedNames, clock });
    return new ControlPlane(options, store, control, clock, adminToken);
  }

  /** What the edge asks of it. */
  get edgeOptions(): Pick<EdgeOptions, "checkToken" | "declared"> {
    const { directory } = this.#control;
    const access = new TokenAccess(directory);
    return {
      checkToken: (token) => access.check(token),
      declared: {
        has: (name) => directory.tunnels.has(name),
        ofHost: (host) => directory.tunnelOfHost(host)?.name ?? null,
      },
    };
  }

  /** `127.0.0.1:4480`; null while there is no admin API. */
  get address(): string | null {
    return this.#admin?.address ?? null;
  }

  /** Makes `edge` follow what changes, and serves the admin API. @throws {UsageError} where it cannot listen */
  async start(edge: Edge): Promise<void> {
    const { directory } = this.#control;
    this.#tokenEnds = new TokenEnds(directory, this.#clock, (id, reason) => edge.closeToken(id, reason));
    this.#stopWatching = directory.onChange((kind, before, after) => {
      if (kind === "tunnel") edge.recheckTunnel(((after ?? before) as { readonly name: string }).name);
    });
    const { listen } = this.#options;
    if (listen !== null) this.#admin = await this.#listen(edge, listen ?? usualListen, listen !== undefined);
  }

  /** Ends the admin API and closes the store. */
  async close(): Promise<void> {
    await this.#admin?.close();
    this.#stopWatching();
    this.#tokenEnds?.close();
    this.#control.close();
    await this.#store.close();
  }

  async #listen(edge: Edge, target: ListenTarget, isAsked: boolean): Promise<AdminListener | null> {
    const log = logger("admin");
    const onError = (error: unknown) => log.warn("A request failed: {error}", { error: String(error) });
    const declared = () => this.#control.directory.tunnels.keys();
    const metrics = new EdgeMetrics({ edge, version, declared });
    const admin = createAdmin({
      control: this.#control,
      version,
      checkToken: checkOf(this.#adminToken),
      hosts: this.#options.hosts,
      urlOf: (name) => edge.urlOf(name),
      isReady: () => !edge.isDraining,
      metrics: (isHead) => metrics.answer(isHead),
      onError,
    });
    try {
      return await AdminListener.start({ listen: target, fetch: (request) => admin.fetch(request), onError });
    } catch (error) {
      if (!(error instanceof SocketError)) throw error;
      if (isAsked) throw new UsageError(`--admin-listen: ${error.reason}`, "Choose another address, or off");
      log.warn("There is no admin API: {reason}. --admin-listen names another address", { reason: error.reason });
      return null;
    }
  }
}

/** Compares digests, so that the time tells neither content nor length. */
function checkOf(token: string): (given: string) => boolean {
  const digest = (text: string) => createHash("sha256").update(text, "utf8").digest();
  const expected = digest(token);
  return (given) => timingSafeEqual(digest(given), expected);
}
