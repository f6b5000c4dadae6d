/** `/api/v1/status`: how the edge is. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Control } from "../control/mod.ts";
import { lists } from "./responses.ts";
import { statusOf, type StatusSource } from "./status.ts";

const name = z.string().max(63);
const state = z.enum(["online", "suspended", "leaving", "offline"]).openapi({
  description:
    "suspended: the link is lost, and the agent is waited for. leaving: what runs is finished, nothing new " +
    "is taken",
});
const count = z.int().min(0);
const rttMs = z.number().nullable().openapi({ description: "The last measured round trip; null before the first" });
const bytesIn = count.openapi({ description: "Body bytes of visitors, in the sessions that are connected now" });
const bytesOut = count.openapi({ description: "Body bytes of the answers to them" });
const protocol = z.enum(["v2", "json"]);

const nodeStatusSchema = z.object({
  name,
  state,
  version: z.string().nullable(),
  protocol: protocol.nullable(),
  rttMs,
  tunnels: z.array(name).openapi({ description: "Those that its agents have opened" }),
  streams: count,
  bytesIn,
  bytesOut,
  config: z.object({ acknowledged: count.nullable(), wanted: count }).openapi({
    description: "Versions of its config: the one that its agents run (0: one of them has none yet), and the newest",
  }),
}).openapi("NodeStatus");

const sessionStatusSchema = z.object({
  id: z.string().openapi({ example: "s1" }),
  node: name.nullable().openapi({ description: "Null where the token is that of no node" }),
  state,
  protocol,
  version: z.string().nullable(),
  address: z.string().openapi({ example: "203.0.113.7" }),
  connectedAt: z.iso.datetime(),
  rttMs,
  tunnels: z.array(name),
  streams: count,
  bytesIn,
  bytesOut,
  bufferedBytes: count,
}).openapi("SessionStatus");

const tunnelStatusSchema = z.object({
  name,
  url: z.string(),
  node: name.nullable().openapi({ description: "The node that serves it now" }),
  nodes: z.array(name).openapi({ description: "Those that may serve it" }),
  state,
  session: z.string().nullable().openapi({ description: "Where several share it, one of them" }),
  sessions: z.array(z.string()).openapi({ description: "All that serve it" }),
  isDeclared: z.boolean(),
}).openapi("TunnelStatus");

const statusSchema = z.object({
  version: z.string(),
  startedAt: z.iso.datetime(),
  state: z.enum(["ready", "draining"]),
  url: z.string(),
  revision: count,
  connections: count.openapi({ description: "Public connections that are open" }),
  requests: count.openapi({ description: "Requests of the public that are under way" }),
  bufferedBytes: count,
  nodes: z.array(nodeStatusSchema),
  sessions: z.array(sessionStatusSchema),
  tunnels: z.array(tunnelStatusSchema),
}).openapi("Status");

const show = createRoute({
  method: "get",
  path: "/api/v1/status",
  summary: "The edge, its nodes, the agents that are connected, and the tunnels",
  responses: lists("How they are now", statusSchema),
});

/** @param options `instancesOf`: see `AdminOptions` */
export function addStatusRoutes(
  app: OpenAPIHono,
  control: Control,
  edge: StatusSource,
  { version, instancesOf }: { readonly version: string; instancesOf?(node: string): readonly string[] },
): void {
  const startedAt = new Date().toISOString();
  app.openapi(show, async (c) => {
    const status = statusOf(edge, control, await control.store.acknowledgements(), instancesOf);
    return c.json({ version, startedAt, ...status }, 200);
  });
}
