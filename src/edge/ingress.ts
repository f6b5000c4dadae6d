/**
 * Where public requests come in. The host decides where a request goes, forwarding fields are added on the way there, and
 * fields that are not for the public are removed on the way back.
 */
import type { CancelSignal } from "../base/mod.ts";
import {
  type Answer,
  type Body,
  ExchangeError,
  type Forwarding,
  type Handler,
  pathOf,
  publicAnswer,
  type RequestHead,
  type TimeoutGuard,
} from "../http/mod.ts";
import type { Admission, VisitorLimits } from "../limits/mod.ts";
import { isServicePath } from "./own_paths.ts";
import type { EdgeSession } from "../session/mod.ts";
import type { Router } from "./router.ts";
import type { SharedWork } from "./shared_work.ts";
import type { TrafficTable } from "./traffic_table.ts";
import type { TunnelHolder } from "./tunnel_holder.ts";
import type { Tunnel, Tunnels } from "./tunnels.ts";
import type { WaitingVisitors } from "./waiting_visitors.ts";

export interface IngressOptions {
  router: Router;
  tunnels: Tunnels;
  /** What exchanges are counted for, where no open tunnel takes them. */
  traffic: TrafficTable;
  /** What upstreams are told of visitors. */
  forwarding: Forwarding;
  guard: TimeoutGuard;
  /** Chooses among the agents that share a tunnel. */
  sharedWork: SharedWork;
  /** Visitors of tunnels whose agents have lost their links. */
  waiting: WaitingVisitors;
  /** What visitors may ask. Default null: anything. */
  limits?: VisitorLimits | null;
  /** The edge's own routes; null for a path that is not the edge's. */
  ownRoutes: (head: RequestHead, body: Body, signal: CancelSignal) => Promise<Answer> | null;
  /** The name of the tunnel that serves the domain itself, but for the edge's own paths. */
  defaultTunnel?: string;
  /** A request goes to a tunnel, and to the session that serves it; null: to none, since the tunnel is offline. */
  onRouted?: (head: RequestHead, tunnel: string, session: string | null) => void;
}

/** Rejects with `ExchangeError`: `tunnel_not_found`, `tunnel_offline`, what `limits` throw, and what the session's `open` rejects with. */
export function createIngress(options: IngressOptions): Handler {
  const { router, tunnels, traffic, forwarding, guard, limits = null, defaultTunnel } = options;

  function askTunnel(tunnel: Tunnel, head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> {
    head.meter?.countFor(tunnel.traffic);
    const { holders } = tunnel;
    // Nearly every tunnel has one agent, which is there.
    const only = holders.length === 1 ? holders[0]! : null;
    options.onRouted?.(head, tunnel.name, servingId(only?.session ?? tunnel.session));
    const admission = limits === null ? null : limits.admit(head, tunnel.name);
    if (only !== null && !only.isSuspended) return askHolder(only, admission, head, body, signal);
    return askShared(tunnel, admission, head, body, signal) ?? askLater(tunnel, admission, head, body, signal);
  }

  function askHolder(
    holder: TunnelHolder,
    admission: Admission | null,
    head: RequestHead,
    body: Body,
    signal: CancelSignal,
  ): Promise<Answer> {
    head.meter?.servedBy(holder);
    const forwarded = forwarding.headFor(ofOneVisitor(head), holder.wireName);
    const { open } = holder.session;
    const answer = admission === null
      ? guard.call(open, forwarded, body, signal, holder.timeouts, holder)
      : admission.call(guard, open, forwarded, body, signal, holder.timeouts, holder);
    return answer.then(publicAnswer);
  }

  /** Null where no agent takes requests now. */
  function askShared(
    tunnel: Tunnel,
    admission: Admission | null,
    head: RequestHead,
    body: Body,
    signal: CancelSignal,
  ): Promise<Answer> | null {
    const ask = (holder: TunnelHolder, asked: RequestHead, signal: CancelSignal) => {
      options.onRouted?.(head, tunnel.name, holder.session.id);
      return askHolder(holder, admission, asked, body, signal);
    };
    return options.sharedWork.ask(() => tunnel.holders, head, body, signal, ask);
  }

  /** Waits for the agent, where it may come back. Nothing of the body is read meanwhile, and no timeout runs. */
  async function askLater(
    expected: Tunnel,
    admission: Admission | null,
    head: RequestHead,
    body: Body,
    signal: CancelSignal,
  ): Promise<Answer> {
    const { name, holders } = expected;
    // One that has said that it leaves will not come back for new requests.
    const isAwaited = holders.some(({ isSuspended, session }) => isSuspended && !session.isLeaving);
    if (!isAwaited && !tunnels.isExpected(expected)) throw offline(name);
    const isServed = await options.waiting.wait(name, signal);
    signal.throwIfAborted();
    const tunnel = isServed ? tunnels.get(name) : undefined;
    const answer = tunnel === undefined ? null : askShared(tunnel, admission, head, body, signal);
    if (answer === null) throw new ExchangeError("tunnel_offline", `The agent of the tunnel ${name} did not come back`);
    return await answer;
  }

  /** Without the connection's name where a proxy sent the request: others' requests may come on that connection. */
  function ofOneVisitor(head: RequestHead): RequestHead {
    if (head.visitorConnection === undefined) return head;
    const isProxys = head.isProxied === true || forwarding.isForwarded(head.fields);
    return isProxys ? { ...head, visitorConnection: undefined } : head;
  }

  /** The error for a declared tunnel that no agent has opened. */
  function unopened(name: string, head: RequestHead): ExchangeError {
    head.meter?.countFor(traffic.of(name));
    options.onRouted?.(head, name, null);
    limits?.admitAstray(head);
    return offline(name);
  }

  function serve(head: RequestHead, body: Body, signal: CancelSignal): Promise<Answer> {
    const route = router.route(head.authority);
    if (route.kind === "tunnel") return askTunnel(route.tunnel, head, body, signal);
    if (route.kind === "offline") throw unopened(route.name, head);
    if (route.kind === "unknown" || (route.kind === "foreign" && !isServicePath(head.target))) {
      head.meter?.countFor(traffic.own);
      limits?.admitAstray(head);
      throw new ExchangeError("tunnel_not_found", `No tunnel serves ${route.host}`);
    }
    const answer = options.ownRoutes(head, body, signal);
    if (answer === null && defaultTunnel !== undefined) {
      const fallback = tunnels.get(defaultTunnel);
      if (fallback !== undefined) return askTunnel(fallback, head, body, signal);
      if (router.isDeclared(defaultTunnel)) throw unopened(defaultTunnel, head);
    }
    head.meter?.countFor(traffic.own);
    if (answer !== null) return answer;
    throw new ExchangeError("not_found", `The edge has no page at ${pathOf(head.target).slice(0, 200)}`);
  }

  return (head, body, signal) => {
    try {
      return serve(head, body, signal);
    } catch (error) {
      return Promise.reject(error);
    }
  };
}

function servingId(session: EdgeSession | null): string | null {
  return session?.isLeaving === false ? session.id : null;
}

function offline(tunnel: string): ExchangeError {
  return new ExchangeError("tunnel_offline", `The agent of the tunnel ${tunnel} is not connected`);
}
