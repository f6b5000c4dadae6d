/** `agent run`: serves the tunnels that the edge has for a node, or those of a file, on one session. */
import {
  AgentToken,
  AllowedUpstreams,
  EdgeApi,
  type EdgeUrl,
  ManagedAgent,
  newAgentKey,
  newInstance,
  StateFile,
  TunnelKeeper,
  TunnelSession,
  upstreamOf,
  type UpstreamsOptions,
} from "../../agent/mod.ts";
import { messageOf } from "../../base/mod.ts";
import { agentRunOptions, defaultDataFolder, UsageError, version } from "../../config/mod.ts";
import { type Handler, observeExchanges } from "../../http/mod.ts";
import type { Dial } from "../../http1/mod.ts";
import { dial as dialDirectly } from "../../net/mod.ts";
import { logger } from "../../observe/mod.ts";
import { machineInstance } from "../agent_instance.ts";
import { edgeEndpoint, readAuthorities, withTcpTimeout } from "../agent_endpoints.ts";
import { checkEdgeOfToken, edgePins, readAgentSettings } from "../agent_settings.ts";
import type { Command, CommandCall } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { FileWatch } from "../file_watch.ts";
import { untilStopped } from "../shutdown.ts";
import { type GivenToken, isReadAgain, readToken, tokenIn } from "../token.ts";
import { TokenWatch } from "../token_watch.ts";
import { type AgentFile, readAgentFile } from "./config_file.ts";
import { RunDisplay } from "./display.ts";
import { FileAgent } from "./file_agent.ts";
import { StopRequests } from "./stop_requests.ts";

type RunCall = CommandCall<typeof agentRunOptions>;

export const runCommand: Command<typeof agentRunOptions> = {
  name: "run",
  summary: "Serve the tunnels that the edge has for this machine, or those of a file",
  options: agentRunOptions,
  positionals: {},
  examples: [
    "agent run --edge https://example.com --token-file /etc/runnel/token",
    "agent run --edge https://example.com --token-file token --allow-upstream 10.0.0.0/8:8080",
    "agent run --config tunnels.yaml",
  ],
  settings: readAgentSettings,
  run: runAgent,
};

/** What both kinds of agents are stopped by, and told of. */
interface RunningAgent {
  run(): Promise<void>;
  drain(): Promise<void>;
  close(): void;
  /** Looks for another config now. */
  reload(): unknown;
  /** The session was renewed with another token. */
  tokenChanged?(): void;
}

interface Parts {
  readonly edge: EdgeUrl;
  readonly dial: Dial;
  readonly token: AgentToken;
  readonly display: RunDisplay;
  readonly stops: StopRequests;
  readonly keeper: TunnelKeeper;
  readonly instance: string;
  /** Keeps what the edge's config was; null where the tunnels are those of a file. */
  readonly state: StateFile | null;
}

async function runAgent(call: RunCall): Promise<number> {
  const { config } = call.values;
  if (config === undefined) return await runWith(call, null, null);
  // What changes while the file is read is noticed.
  const watch = new FileWatch(config);
  await watch.start();
  try {
    return await runWith(call, await readFile(call, config), watch);
  } finally {
    watch.stop();
  }
}

/** @param watch of the file that is given */
async function runWith(call: RunCall, file: AgentFile | null, watch: FileWatch | null): Promise<number> {
  const { values, host, output } = call;
  const url = edgeOf(call, file);
  const { edge, dial } = await edgeEndpoint({ ...values, edge: url, edgePin: edgePins(call, url) }, host);
  const token = await tokenFor(edge, call, file);
  const display = new RunDisplay(output);
  const dialEdge = withTcpTimeout(dial ?? dialDirectly, values.tcpTimeout);
  const state = file === null ? new StateFile(dataFolderOf(call)) : null;
  const instance = state === null ? await machineInstance(host) : await instanceOf(state, display);
  const keeper = await createKeeper(call, { edge, dial: dialEdge, token, display, instance, state });
  const stops = new StopRequests(host);
  const parts: Parts = { edge, dial: dialEdge, token, display, stops, keeper, instance, state };
  const agent: RunningAgent = file === null ? await managedAgent(parts) : fileAgent(call, parts, file);
  const reload = () => void agent.reload();
  if (watch !== null) watch.onChange = reload;
  // Windows does not have it.
  const endReload = host.onSignal("SIGHUP", reload);
  const tokenWatch = isReadAgain(givenToken(call, file)) ? new TokenWatch(renewable(keeper, agent), token) : null;
  const drainMs = values.drainTimeout;
  const finished = agent.run();
  try {
    await untilStopped(agent, {
      host: stops,
      drainMs,
      finished,
      onDrain: () => display.stopping(keeper.active, drainMs),
      onEarlyEnd: (by) => display.endingEarly(keeper.active, by, drainMs),
    });
    await finished;
  } finally {
    tokenWatch?.stop();
    endReload();
  }
  output.event("exit", { code: ExitCode.ok, from: stops.isAsked ? "edge" : "signal" });
  return ExitCode.ok;
}

