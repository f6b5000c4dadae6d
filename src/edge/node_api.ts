/**
 * What the agents of a node ask of their edge: their config, word of its changes, and what became of it. Any client that
 * shows the node's token may ask, over plain HTTP as on a stream of its session. docs/push.md is about the same.
 *
 *     GET  /api/agent/config                   the config, with its version as ETag
 *     GET  /api/agent/push[?instance=NAME]     a stream of events that does not end
 *     POST /api/agent/ack                      what became of a version
 */
import { type Context, Hono } from "hono";
import { z } from "zod";
import type { CancelSignal } from "../base/mod.ts";
import { parseJson } from "../session/mod.ts";
import type { AgentIdentity } from "./agent_identity.ts";
import { MAX_BODY_BYTES, problemResponse, readText } from "./api.ts";
import type { NodeService } from "./node_service.ts";
import type { PublicOrigin, PublicUrls } from "./public_urls.ts";
import { type RefusalCode, refusalReasons } from "./refusals.ts";
import type { TokenCheck, TokenOwner } from "./tokens.ts";

export interface NodeApiOptions {
  nodes: NodeService;
  checkToken: TokenCheck;
  /** Counts a wrong token, and resolves when it is to be answered; see `TokenRefusals`. */
  refuseToken(address: string, signal: CancelSignal): Promise<RefusalCode>;
  urls: PublicUrls;
  /** How often agents are to ask for their config, whatever they are told. */
  pollIntervalMs: number;
}

type Env = { Bindings: { agent?: AgentIdentity; client?: string; origin?: PublicOrigin | null } };

/** An owner that is a node. */
type NodeOwner = TokenOwner & { readonly node: string };

export const DEFAULT_POLL_INTERVAL_MS = 60_000;

const CONFIG_PATH = "/api/agent/config";
const PUSH_PATH = "/api/agent/push";
const ACK_PATH = "/api/agent/ack";
const allowedMethods = [[CONFIG_PATH, "GET, HEAD"], [PUSH_PATH, "GET, HEAD"], [ACK_PATH, "POST"]] as const;

const instanceText = z.string().regex(/^[A-Za-z0-9._-]{1,64}$/, "is no name of 1 to 64 of A-Z a-z 0-9 . _ -");

/** Keys that are not known are passed over: a later agent may send more. */
const acknowledgement = z.object({
  version: z.int().min(0),
  checksum: z.string().max(128),
  ok: z.boolean(),
  /** Why it could not be applied. */
  error: z.string().max(1_024).nullish(),
  instance: instanceText.nullish(),
}).refine(({ ok, error }) => !ok || !error, { path: ["error"], error: "says what failed, and `ok` is true" });

export function createNodeApi(options: NodeApiOptions): Hono<Env> {
  const app = new Hono<Env>();
  const { nodes } = options;
  /** The node that asks, or the answer to whoever is none. */
  const nodeOf = (c: Context<Env>) => ownerOf(c, options);
  app.get(CONFIG_PATH, async (c) => {
    const owner = await nodeOf(c);
    return owner instanceof Response ? owner : configAnswer(c, owner.node, options);
  });
  app.get(PUSH_PATH, async (c) => {
    const owner = await nodeOf(c);
    return owner instanceof Response ? owner : pushAnswer(c, owner, nodes);
  });
  app.post(ACK_PATH, async (c) => {
    const owner = await nodeOf(c);
    return owner instanceof Response ? owner : await acknowledged(c, owner.node, nodes);
  });
  for (const [path, allowed] of allowedMethods) {
    app.all(
      path,
      ({ req }) => problemResponse("method_not_allowed", `${path} has no ${req.method}`, ["Allow", allowed]),
    );
  }
  return app;
}

/** The owner of the session on whose stream it is asked, else that of the request's token. */
async function ownerOf(c: Context<Env>, options: NodeApiOptions): Promise<NodeOwner | Response> {
  const { agent, client = agent?.peer.address ?? "" } = c.env;
  const [, token = ""] = /^Bearer +(\S+) *$/i.exec(c.req.header("authorization") ?? "") ?? [];
  const owner = agent?.owner ?? options.checkToken(token);
  if (owner === null || !owner.isValid()) {
    const code = await options.refuseToken(client, c.req.raw.signal);
    return problemResponse(code, refusalReasons[code], ["WWW-Authenticate", 'Bearer realm="runnel"']);
  }
  if (owner.node !== null) return owner as NodeOwner;
  return problemResponse("not_a_node", "The token is that of no node, and only nodes have a config");
}

function configAnswer(c: Context<Env>, node: string, { nodes, urls, pollIntervalMs }: NodeApiOptions): Response {
  const version = nodes.versionOf(node);
  if (version === null) return gone(node);
  const headers = { ETag: `"${nodes.epoch}-${version}"`, "Cache-Control": "no-store" };
  if (isListed(c.req.header("if-none-match"), headers.ETag)) return new Response(null, { status: 304, headers });
  const config = nodes.configOf(node);
  if (config === null) return gone(node);
  const { nodeId, checksum, tunnels } = config;
  const origin = c.env.origin ?? c.env.agent?.peer.origin;
  const pushUrl = urls.of(undefined, { origin }) + PUSH_PATH;
  return c.json({ nodeId, version, checksum, pushUrl, pollIntervalMs, tunnels }, 200, headers);
}

function pushAnswer(c: Context<Env>, { node, tokenId }: NodeOwner, nodes: NodeService): Response {
  const asked = c.req.query("instance");
  const fault = asked === undefined ? undefined : instanceText.safeParse(asked).error?.issues[0]?.message;
  if (fault !== undefined) return problemResponse("bad_request", `Query key \`instance\`: ${fault}`);
  const headers = {
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache, no-transform",
    // nginx would keep events back until its buffer is full.
    "X-Accel-Buffering": "no",
  };
  // A reader that is never asked to read would be written to.
  if (c.req.raw.method === "HEAD") return new Response(null, { headers });
  const lastEventId = c.req.header("last-event-id") ?? "";
  const stream = nodes.listen(node, { instance: asked ?? "", lastEventId, tokenId });
  return typeof stream === "string" ? problemResponse("overloaded", stream) : new Response(stream, { headers });
}

async function acknowledged(c: Context<Env>, node: string, nodes: NodeService): Promise<Response> {
  const text = await readText(c.req.raw.body).catch(() => undefined);
  if (text === undefined) return problemResponse("bad_request", "The body broke off");
  if (text === null) return problemResponse("body_too_large", `The body is over ${MAX_BODY_BYTES} bytes`);
  const parsed = acknowledgement.safeParse(parseJson(text));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    return problemResponse("bad_request", `Key \`${issue?.path.join(".")}\`: ${issue?.message}`);
  }
  const { version, checksum, ok, error, instance } = parsed.data;
  const why = ok ? null : error || "The agent gave no reason";
  const problem = await nodes.acknowledge(node, { instance: instance ?? "", version, checksum, error: why });
  return problem === null ? new Response(null, { status: 204 }) : problemResponse(problem.code, problem.detail);
}

/** It was removed while it asked. */
function gone(node: string): Response {
  return problemResponse("not_a_node", `There is no node ${node} any more`);
}

/** True where If-None-Match names `etag` (RFC 9110 §13.1.2). One that is malformed names none. */
function isListed(field: string | undefined, etag: string): boolean {
  if (field === undefined) return false;
  return field.trim() === "*" || field.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}
