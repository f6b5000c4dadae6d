/** The program `edge`. */
import { messageOf, systemClock } from "../base/mod.ts";
import {
  DataFolder,
  defaultDataFolder,
  edgeServeOptions,
  reservedNamesWith,
  UsageError,
  version,
} from "../config/mod.ts";
import { type AgentPeer, type Edge, type EdgeEvents, startEdge } from "../edge/mod.ts";
import { formatAddress, isLoopback } from "../net/mod.ts";
import { logger } from "../observe/mod.ts";
import { AccessLog } from "./access_log.ts";
import type { Command, CommandCall, Program } from "./command.ts";
import { completionCommand } from "./completion.ts";
import { ExitCode } from "./exit_codes.ts";
import { earlyEndSentences, untilStopped, waitingSentences } from "./shutdown.ts";
import { readToken } from "./token.ts";
import { versionLine } from "./version.ts";

type ServeCall = CommandCall<typeof edgeServeOptions>;

const serveCommand: Command<typeof edgeServeOptions> = {
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
  const { values, host, output } = call;
  const reservedNames = reservedNamesOf(values);
  const { token, data } = await tokenOf(call);
  const edge = await startEdge({
    listen: values.listen,
    domain: values.domain,
    token,
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
    events: log === null ? logEvents() : { ...logEvents(), onRequest: log.add },
    publicUrl: values.publicUrl,
    tcpTimeoutMs: values.tcpTimeout,
    defaultTunnel: values.defaultTunnel,
    directVisitors: values.directVisitors,
  });
  const listen = formatAddress(edge.address);
  output.event(
    "ready",
    // `admin` is null until there is a listener for administration: scripts may read the key already.
    { version, listen, admin: null, domain: values.domain, publicUrl: edge.urlOf(), dataDir: data?.path ?? null },
    `Listening   ${listen}, and serving tunnels at ${edge.urlOf("NAME")}`,
    `Data        ${data?.path ?? "none: the token was given, and nothing else is kept yet"}`,
    `Connect     ${connectCommand(edge, values, data?.tokenPath ?? values.tokenFile)}`,
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

/** The edge's token. `data` is null where it was given: nothing else is kept, and a folder would not be made. */
async function tokenOf({ values, host }: ServeCall): Promise<{ token: string; data: DataFolder | null }> {
  const given = await readToken(values, host);
  if (given !== null) return { token: given, data: null };
  const data = new DataFolder(values.data ?? defaultDataFolder(host));
  return { token: await data.ownToken(), data };
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

function logEvents(): EdgeEvents {
  const log = logger("edge");
  // By the tunnel's name, the id of its latest session: one that drains may end behind the next one's begin.
  const serving = new Map<string, string>();
  return {
    onSession: (id, tunnel, protocol, peer) => {
      serving.set(tunnel, id);
      const what = "Tunnel {tunnel} is online: agent {version} from {address}, session {id} ({protocol})";
      log.info(what, { tunnel, id, protocol, ...shownPeer(peer) });
    },
    onSessionEnd: (id, tunnel, code, reason, peer) => {
      const isServing = serving.get(tunnel) === id;
      if (isServing) serving.delete(tunnel);
      const what = isServing ? "Tunnel {tunnel} is offline" : "Tunnel {tunnel} had a later session already";
      const how = "agent {version} from {address}, session {id} ended: {reason} ({code})";
      log.info(`${what}: ${how}`, { tunnel, id, code, reason, ...shownPeer(peer) });
    },
    onTokensRefused: (address, count) => {
      if (address === null) log.warn("Refused {count} wrong tokens from further addresses", { count });
      else if (count === 1) log.warn("Refused a wrong token from {address}", { address, count });
      else log.warn("Refused {count} more wrong tokens from {address}", { address, count });
    },
    onQuotaReached: (reason, count) => {
      if (count === 1) log.warn("Refused an agent: {reason}", { reason });
      else log.warn("Refused {count} more agents: {reason}", { count, reason });
    },
    onShed: (count) => {
      const remedy = "raise the limit of open files (ulimit -n)";
      const what = count === 1 ? "{count} connection, since" : "{count} more connections within a minute, since";
      log.warn(`Refused ${what} descriptors run out: ${remedy}`, { count });
    },
    onReplaced: (tunnel, why) => log.warn("Tunnel {tunnel}: the session was replaced, {why}", { tunnel, why }),
    onBadFrame: (id, tunnel, reason) =>
      log.warn("Tunnel {tunnel}: session {id} sent a frame that cannot be taken: {reason}", { tunnel, id, reason }),
    onError: (error) => log.debug("Exchange failed: {error}", { error: withCause(error) }),
  };
}

function shownPeer({ address, version }: AgentPeer): { address: string; version: string } {
  return { address: address === "" ? "unknown" : address, version: version ?? "of another make" };
}

/** The public is told less than the cause. */
function withCause(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  return cause === undefined || cause === null ? String(error) : `${error} (${messageOf(cause)})`;
}

export const edgeProgram: Program = {
  name: "edge",
  summary: "The public side of Runnel, a self-hosted, streaming-first tunnel",
  version: () => versionLine("edge"),
  commands: [serveCommand, completionCommand("edge")],
};
