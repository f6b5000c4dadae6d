/** The bodies of the admin API. What they say of each key stands in the OpenAPI document, too. */
import { z } from "@hono/zod-openapi";

/** Letters of a label: it is printed in tables and stands in metrics. */
const label = z.string().max(253);
const nodeName = z.string().max(63).openapi({ example: "web-1" });
const tunnelName = z.string().max(63).openapi({ example: "shop" });
const timestamp = z.iso.datetime().openapi({ example: "2026-01-02T03:04:05.000Z" });
const durationMs = z.int().min(0).max(366 * 24 * 3_600_000);

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string().openapi({ description: "Stable: scripts may match on it" }),
}).openapi("Problem");

export const nodeSchema = z.object({
  id: z.string(),
  name: nodeName,
  labels: z.record(z.string(), z.string()),
  createdAt: timestamp,
  revision: z.int().openapi({ description: "The edge's revision that changed the node last" }),
  tunnels: z.array(tunnelName),
}).openapi("Node");

export const newNodeSchema = z.strictObject({
  name: nodeName,
  labels: z.record(label, label).refine((labels) => Object.keys(labels).length <= 64, "has over 64 labels").default({}),
}).openapi("NewNode");

export const issuedNodeSchema = z.object({
  id: z.string(),
  name: nodeName,
  token: z.string().openapi({ description: "Shown this once", example: "rnl_node_…" }),
}).openapi("IssuedNode");

export const rotationSchema = z.strictObject({
  graceMs: durationMs.default(0).openapi({ description: "How long the old tokens stay valid; 0: they end at once" }),
}).openapi("Rotation");

export const removedNodeSchema = z.object({
  tunnelsWithoutNode: z.array(tunnelName).openapi({ description: "Tunnels that no node may serve now" }),
}).openapi("RemovedNode");

export const tokenSchema = z.object({
  id: z.string(),
  node: nodeName.nullable(),
  names: z.string().nullable().openapi({ description: "The names that it opens, such as pr-*" }),
  createdAt: timestamp,
  expiresAt: timestamp.nullable(),
}).openapi("Token");

export const newTokenSchema = z.strictObject({
  names: z.string().max(63).openapi({ example: "pr-*" }),
  expiresInMs: durationMs.min(1).nullable().default(null),
}).openapi("NewToken");

export const issuedTokenSchema = tokenSchema.extend({
  token: z.string().openapi({ description: "Shown this once", example: "rnl_name_…" }),
}).openapi("IssuedToken");

const tunnelShape = {
  name: tunnelName,
  kind: z.enum(["http", "tcp"]).default("http"),
  nodes: z.array(nodeName).min(1).max(16),
  upstream: z.string().min(1).max(1_024).openapi({ example: "http://127.0.0.1:3000" }),
  hostnames: z.array(z.string().max(512)).max(100).default([]).openapi({
    example: ["shop.example.com", "*.shop.example.com"],
  }),
  port: z.int().min(1).max(65_535).nullable().default(null),
  requires: z.array(z.string().max(64)).max(32).default([]).openapi({
    description: "What an agent must be able to do: one that cannot acknowledges a failure",
  }),
};

export const newTunnelSchema = z.strictObject(tunnelShape).openapi("NewTunnel");

export const tunnelSchema = z.object({
  ...tunnelShape,
  nodes: z.array(nodeName),
  id: z.string(),
  project: z.string().nullable(),
  url: z.string().openapi({ example: "https://shop.example.com" }),
  revision: z.int(),
}).openapi("Tunnel");

export const auditEntrySchema = z.object({
  at: timestamp,
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  detail: z.record(z.string(), z.unknown()),
}).openapi("AuditEntry");

export const pageQuerySchema = z.strictObject({
  after: z.string().max(255).optional().openapi({ description: "Begins behind this name" }),
  limit: z.coerce.number().int().min(1).max(1_000).default(1_000),
});

export const nameParams = z.object({ name: z.string().max(255) });
