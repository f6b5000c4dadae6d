/** `agent http`: serves a private HTTP service through an edge. */
import {
  Agent,
  AgentError,
  type AgentEvents,
  AgentToken,
  type EdgeUrl,
  newAgentKey,
  openJsonTunnel,
  type OpenTunnelOnce,
  openV2Tunnel,
  type V2DialOptions,
} from "../agent/mod.ts";
import { agentHttpOptions, randomName, UsageError, version } from "../config/mod.ts";
import { compressedUpstream, observeExchanges, type RequestReport, withoutForwarding } from "../http/mod.ts";
import { HttpClient } from "../http1/mod.ts";
import { dial as dialDirectly } from "../net/mod.ts";
import { logger } from "../observe/mod.ts";
import { type AgentDisplay, eventDisplay } from "./agent_display.ts";
import { machineInstance } from "./agent_instance.ts";
import { edgeEndpoint, upstreamEndpoint, withTcpTimeout } from "./agent_endpoints.ts";
import { checkEdgeOfToken, edgePins, readAgentSettings } from "./agent_settings.ts";
import type { Command, CommandCall } from "./command.ts";
import { ExitCode, remedyFor } from "./exit_codes.ts";
import { canRedraw } from "./host.ts";
import { liveDisplay } from "./live_display.ts";
import { type EarlyEnd, earlyEndReason, untilStopped } from "./shutdown.ts";
import { isReadAgain, readToken, tokenIn } from "./token.ts";
import { TokenWatch } from "./token_watch.ts";

type HttpCall = CommandCall<typeof agentHttpOptions>;

export const httpCommand: Command<typeof agentHttpOptions> = {
  name: "http",
  summary: "Serve a private HTTP service through an edge",
  options: agentHttpOptions,
  positionals: { TARGET: "3000, :3000, host:3000, http://host:3000, https://host or unix:/run/app.sock" },
  examples: [
    "agent http 3000",
    "agent http 3000 --edge http://127.0.0.1:8080 --token-file token --name shop",
    "agent http 5173 --host-header rewrite",
    "RUNNEL_TOKEN=secret agent http unix:/run/app.sock --json",
  ],
  settings: readAgentSettings,
  run: serveHttp,
};

async function serveHttp(call: HttpCall): Promise<number> {
  const { values, host, output } = call;
  checkConnectionAuth(values);
  checkShare(values);
  const target = await upstreamEndpoint(call.positionals.TARGET, values);
  const { edge, dial } = await edgeEndpoint({ ...values, edgePin: edgePins(call, values.edge) }, host);
  const token = await tokenFor(edge, call);
  const instance = await machineInstance(host);
  const view = { upstream: target.label, edge: edge.label, protocol: values.protocol };
  const display = !output.isJson && canRedraw(host) ? await liveDisplay(view, call) : eventDisplay(view, output);
  const { upstreamConnectionAuth: connectionAuth, hostHeader } = values;
  const limits = { headBytes: values.headLimit, fieldCount: values.fieldLimit };
  const dialUpstream = withTcpTimeout(target.dialer, values.tcpTimeout);
  const client = new HttpClient({ target: target.dial, dial: dialUpstream, connectionAuth, hostHeader, limits });
  const drainMs = values.drainTimeout;
  let earlyEnd: EarlyEnd | null = null;
  let watch: TokenWatch | null = null;
  const report = (request: RequestReport) => {
    // Whoever stopped the agent has ended these requests. Nothing has failed.
    if (earlyEnd === null || request.code !== "agent_lost") return display.request(request, false);
    display.request({ ...request, reason: `The agent was stopped, ${earlyEndReason(earlyEnd, drainMs)}` }, true);
  };
  try {
    const asked = values.noForwardedHeaders ? withoutForwarding(client.request) : client.request;
    const answers = values.compress ? compressedUpstream(asked) : asked;
    const upstream = observeExchanges(answers, report, undefined, display.open);
    const agent = new Agent({
      open: tunnelOpener(values, token, {
        edge,
        dial: withTcpTimeout(dial ?? dialDirectly, values.tcpTimeout),
        upstream,
        upstreamLabel: target.label,
        version,
        instance,
        firstByteMs: values.firstByteTimeout,
        onError: logError,
      }),
      connectTimeoutMs: values.connectTimeout,
      events: shownOn(display),
    });
    const finished = agent.run();
    watch = isReadAgain(values) ? new TokenWatch(agent, token) : null;
    await untilStopped(agent, {
      host,
      drainMs,
      finished,
      onDrain: () => display.stopping(agent.active, drainMs),
      onEarlyEnd: (by) => {
        earlyEnd = by;
        display.endingEarly(agent.active, by, drainMs);
      },
    });
    await finished;
  } catch (error) {
    throw named(error, values);
  } finally {
    watch?.stop();
    client.close();
    display.close();
  }
  output.event("exit", { code: ExitCode.ok, from: "signal" });
  return ExitCode.ok;
}

