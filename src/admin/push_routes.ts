/** `/api/v1/push`: tells agents something now. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Control } from "../control/mod.ts";
import { agentActions, type PushMessage, type PushRegistry, pushTypes } from "../push/mod.ts";
import { actorOf } from "./actor.ts";
import { Refusal } from "./problems.ts";
import { answers, jsonBody } from "./responses.ts";
import { nodeName } from "./schemas.ts";

export type PushSource = Pick<PushRegistry, "send" | "broadcast">;

/** How long an action holds that does not say so. */
const ACTION_MS = 60_000;
const MIN_POLL_INTERVAL_MS = 1_000;
const MAX_POLL_INTERVAL_MS = 24 * 3_600_000;

const pushSchema = z.strictObject({
  node: nodeName.optional().openapi({ description: "The node whose agents are told; `all` in its place: all of them" }),
  all: z.literal(true).optional(),
  type: z.enum(pushTypes),
  payload: z.record(z.string(), z.unknown()).default({}).openapi({ description: "See docs/push.md" }),
}).refine(({ node, all }) => (node === undefined) !== (all === undefined), {
  error: "needs either the key `node` or `all: true`",
}).openapi("Push", { example: { node: "web-1", type: "action", payload: { action: "reconnect" } } });

const pushedSchema = z.object({
  type: z.enum(pushTypes),
  streams: z.int().openapi({ description: "How many agents were told: those that listen now" }),
}).openapi("Pushed");

const route = createRoute({
  method: "post",
  path: "/api/v1/push",
  summary: "Tell the agents of a node, or of all nodes, something now",
  request: { body: jsonBody(pushSchema) },
  responses: answers("They were told", pushedSchema),
});

const noPayload = z.strictObject({});
const actionPayload = z.strictObject({
  action: z.enum(agentActions),
  expiresAt: z.iso.datetime().refine((text) => Date.parse(text) > Date.now(), "is over already").optional(),
});
const pollPayload = z.strictObject({
  pollIntervalMs: z.int().min(MIN_POLL_INTERVAL_MS).max(MAX_POLL_INTERVAL_MS),
});

export function addPushRoutes(app: OpenAPIHono, control: Control, push: PushSource): void {
  app.openapi(route, async (c) => {
    const { node, type, payload } = c.req.valid("json");
    const { nodes } = control.directory;
    if (node !== undefined && !nodes.has(node)) throw new Refusal("node_not_found", `There is no node ${node}`);
    const message = messageOf(type, payload);
    await control.notePush(node ?? null, { type, ...payload }, actorOf(c));
    const names = node === undefined ? [...nodes.keys()] : [node];
    const send = (name: string) => push.send(name, message ?? resyncOf(nodes.get(name)?.revision ?? 0));
    // Each node has a version of its own.
    const streams = message === null || node !== undefined
      ? names.reduce((sum, name) => sum + send(name), 0)
      : push.broadcast(message);
    return c.json({ type, streams }, 200);
  });
}

/** Null for `config_changed`, which differs for each node. @throws {Refusal} `bad_request` */
function messageOf(type: PushMessage["type"], payload: Readonly<Record<string, unknown>>): PushMessage | null {
  if (type === "config_changed") {
    checked(noPayload, payload);
    return null;
  }
  if (type === "poll_interval") return { type, ...checked(pollPayload, payload) };
  const { action, expiresAt = new Date(Date.now() + ACTION_MS).toISOString() } = checked(actionPayload, payload);
  return { type, action, expiresAt };
}

function resyncOf(version: number): PushMessage {
  return { type: "config_changed", version, reason: "resync" };
}

function checked<T>(schema: z.ZodType<T>, payload: Readonly<Record<string, unknown>>): T {
  const parsed = schema.safeParse(payload);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new Refusal(
    "bad_request",
    `Body key \`${["payload", ...issue?.path ?? []].map(String).join(".")}\`: ${issue?.message}`,
  );
}
