/** The command `edge serve`. */
import { RunnelError, systemClock } from "../../base/mod.ts";
import {
  DataFolder,
  defaultDataFolder,
  edgeServeOptions,
  reservedNamesWith,
  UsageError,
  version,
} from "../../config/mod.ts";
import { type Edge, joinEvents, startEdge } from "../../edge/mod.ts";
import { formatAddress, isLoopback } from "../../net/mod.ts";
import { logger } from "../../observe/mod.ts";
import { AccessLog } from "../access_log.ts";
import type { Command, CommandCall } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { earlyEndSentences, untilStopped, waitingSentences } from "../shutdown.ts";
import { readToken } from "../token.ts";
import type { ControlPlane } from "./control_plane.ts";
import { logEvents } from "./log_events.ts";

type ServeCall = CommandCall<typeof edgeServeOptions>;

export const serveCommand: Command<typeof edgeServeOptions> = {
  name: "serve",
  summary: "Run the edge: the public side, to which agents connect",
  options: edgeServeOptions,
  positionals: {},
  examples: [
    "edge serve",
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
  const reservedNames = reservedNamesOf(call.values);
  const data = new DataFolder(call.values.data ?? defaultDataFolder(call.host));
  const { token, isKept } = await tokenOf(call, data);
  const plane = await openControlPlane(call, data, reservedNames, isKept);
  try {
    return await serveWith(call, { log, data, token, isKept, reservedNames, plane });
  } finally {
    await plane?.close();
  }
}

interface Parts {
  readonly log: AccessLog | null;
  readonly data: DataFolder;
  readonly token: string;
  /** True where the token is that of the data folder. */
  readonly isKept: boolean;
  readonly reservedNames: ReadonlySet<string>;
  /** Null where the data folder cannot be used. */
  readonly plane: ControlPlane | null;
}

async function serveWith({ values, host, output }: ServeCall, parts: Parts): Promise<number> {
  const { log, data, plane, token, isKept, reservedNames } = parts;
  const edge = await startEdge({
    listen: values.listen,
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
    json: { session: { bodyLimitBytes: values.jsonBodyLimit } },
    tunnels: { maxNamesPerOwner: values.namesPerToken, reservedNames },
    maxSessionsPerOwner: values.sessionsPerToken,
    http: { limits: { headBytes: values.headLimit, fieldCount: values.fieldLimit } },
    events: joinEvents(logEvents(), log === null ? {} : { onRequest: log.add }, plane?.events ?? {}),
    publicUrl: values.publicUrl,
    tcpTimeoutMs: values.tcpTimeout,
    defaultTunnel: values.defaultTunnel,
    directVisitors: values.directVisitors,
  });
  try {
    await plane?.start(edge);
  } catch (error) {
    await edge.close();
    throw error;
  }
  const listen = formatAddress(edge.address);
  const admin = plane?.address ?? null;
  const dataDir = plane === null ? null : data.path;
  output.event(
    "ready",
    { version, listen, admin, domain: values.domain, publicUrl: edge.urlOf(), dataDir },
    `Listening   ${listen}, and serving tunnels at ${edge.urlOf("NAME")}`,
    `Admin API   ${admin ?? "none"}`,
    `Data        ${dataDir ?? "none: the folder cannot be used"}`,
    `Connect     ${connectCommand(edge, values, isKept ? data.tokenPath : values.tokenFile)}`,
  );
  const drainMs = values.drainTimeout;
  const subject = { drain: () => edge.drain(), close: () => closeAndTell(edge) };
  await untilStopped(subject, {
    host,
    drainMs,
    onDrain: () => logger("edge").info(waitingSentences(edge.active, drainMs)[0]),
    onEarlyEnd: (by) => logger("edge").info(earlyEndSentences(edge.active, by, drainMs)[0]),
  });
  // Its lines may go to the same output, whose last one is the exit.
  await log?.close();
  output.event("exit", { code: ExitCode.ok, from: "signal" });
  return ExitCode.ok;
}

/**
 * Null where the data folder cannot be used, although nobody asked for it: an edge whose token is given needs none.
 *
 * @throws {RunnelError} where the folder was asked for, or holds the token
 */
async function openControlPlane(
  { values }: ServeCall,
  data: DataFolder,
  reservedNames: ReadonlySet<string>,
  isTokenKept: boolean,
): Promise<ControlPlane | null> {
  const { adminListen, adminHost: hosts, domain } = values;
  const listen = adminListen === "off" ? null : adminListen;
  // Its packages take a fifth of the time that the program takes to start, and other commands never need them.
  const { ControlPlane } = await import("./control_plane.ts");
  try {
    return await ControlPlane.open({ data, domain, reservedNames, listen, hosts });
  } catch (error) {
    const isNeeded = isTokenKept || values.data !== undefined || (listen !== null && listen !== undefined);
    // A store that a newer program has written, or a damaged one, is there: it must not be passed over.
    if (isNeeded || !(error instanceof RunnelError) || !["data_folder", "unavailable"].includes(error.code)) {
      throw error;
    }
    const what = "Without nodes, declared tunnels and admin API: {reason}. --data names another folder";
    logger("edge").warn(what, { reason: error.reason });
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

/** @throws {UsageError} where the default tunnel could never be opened */
function reservedNamesOf({ reservedName, defaultTunnel }: ServeCall["values"]): ReadonlySet<string> {
  const names = reservedNamesWith(reservedName);
  if (defaultTunnel === undefined || !names.has(defaultTunnel)) return names;
  throw new UsageError(
    `--default-tunnel ${defaultTunnel} names a tunnel that cannot be opened, since its name is reserved`,
    `Choose another name, or free it with --reserved-name=-${defaultTunnel}`,
  );
}

/** The edge's token: the one that is given, or the one that the data folder keeps. */
async function tokenOf({ values, host }: ServeCall, data: DataFolder): Promise<{ token: string; isKept: boolean }> {
  const given = await readToken(values, host);
  return given === null ? { token: await data.ownToken(), isKept: true } : { token: given, isKept: false };
}

/** The command to type where the private service runs. */
function connectCommand(edge: Edge, values: ServeCall["values"], tokenFile: string | undefined): string {
  const url = dialUrl(edge, values);
  const insecure = url.protocol === "http:" && !isLoopback(url.hostname.replace(/^\[|\]$/g, ""))
    ? " --edge-insecure"
    : "";
  const file = tokenFile === undefined || tokenFile === "-" ? "FILE" : tokenFile;
  return `agent http 3000 --edge ${url.origin}${insecure} --token-file ${file}`;
}

/** Where agents find this edge: at its public URL, or at the address it listens on while it has no domain. */
function dialUrl(edge: Edge, { publicUrl, domain }: ServeCall["values"]): URL {
  const { address } = edge;
  if (publicUrl !== undefined || domain !== "localhost" || address.kind === "unix") return new URL(edge.urlOf());
  const host = /^(?:0\.0\.0\.0|::)$/.test(address.host) ? "127.0.0.1" : address.host;
  return new URL(`http://${formatAddress({ ...address, host })}`);
}
