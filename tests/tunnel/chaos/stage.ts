/** An edge and an agent with a `ChaosLink` between them, on each way that a link can take. */
import { Agent } from "../../../src/agent/agent.ts";
import { parseEdgeUrl } from "../../../src/agent/edge_url.ts";
import { TunnelKeeper } from "../../../src/agent/managed/tunnel_keeper.ts";
import type { TunnelConfig } from "../../../src/agent/managed/tunnel_config.ts";
import { TunnelSession } from "../../../src/agent/managed/tunnel_session.ts";
import { proxyFor } from "../../../src/agent/proxy.ts";
import { dialThrough } from "../../../src/agent/proxy_dial.ts";
import { openV2Tunnel } from "../../../src/agent/v2_dial.ts";
import { Backoff } from "../../../src/base/backoff.ts";
import type { Edge, EdgeOptions } from "../../../src/edge/edge.ts";
import type { Handler } from "../../../src/http/message.ts";
import type { V2AgentSession } from "../../../src/session/v2/agent_session.ts";
import type { V2EdgeSession } from "../../../src/session/v2/edge_session.ts";
import { ChaosLink } from "../../support/chaos_link.ts";
import { startConnectProxy } from "../../support/connect_proxy.ts";
import { eventually } from "../../support/net.ts";
import { edgeCertificate, startTlsEdge } from "../../support/tls_edge.ts";
import { startTestEdge, token } from "../../support/tunnel.ts";

export interface ChaosStageOptions {
  readonly upstream: Handler;
  /** What is between agent and edge, beside the link: TLS inside it, or an HTTP proxy in front. Default: nothing. */
  readonly via?: "tls" | "proxy";
  /** The names of the tunnels of a managed agent. Default: one tunnel of an agent that has no other. */
  readonly tunnels?: readonly string[];
  /** Default 30,000. */
  readonly resumeTimeoutMs?: number;
  /** Until a dead link is noticed. Default 500. */
  readonly deadAfterMs?: number;
  readonly edge?: Partial<EdgeOptions>;
}

export interface ChaosStage {
  readonly edge: Edge;
  readonly link: ChaosLink;
  /** Where visitors connect. */
  readonly port: number;
  readonly hosts: readonly string[];
  /** The session of the tunnels, as each end has it; null where it has none. */
  edgeSession(): V2EdgeSession | null;
  agentSession(): V2AgentSession | null;
  close(): Promise<void>;
}

/** A dial that a black hole has swallowed is given up after so long. */
const DIAL_TIMEOUT_MS = 1_500;

export async function startChaosStage(options: ChaosStageOptions): Promise<ChaosStage> {
  const { upstream, via, tunnels, resumeTimeoutMs = 30_000, deadAfterMs = 500 } = options;
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  const liveness = { pingAfterMs: deadAfterMs * 0.4, deadAfterMs };
  try {
    const { edge, agentPort, port } = await startEdge(via, { resumeTimeoutMs, link: liveness, ...options.edge });
    closers.push(() => edge.close());
    const link = await ChaosLink.start({ kind: "tcp", host: "127.0.0.1", port: agentPort });
    closers.push(() => link.close());
    const scheme = via === "tls" ? "https" : "http";
    const pins = via === "tls" ? [edgeCertificate.pin] : [];
    const edgeUrl = parseEdgeUrl(`${scheme}://127.0.0.1:${link.port}`, false, undefined, pins);
    const connecting = { edge: edgeUrl, token, version: "0.0.0", link: liveness, timeoutMs: DIAL_TIMEOUT_MS };
    const throughProxy = via === "proxy" ? { dial: await proxyDial(edgeUrl, closers) } : {};
    const agent = tunnels === undefined
      ? startSingle({ ...connecting, ...throughProxy, name: "shop", upstream })
      : startManaged({ ...connecting, ...throughProxy }, tunnels, upstream);
    closers.push(() => agent.close());
    const names = tunnels ?? ["shop"];
    const isOpen = (name: string) => (edge.tunnels.get(name)?.session ?? null) !== null;
    const isReady = () => names.every(isOpen) && agent.session() !== null;
    await Promise.race([eventually(isReady, { message: "the tunnels are open at both ends" }), agent.ended]);
    const edgeSession = () => (edge.tunnels.get(names[0]!)?.session ?? null) as V2EdgeSession | null;
    const hosts = names.map((name) => `${name}.localhost`);
    return { edge, link, port, hosts, edgeSession, agentSession: agent.session, close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function startEdge(via: ChaosStageOptions["via"], options: Partial<EdgeOptions>) {
  if (via !== "tls") {
    const edge = await startTestEdge(options);
    return { edge, agentPort: edge.address.port, port: edge.address.port };
  }
  const { edge, ports } = await startTlsEdge(options);
  return { edge, agentPort: ports.secure, port: ports.plain };
}

async function proxyDial(edge: ReturnType<typeof parseEdgeUrl>, closers: (() => unknown)[]) {
  const proxy = await startConnectProxy();
  closers.push(() => proxy.close());
  const target = proxyFor(edge, { flag: `http://127.0.0.1:${proxy.port}`, environment: () => undefined });
  return dialThrough(target!);
}

interface StartedAgent {
  session(): V2AgentSession | null;
  /** Rejects where it ended by itself. */
  readonly ended: Promise<never>;
  close(): void;
}

function startSingle(options: Parameters<typeof openV2Tunnel>[0]): StartedAgent {
  const agent = new Agent({ open: (signal) => openV2Tunnel(options, signal), backoff: new Backoff(1, 20) });
  return {
    session: () => (agent.tunnel?.session ?? null) as V2AgentSession | null,
    ended: endOf(agent.run()),
    close: () => agent.close(),
  };
}

function startManaged(
  options: Omit<Parameters<typeof TunnelSession.connect>[0], "handlerOf" | "onLost">,
  names: readonly string[],
  handler: Handler,
): StartedAgent {
  const keeper = new TunnelKeeper({
    connect: (hooks, signal) => TunnelSession.connect({ ...options, ...hooks }, signal),
    makeUpstream: () => ({ handler, label: "http://upstream", active: 0, close() {} }),
    drainMs: 1_000,
    backoff: () => new Backoff(1, 20),
  });
  keeper.start(names.map((name): TunnelConfig => ({ name, kind: "http", upstream: "3000", hostnames: [] })));
  return {
    session: () => (keeper.tunnel?.session ?? null) as V2AgentSession | null,
    ended: endOf(keeper.run()),
    close: () => keeper.close(),
  };
}

function endOf(run: Promise<void>): Promise<never> {
  const ended = run.then(() => {
    throw new Error("the agent ended");
  });
  ended.catch(() => {});
  return ended;
}