function readFile({ host }: RunCall, path: string): Promise<AgentFile> {
  return readAgentFile(path, (name) => host.environment(name));
}

/** Flags and variables count before the file, and that before the settings. */
function edgeOf({ values, origins }: RunCall, file: AgentFile | null): string {
  const isGiven = origins.edge === "flag" || origins.edge === "environment";
  return isGiven ? values.edge : file?.edge ?? values.edge;
}

/** The same for the token. */
function givenToken({ values, origins }: RunCall, file: AgentFile | null): GivenToken {
  const { token, tokenFile } = values;
  const isWeak = (origin: string | null) => origin === null || origin === "settings";
  if (file?.tokenFile === undefined || !isWeak(origins.token) || !isWeak(origins.tokenFile)) {
    return { token, tokenFile };
  }
  return { token: undefined, tokenFile: file.tokenFile };
}

async function tokenFor(edge: EdgeUrl, call: RunCall, file: AgentFile | null): Promise<AgentToken> {
  const { origins, settings, host } = call;
  const given = givenToken(call, file);
  const isFromFile = given.tokenFile === file?.tokenFile && file?.tokenFile !== undefined;
  const isFromSettings = origins.token === "settings" || origins.tokenFile === "settings";
  if (isFromSettings && !isFromFile && settings !== null) checkEdgeOfToken(edge, settings);
  const token = await readToken(given, host);
  if (token === null) {
    const remedy = "Give a node's with --token-file FILE: edge node add and edge node rotate print one";
    throw new UsageError("The token is missing", remedy);
  }
  return new AgentToken(token, isReadAgain(given) ? () => tokenIn(given.tokenFile) : undefined);
}

type KeeperParts = Pick<Parts, "edge" | "dial" | "token" | "display" | "instance" | "state">;

async function createKeeper({ values }: RunCall, parts: KeeperParts): Promise<TunnelKeeper> {
  const { edge, dial, token, display, instance } = parts;
  const { allowUpstream, upstreamInsecure: insecure, drainTimeout: drainMs } = values;
  const isAnyAllowed = parts.state === null && allowUpstream.length === 0;
  const observed = (upstream: Handler, tunnel: string) =>
    observeExchanges(upstream, (request) => display.request(tunnel, request));
  const upstreams: UpstreamsOptions = {
    allowed: isAnyAllowed ? null : new AllowedUpstreams(allowUpstream.length === 0 ? undefined : allowUpstream),
    tls: { insecure, ca: await readAuthorities("--upstream-ca", values.upstreamCa) },
    dial: withTcpTimeout(dialDirectly, values.tcpTimeout),
    limits: { headBytes: values.headLimit, fieldCount: values.fieldLimit },
    connectionAuth: values.upstreamConnectionAuth,
    observed,
  };
  // The same for all of its sessions, so that the next one takes the tunnels over.
  const agentKey = newAgentKey();
  return new TunnelKeeper({
    makeUpstream: (tunnel) => upstreamOf(tunnel, upstreams),
    drainMs,
    connect: (hooks, signal) => {
      const onError = (error: unknown) => display.failed(error);
      const options = { ...hooks, edge, dial, version, agentKey, instance, onError };
      return token.opener((token, signal) => TunnelSession.connect({ ...options, token }, signal))(signal);
    },
    events: display.keeperEvents,
  });
}

function renewable(keeper: TunnelKeeper, agent: RunningAgent) {
  return {
    get tunnel() {
      return keeper.tunnel;
    },
    async renew() {
      const error = await keeper.renew();
      if (error === null) agent.tokenChanged?.();
      return error;
    },
  };
}

async function instanceOf(state: StateFile, display: RunDisplay): Promise<string> {
  return await state.instance().catch((error) => {
    display.trouble("The data folder", `${messageOf(error)}. --data names another one`);
    return newInstance();
  });
}

async function managedAgent(
  { edge, dial, token, keeper, display, stops, instance, state }: Parts,
): Promise<RunningAgent> {
  const lastGood = await state?.read(edge.label).catch(() => null) ?? null;
  if (lastGood !== null) {
    logger("agent").info("Begins with version {version} of the config, which it served last", {
      version: lastGood.version,
    });
  }
  return new ManagedAgent({
    api: new EdgeApi({ edge, dial, token, instance }),
    keeper,
    lastGood,
    save: async (served) => await state?.write(edge.label, served),
    events: { ...display.managedEvents, onLeave: (action) => stops.ask(action) },
  });
}

/** @throws {UsageError} where the system does not tell which folder it is */
function dataFolderOf({ values, host }: RunCall): string {
  try {
    return values.data ?? defaultDataFolder(host);
  } catch (error) {
    throw new UsageError(`The data folder is not known: ${messageOf(error)}`, "Name one with --data DIR");
  }
}

function fileAgent(call: RunCall, { keeper, display }: Parts, first: AgentFile): FileAgent {
  return new FileAgent({
    keeper,
    first,
    read: () => readFile(call, call.values.config!),
    onConfig: (version, error) => display.config(version, error),
  });
}
