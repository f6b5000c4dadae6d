/** The command `edge serve`. */
import { messageOf, systemClock } from "../../base/mod.ts";
import {
  DataFolder,
  DataFolderError,
  defaultDataFolder,
  edgeServeOptions,
  type ListenAddress,
  reservedNamesWith,
  UsageError,
  version,
} from "../../config/mod.ts";
import { type Edge, type EdgeOptions, joinEvents, startEdge } from "../../edge/mod.ts";
import { formatAddress, type ListenTarget } from "../../net/mod.ts";
import { logger } from "../../observe/mod.ts";
import { StoreError } from "../../store/mod.ts";
import { AccessLog } from "../access_log.ts";
import type { Command, CommandCall } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { earlyEndSentences, untilStopped, waitingSentences } from "../shutdown.ts";
import { readToken } from "../token.ts";
import type { EdgeAcme } from "./acme.ts";
import { checkAcmeFlags } from "./acme_flags.ts";
import { Certificates } from "./certificates.ts";
import type { ControlPlane, ControlPlaneOptions } from "./control_plane.ts";
import { KnownTunnels } from "./known_tunnels.ts";
import { boundAddresses, connectCommand, listenAddresses, listenersAt, plainHosts } from "./listeners.ts";
import { logEvents } from "./log_events.ts";
import { Succession } from "./succession.ts";
import { trustOf } from "./trust.ts";
import { limitsOf } from "./visitor_limits.ts";

type ServeCall = CommandCall<typeof edgeServeOptions>;

const usualAdminListen: ListenTarget = { kind: "tcp", host: "127.0.0.1", port: 4480 };

export const serveCommand: Command<typeof edgeServeOptions> = {
  name: "serve",
  summary: "Run the edge: the public side, to which agents connect",
  options: edgeServeOptions,
  positionals: {},
  examples: [
    "edge serve",
    "edge serve --listen https://[::]:8443 --tls-self-signed",
    "edge serve --domain example.com --acme",
    "edge serve --domain example.com --tls-cert example.com.pem --tls-key example.com.key",
    "edge serve --domain example.com --token-file /etc/runnel/token",
    "RUNNEL_TOKEN=secret edge serve --listen 127.0.0.1:8080 --json",
  ],
  run: serveEdge,
};

async function serveEdge(call: ServeCall): Promise<number> {
  const { accessLog } = call.values;
  const log = accessLog === undefined ? null : await AccessLog.open({ ...call.values, accessLog }, call.host);
  try {
    return await serve(call, log);
  } finally {
    await log?.close();
  }
}

async function serve(call: ServeCall, log: AccessLog | null): Promise<number> {
  checkAcmeFlags(call);
  const addresses = listenAddresses(call.values, call.origins.listen !== "default");
  const reservedNames = reservedNamesOf(call.values);
  const limits = limitsOf(call.values);
  const given = await readToken(call.values, call.host);
  const data = dataFolderOf(call, given !== null);
  // Without a folder there is a given token.
  const token = given ?? await (data as DataFolder).ownToken();
  const before = data === null ? null : await Succession.open(data.servingPath);
  const plane = await openControlPlane(call, data, { reservedNames, hasPredecessor: before?.hasPredecessor === true });
  const tokenPath = given === null ? data?.tokenPath : call.values.tokenFile;
  const dataDir = data === null || (plane === null && given !== null) ? null : data.path;
  // What nothing can be kept in is not written to.
  const succession = dataDir === null ? null : before;
  const known = dataDir === null || data === null ? null : await KnownTunnels.open(data.knownTunnelsPath);
  const kept = { log, token, tokenPath, dataDir, reservedNames, limits, plane, addresses, succession, known };
  let acme: EdgeAcme | null = null;
  let certificates: Certificates | null = null;
  try {
    acme = await openAcme(call, data, plane);
    certificates = await openCertificates(call, data, addresses, { acme, plane });
    return await serveWith(call, { ...kept, acme, certificates });
  } finally {
    certificates?.close();
    await acme?.close();
    await plane?.close();
    await succession?.end();
  }
}

/** Null where no listener has TLS. */
async function openCertificates(
  { values, host }: ServeCall,
  data: DataFolder | null,
  addresses: readonly ListenAddress[],
  { acme, plane }: { readonly acme: EdgeAcme | null; readonly plane: ControlPlane | null },
): Promise<Certificates | null> {
  if (!addresses.some(({ scheme }) => scheme === "https")) return null;
  const targets = addresses.map(({ target }) => target);
  const { declared } = plane?.edgeOptions ?? {};
  return await Certificates.open({ values, host, data, targets, acme: acme?.certificates, declared });
}