/** Throws `UsageError` where the protocol cannot name visitors' connections. */
function checkConnectionAuth({ upstreamConnectionAuth, protocol }: HttpCall["values"]): void {
  if (!upstreamConnectionAuth || protocol === "v2") return;
  throw new UsageError(
    "--upstream-connection-auth needs to know visitors' connections, which the JSON protocol does not name",
    "Leave --protocol json out",
  );
}

/** Throws `UsageError` where nobody could share the tunnel. */
function checkShare({ share, name, protocol }: HttpCall["values"]): void {
  if (!share) return;
  if (protocol === "json") throw new UsageError("--share needs --protocol v2", "Leave --protocol json out");
  if (name !== undefined) return;
  throw new UsageError(
    "--share needs --name: no other agent knows a name that is drawn",
    "Give all of them the same --name",
  );
}

async function tokenFor(edge: EdgeUrl, call: HttpCall): Promise<AgentToken> {
  const token = await givenToken(edge, call);
  const { values } = call;
  return new AgentToken(token, isReadAgain(values) ? () => tokenIn(values.tokenFile) : undefined);
}

async function givenToken(edge: EdgeUrl, { values, origins, settings, host }: HttpCall): Promise<string> {
  const isFromSettings = origins.token === "settings" || origins.tokenFile === "settings";
  if (isFromSettings && settings !== null) checkEdgeOfToken(edge, settings);
  const token = await readToken(values, host);
  if (token !== null) return token;
  const login = `agent login ${edge.label} --token-file -`;
  throw new UsageError("The token is missing", `Give it with --token-file FILE, or keep it with '${login}'`);
}

function tunnelOpener(
  values: HttpCall["values"],
  token: AgentToken,
  options: Omit<V2DialOptions, "token" | "name" | "force" | "share" | "agentKey" | "hasRandomName">,
): OpenTunnelOnce {
  // Drawn once, so that the URL stays the same across reconnects.
  const { name = randomName(), force, share } = values;
  const chosen = { ...options, name, force, share, agentKey: newAgentKey(), hasRandomName: values.name === undefined };
  const open = values.protocol === "json" ? openJsonTunnel : openV2Tunnel;
  return token.opener((token, signal) => open({ ...chosen, token }, signal));
}

/** Whoever gave no name did not choose the one that the token may not open. */
function named(error: unknown, { name }: HttpCall["values"]): unknown {
  if (name !== undefined || !(error instanceof AgentError) || error.code !== "name_not_allowed") return error;
  const remedy = "Name one of the token's tunnels with --name: edge tunnel list shows them";
  return new AgentError(error.code, "The token opens no tunnel of a random name", error, { remedy });
}

function logError(error: unknown): void {
  logger("agent").error("An exchange failed: {error}", { error: String(error) });
}

function shownOn(display: AgentDisplay): AgentEvents {
  return {
    onConnecting: (attempt, inMs, because) => {
      display.connecting(attempt, inMs, because.reason, remedyFor(because) ?? "");
    },
    onReady: (tunnel) => display.ready(tunnel),
    onDisconnected: ({ reason }) => display.disconnected(reason),
    onReconnecting: (attempt, inMs, because) => display.reconnecting(attempt, inMs, because?.reason ?? null),
  };
}
