/** What an agent of `runnel.v2` asks of its edge: ordinary HTTP requests, on streams that the agent opens. */
import { Hono } from "hono";
import { z } from "zod";
import { randomName } from "../config/mod.ts";
import { askedTimeoutsShape, type EdgeSession, parseJson, type SessionEnd } from "../session/mod.ts";
import type { AgentIdentity, AgentPeer } from "./agent_identity.ts";
import { MAX_BODY_BYTES, problemResponse, readText } from "./api.ts";
import { claimFor } from "./claim_for.ts";
import { type DeclaredTunnels, declaredUrls } from "./declared.ts";
import type { PublicUrls } from "./public_urls.ts";
import { toldTimeouts, type TunnelTimeouts } from "./tunnel_timeouts.ts";
import { type Claim, ClaimError, isQuota, type Tunnels } from "./tunnels.ts";

export interface AgentApiOptions {
  tunnels: Tunnels;
  timeouts: TunnelTimeouts;
  declared: DeclaredTunnels;
  urls: PublicUrls;
  /** An agent may not have the tunnel that it asked for. */
  onTunnelRefused(peer: AgentPeer, reason: string): void;
  /** A session opened a tunnel, which it has until `ended` resolves; for the log. */
  onTunnel(session: EdgeSession, name: string, peer: AgentPeer, ended: Promise<SessionEnd>): void;
}

const tunnelRequest = z.strictObject({
  name: z.string().optional(),
  kind: z.literal("http"),
  /** For people and logs; only the agent dials it. */
  upstream: z.string().max(1024),
  force: z.boolean().optional(),
  share: z.boolean().optional(),
  timeouts: z.strictObject(askedTimeoutsShape).optional(),
});

/** Of an id that a client names. */
const MAX_SHOWN_CHARACTERS = 100;

/**
 * `POST /api/agent/tunnels {name?, kind, upstream, force?, share?, timeouts?}` → 201 `{id, name, url, urls?,
 * timeouts?}`. The tunnel lives as long as its session. The answer has all of its URLs where it has hostnames of its own,
 * and the timeouts that it got where some were asked for. Asked for again, an open tunnel gets the timeouts of the later
 * request.
 *
 * `DELETE /api/agent/tunnels/{id}` → 204: gives a tunnel of the session back. 404 `tunnel_not_found` where it has none.
 */
export function createAgentApi(options: AgentApiOptions): Hono<{ Bindings: { agent?: AgentIdentity } }> {
  const { tunnels, declared, urls } = options;
  const app = new Hono<{ Bindings: { agent?: AgentIdentity } }>();
  app.post("/api/agent/tunnels", async (c) => {
    const { agent } = c.env;
    if (agent === undefined) {
      return problemResponse("session_required", "A tunnel is opened on a stream of an agent's session");
    }
    const text = await readText(c.req.raw.body);
    if (text === null) return problemResponse("body_too_large", `The body is over ${MAX_BODY_BYTES} bytes`);
    const parsed = tunnelRequest.safeParse(parseJson(text));
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      return problemResponse("bad_request", `Key \`${issue?.path.join(".")}\`: ${issue?.message}`);
    }
    const { name = randomName(), force, share, timeouts: asked } = parsed.data;
    const hasRandomName = parsed.data.name === undefined || agent.peer.hasRandomName;
    const timeouts = options.timeouts.grant(asked);
    let claim: Claim;
    try {
      claim = await claimFor(agent, name, { tunnels, declared }, { force, share, timeouts });
    } catch (error) {
      if (!(error instanceof ClaimError)) throw error;
      if (!isQuota(error.code)) options.onTunnelRefused(agent.peer, error.reason);
      return problemResponse(error.code, error.reason);
    }
    if (claim.isNew) options.onTunnel(agent.session, name, { ...agent.peer, hasRandomName }, claim.ended);
    return c.json({
      id: name,
      name,
      url: urls.of(name, { isDrawn: hasRandomName, origin: agent.peer.origin }),
      urls: declaredUrls(declared, name, urls, agent.peer.origin),
      timeouts: toldTimeouts(asked, timeouts),
    }, 201);
  });
  app.delete("/api/agent/tunnels/:id", (c) => {
    const { agent } = c.env;
    if (agent === undefined) {
      return problemResponse("session_required", "A tunnel is given back on a stream of the session that has it");
    }
    const id = c.req.param("id");
    if (tunnels.giveBack(id, agent.session)) return c.body(null, 204);
    return problemResponse("tunnel_not_found", `The session has no tunnel ${id.slice(0, MAX_SHOWN_CHARACTERS)}`);
  });
  return app;
}