/** Null without `--acme`. */
async function openAcme(
  { values }: ServeCall,
  data: DataFolder | null,
  plane: ControlPlane | null,
): Promise<EdgeAcme | null> {
  if (!values.acme) return null;
  const { EdgeAcme } = await import("./acme.ts");
  return await EdgeAcme.open({ values, data, declared: plane?.edgeOptions.declared, events: plane?.acmeEvents });
}

interface Parts {
  readonly log: AccessLog | null;
  readonly token: string;
  /** The file that holds the token; undefined where none does. */
  readonly tokenPath: string | undefined;
  /** The folder that is used; null where nothing is kept. */
  readonly dataDir: string | null;
  readonly reservedNames: ReadonlySet<string>;
  readonly limits: ReturnType<typeof limitsOf>;
  /** These three are null where the data folder cannot be used. */
  readonly plane: ControlPlane | null;
  readonly succession: Succession | null;
  readonly known: KnownTunnels | null;
  readonly addresses: readonly ListenAddress[];
  /** Null without `--acme`. */
  readonly acme: EdgeAcme | null;
  /** Null where no listener has TLS. */
  readonly certificates: Certificates | null;
}

async function serveWith(call: ServeCall, parts: Parts): Promise<number> {
  const { values, output } = call;
  const { log, plane, dataDir, addresses, acme, certificates, succession, known } = parts;
  const edge = await startEdge(edgeOptionsOf(call, parts));
  try {
    await plane?.start(edge);
    // Two edges that order certificates at the same time would order each of them twice.
    if (succession?.hasPredecessor === true) acme?.startLater(edge, ORDER_AFTER_MS);
    else await acme?.start(edge);
    known?.start(edge);
  } catch (error) {
    await edge.close();
    throw error;
  }
  const listen = formatAddress(edge.address);
  const listeners = boundAddresses(addresses, edge);
  await succession?.listens(listeners);
  const admin = plane?.address ?? null;
  const pin = certificates?.pin ?? null;
  const pinned = pin === null ? {} : { pin };
  output.event(
    "ready",
    { version, listen, listeners, admin, domain: values.domain, publicUrl: edge.urlOf(), dataDir, ...pinned },
    `Listening   ${listeners.join(", ")}, and serving tunnels at ${edge.urlOf("NAME")}`,
    `Admin API   ${admin ?? "none"}`,
    `Data        ${dataDir ?? "none: the folder cannot be used"}`,
    `Connect     ${connectCommand(edge, values, { addresses, pin, tokenFile: parts.tokenPath })}`,
    ...(pin === null ? [] : [`Pin         ${pin}`]),
  );
  await untilLeft(call, edge, parts);
  // Its lines may go to the same output, whose last one is the exit.
  await log?.close();
  output.event("exit", { code: ExitCode.ok, from: "signal" });
  return ExitCode.ok;
}

function edgeOptionsOf({ values }: ServeCall, parts: Parts): EdgeOptions {
  const { log, plane, token, reservedNames, limits, addresses, acme, certificates, known } = parts;
  const isPlainHost = plainHosts(values.plainHttp);
  return {
    listen: listenersAt(addresses, certificates?.tls ?? null, values.publicUrl),
    isPlainHost: (host, isDrawn) => isPlainHost(host) || acme?.isPlainHost(host, isDrawn) === true,
    strictTransport: values.hsts,
    domain: values.domain,
    token,
    ...plane?.edgeOptions,
    version,
    timeouts: {
      firstByteMs: values.firstByteTimeout,
      idleMs: values.idleTimeout,
      streamIdleMs: values.streamIdleTimeout,
    },
    maxFirstByteMs: values.maxFirstByteTimeout,
    liveTypes: values.liveType,
    resumeWaitMs: values.resumeWait,
    json: { session: { bodyLimitBytes: values.jsonBodyLimit } },
    tunnels: { maxNamesPerOwner: values.namesPerToken, reservedNames, expected: known?.expected },
    maxSessionsPerOwner: values.sessionsPerToken,
    resumeTimeoutMs: values.resumeTimeout === Infinity ? 0 : values.resumeTimeout,
    ...limits,
    events: joinEvents(
      logEvents(),
      log === null ? {} : { onRequest: log.add },
      plane?.events ?? {},
      acme?.events ?? {},
      known?.events ?? {},
    ),
    challengeAnswer: acme === null ? undefined : (host, token) => acme.certificates.challengeAnswer(host, token),
    publicUrl: values.publicUrl,
    tcpTimeoutMs: values.tcpTimeout,
    defaultTunnel: values.defaultTunnel,
    directVisitors: values.directVisitors,
    ...trustOf(values),
  };
}

