/** What an agent of `runnel.v2` asks of its edge: ordinary HTTP requests, on streams that the agent opens. */
import { Hono } from "hono";
import { z } from "zod";
import { randomName, versionFieldName } from "../config/mod.ts";
import { collectBody, CollectBudget, fieldValue, type RequestHead } from "../http/mod.ts";
import { askedTimeoutsShape, type EdgeSession, parseJson } from "../session/mod.ts";
import { problemResponse } from "./api.ts";
import type { TokenOwner } from "./tokens.ts";
import { toldTimeouts, type TunnelTimeouts } from "./tunnel_timeouts.ts";
import { ClaimError, type Tunnels } from "./tunnels.ts";

/** The agent that asks. It is known from the session, never from a field of the request. */
export interface AgentIdentity {
  readonly owner: TokenOwner;
  readonly session: EdgeSession;
  readonly peer: AgentPeer;
}

/** Where an agent comes from, for logs. */
export interface AgentPeer {
  /** Its IP address, or that of the proxy in front of the edge; empty where it is unknown. */
  readonly address: string;
  /** The version of its program; null for agents of another make. */
  readonly version: string | null;
}

/** @param head of the agent's handshake */
export function agentPeerOf({ client, fields }: Pick<RequestHead, "client" | "fields">): AgentPeer {
  const version = fieldValue(fields, versionFieldName.toLowerCase()) ?? "";
  return { address: client, version: /^[\w.+-]{1,64}$/.test(version) ? version : null };
}

export interface AgentApiOptions {
  tunnels: Tunnels;
  timeouts: TunnelTimeouts;
  urlOf(name: string): string;
  /** A session opened a tunnel; for the log. */
  onTunnel(session: EdgeSession, name: string, peer: AgentPeer): void;
}

const tunnelRequest = z.strictObject({
  name: z.string().optional(),
  kind: z.literal("http"),
  /** For people and logs; only the agent dials it. */
  upstream: z.string().max(1024),
  force: z.boolean().optional(),
  timeouts: z.strictObject(askedTimeoutsShape).optional(),
});

const MAX_BODY_BYTES = 64 * 1024;

/**
 * `POST /api/agent/tunnels {name?, kind, upstream, force?, timeouts?}` → 201 `{id, name, url, timeouts?}`. The tunnel
 * lives as long as its session. The answer has the timeouts that the tunnel got where some were asked for.
 */
export function createAgentApi(options: AgentApiOptions): Hono<{ Bindings: { agent?: AgentIdentity } }> {
  const { tunnels, urlOf } = options;
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
    const { name = randomName(), force, timeouts: asked } = parsed.data;
    const timeouts = options.timeouts.grant(asked);
    const { owner } = agent;
    const refusal = owner.refusalOf(name);
    if (refusal !== null) return problemResponse("name_not_allowed", refusal);
    try {
      await tunnels.claim(name, owner.ownerOf(name), agent.session, force, timeouts, owner.refusalOf);
    } catch (error) {
      if (!(error instanceof ClaimError)) throw error;
      return problemResponse(error.code, error.reason);
    }
    options.onTunnel(agent.session, name, agent.peer);
    return c.json({ id: name, name, url: urlOf(name), timeouts: toldTimeouts(asked, timeouts) }, 201);
  });
  return app;
}

/** Null where the body is too long; the rest of it is then canceled. */
async function readText(body: ReadableStream<Uint8Array> | null): Promise<string | null> {
  const collected = await collectBody(body, MAX_BODY_BYTES, new CollectBudget(MAX_BODY_BYTES));
  return "bytes" in collected ? new TextDecoder().decode(collected.bytes) : null;
}