/** For the edge before this one to have ended what it orders: certificates are renewed weeks before their end. */
const ORDER_AFTER_MS = 60_000;

/** Serves until the edge has left, at the first signal in order, at a second one at once. */
async function untilLeft({ values, host }: ServeCall, edge: Edge, parts: Parts): Promise<void> {
  const { drainTimeout: drainMs, handoverTimeout } = values;
  const log = logger("edge");
  const longerMs = async () => await parts.succession?.hasSuccessor() === true ? handoverTimeout : 0;
  let left = Promise.resolve();
  const subject = {
    async drain() {
      // Before sessions end.
      parts.known?.freeze();
      left = leaveShared(parts);
      await Promise.all([edge.drain(), left]);
    },
    close: () => closeAndTell(edge),
  };
  await untilStopped(subject, {
    host,
    drainMs,
    longerMs,
    onDrain: () => log.info(waitingSentences(edge.active, drainMs)[0]),
    onEarlyEnd: (by, givenMs) => log.info(earlyEndSentences(edge.active, by, givenMs)[0]),
  });
  // Nothing is written to the data folder any more when the program has ended.
  await left;
}

/** Gives up what one edge alone may have: the admin API, orders of certificates, and what is written to the data folder. */
async function leaveShared({ plane, acme, known, succession }: Parts): Promise<void> {
  const hasSuccessor = await succession?.hasSuccessor() === true;
  if (hasSuccessor) logger("edge").info("Another edge has taken over");
  await Promise.all([plane?.leave(), acme?.close(), known?.close(hasSuccessor)]);
}

/**
 * Null where the system does not tell which folder it is, and the edge can do without.
 *
 * @throws {Error} where it cannot
 */
function dataFolderOf({ values, host }: ServeCall, hasToken: boolean): DataFolder | null {
  try {
    return new DataFolder(values.data ?? defaultDataFolder(host));
  } catch (error) {
    if (!hasToken || isAdminAsked(values)) throw error;
    warnWithoutPlane(messageOf(error));
    return null;
  }
}

/**
 * Null where nothing can be kept: an edge with a token does without, as long as there is no store that would be passed
 * over and nobody asks for an admin API.
 *
 * @throws {RunnelError} where it cannot do without
 */
async function openControlPlane(
  { values }: ServeCall,
  data: DataFolder | null,
  given: Pick<ControlPlaneOptions, "reservedNames" | "hasPredecessor">,
): Promise<ControlPlane | null> {
  if (data === null) return null;
  const { adminListen = usualAdminListen, adminHost: hosts, domain } = values;
  const listen = adminListen === "off" ? null : adminListen;
  // Its packages take a fifth of the time that the program takes to start, and other commands never need them.
  const { ControlPlane } = await import("./control_plane.ts");
  const isListenOptional = !isAdminAsked(values);
  try {
    return await ControlPlane.open({ data, domain, ...given, listen, isListenOptional, hosts });
  } catch (error) {
    const canPass = error instanceof DataFolderError || (error instanceof StoreError && error.code === "unavailable");
    if (!canPass || isAdminAsked(values) || await data.hasStore()) throw error;
    warnWithoutPlane(error.reason);
    return null;
  }
}

/** Agents answer at once, and close. */
const LAST_WORDS_MS = 250;

/** Ends `edge` now, but for the words that tell its agents so. */
async function closeAndTell(edge: Edge): Promise<void> {
  await edge.close();
  await Promise.race([edge.emptied, new Promise<void>((resolve) => void systemClock.after(LAST_WORDS_MS, resolve))]);
}

function isAdminAsked({ adminListen }: ServeCall["values"]): boolean {
  return adminListen !== undefined && adminListen !== "off";
}

function warnWithoutPlane(reason: string): void {
  const what = "Without nodes, declared tunnels and admin API: {reason}. --data names another folder";
  logger("edge").warn(what, { reason });
}

/** @throws {UsageError} where the default tunnel could never be opened */
function reservedNamesOf({ reservedName, defaultTunnel }: ServeCall["values"]): ReadonlySet<string> {
  const names = reservedNamesWith(reservedName);
  if (defaultTunnel === undefined || !names.has(defaultTunnel)) return names;
  throw new UsageError(
    `--default-tunnel ${defaultTunnel} names a tunnel that cannot be opened, since its name is reserved`,
    `Choose another name, or free it with --reserved-name=-${defaultTunnel}`,
  );
}
