/** The bodies of the admin API. What they say of each key stands in the OpenAPI document, too. */
import { z } from "@hono/zod-openapi";
import { featurePattern, tunnelSettingsShape } from "../config/mod.ts";

/** Labels of one node. */
const MAX_LABELS = 64;
/** Nodes, and tunnels, of one deployment. */
const MAX_DEPLOYED = 1_000;
/** Nodes whose rollout is asked at one time: with the longest names they fit into a request line. */
const MAX_ROLLOUT_NODES = 64;
/** For how long a rollout is waited for in one request. */
const MAX_WAIT_MS = 30_000;
const MAX_DURATION_MS = 366 * 24 * 3_600_000;

/** Patterns that are only documented here: src/control checks them, with a code and a sentence of its own. */
const NAME = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";
const NAME_PATTERN = "^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?|([a-z0-9][a-z0-9-]{0,61})?\\*)$";

const LABEL_KEY = /^[A-Za-z0-9](?:[A-Za-z0-9_./-]{0,61}[A-Za-z0-9])?$/;
/** Labels are printed in tables, and stand in metrics. */
const labelValue = z.string().max(253).refine((text) => !/\p{Cc}/u.test(text), "has a control character");
export const nodeName = z.string().max(63).openapi({ pattern: NAME, example: "web-1" });
const tunnelName = z.string().max(63).openapi({ pattern: NAME, example: "shop" });
const timestamp = z.iso.datetime().openapi({ example: "2026-01-02T03:04:05.000Z" });
const durationMs = z.int().min(0).max(MAX_DURATION_MS);
const projectName = z.string().max(63).openapi({ pattern: NAME, example: "shop" });
const labels = z.record(z.string(), labelValue)
  .refine(
    (labels) => Object.keys(labels).every((key) => LABEL_KEY.test(key)),
    "has a key with other characters than " +
      "letters, digits, and _ . / - inside, or with over 63",
  )
  .refine((labels) => Object.keys(labels).length <= MAX_LABELS, `has over ${MAX_LABELS} labels`);
const labelsExample = { maxProperties: MAX_LABELS, example: { site: "fra" } };

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
  labels: labels.default({}).openapi(labelsExample),
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
  names: z.string().max(63).openapi({ pattern: NAME_PATTERN, example: "pr-*" }),
  expiresInMs: durationMs.min(1).nullable().default(null),
}).openapi("NewToken");

export const issuedTokenSchema = tokenSchema.extend({
  token: z.string().openapi({ description: "Shown this once", example: "rnl_name_…" }),
}).openapi("IssuedToken");

const feature = z.string().max(64).regex(featurePattern, "is no name of a feature");

const tunnelSettings = {
  kind: z.enum(["http", "tcp"]).default("http"),
  nodes: z.array(nodeName).min(1).max(16).openapi({ description: "Those that may serve it" }),
  upstream: z.string().min(1).max(1_024).refine(
    (text) => !/[\p{Cc}\s]/u.test(text),
    "has white space or a control character",
  ).refine(
    (text) => !/^(?:[a-z+]+:\/\/)?[^/?#]*@/i.test(text),
    "has a user and a password, which would stand in lists: let the agent's own machine keep them",
  )
    .openapi({ description: "What the node's agent dials", example: "http://127.0.0.1:3000" }),
  hostnames: z.array(z.string().max(512)).max(100).default([]).openapi({
    description: "Own hostnames besides NAME.DOMAIN, and wildcards of one level",
    example: ["shop.example.com", "*.shop.example.com"],
  }),
  port: z.int().min(1).max(65_535).nullable().default(null).openapi({ description: "Of a tcp tunnel, at the edge" }),
  requires: z.array(feature).max(32).default([]).openapi({
    description: "What an agent must be able to do: one that cannot acknowledges a failure",
  }),
  ...tunnelSettingsShape,
};

export const tunnelSettingsSchema = z.strictObject(tunnelSettings).openapi("TunnelSettings");

export const newTunnelSchema = z.strictObject({ name: tunnelName, ...tunnelSettings }).openapi("NewTunnel");

export const tunnelSchema = z.object({
  name: tunnelName,
  kind: z.enum(["http", "tcp"]),
  nodes: z.array(nodeName),
  upstream: z.string(),
  hostnames: z.array(z.string()),
  port: z.int().nullable(),
  requires: z.array(z.string()),
  hostHeader: z.string().optional().openapi({ description: "The Host that the upstream gets; missing: preserve" }),
  timeouts: z.object({ firstByte: z.string().optional(), idle: z.string().optional() }).optional(),
  share: z.boolean().optional(),
  compress: z.boolean().optional(),
  forwardedHeaders: z.boolean().optional(),
  id: z.string(),
  project: z.string().nullable().openapi({ description: "That of the file that applied it" }),
  url: z.string().openapi({ example: "https://shop.example.com" }),
  revision: z.int(),
}).openapi("Tunnel");

export const auditEntrySchema = z.object({
  at: timestamp,
  actor: z.string().openapi({ description: "`admin`, or the id of a token", example: "admin" }),
  address: z.string().nullable().openapi({ description: "The IP address that asked", example: "127.0.0.1" }),
  action: z.string().openapi({ example: "node.add" }),
  subject: z.string().openapi({ description: "The name or id of what was changed", example: "web-1" }),
  detail: z.record(z.string(), z.unknown()),
}).openapi("AuditEntry");

/** A whole number in a query. */
export function limitSchema(most: number, usual: number) {
  const text = z.string().regex(/^[0-9]{1,6}$/, "is no whole number");
  return text.transform(Number).pipe(z.int().min(1).max(most)).default(usual)
    .openapi({ type: "integer", minimum: 1, maximum: most, default: usual });
}

export const pageQuerySchema = z.strictObject({
  after: z.string().max(255).optional().openapi({ description: "Begins behind this name, or id" }),
  limit: limitSchema(1_000, 1_000),
});

export const nameParams = z.object({ name: z.string().max(255) });

export const deploymentSchema = z.strictObject({
  project: projectName,
  nodes: z.record(nodeName, z.strictObject({ labels: labels.optional().openapi(labelsExample) }))
    .refine((nodes) => Object.keys(nodes).length <= MAX_DEPLOYED, `has over ${MAX_DEPLOYED} nodes`)
    .default({}).openapi({
      maxProperties: MAX_DEPLOYED,
      description: "Nodes that must be enrolled. `labels` replaces all that the node has; without it they stay",
    }),
  tunnels: z.record(tunnelName, z.strictObject(tunnelSettings))
    .refine((tunnels) => Object.keys(tunnels).length <= MAX_DEPLOYED, `has over ${MAX_DEPLOYED} tunnels`)
    .default({}).openapi({ maxProperties: MAX_DEPLOYED, description: "By their names" }),
  prune: z.boolean().default(false).openapi({
    description: "Removes the tunnels that the project has applied before and that are not here",
  }),
  dryRun: z.boolean().default(false).openapi({ description: "Only says what would change" }),
}).openapi("Deployment");

export const rollbackSchema = z.strictObject({
  revision: z.int().min(1).openapi({ example: 12 }),
  project: projectName.optional().openapi({ description: "Default: the one that was deployed with the revision" }),
  dryRun: z.boolean().default(false),
}).openapi("Rollback");

const version = z.int().min(0);

export const deployedSchema = z.object({
  revision: version.openapi({ description: "That by which the project is as it is now; 0: it never was" }),
  changed: z.boolean(),
  plan: z.array(z.object({
    action: z.enum(["add", "change", "remove", "keep"]),
    kind: z.enum(["node", "tunnel"]),
    name: z.string(),
    changes: z.array(z.object({
      key: z.string(),
      before: z.unknown().openapi({ description: "Null where there was no value" }),
      after: z.unknown(),
    })),
  })),
  nodes: z.array(z.object({ name: nodeName, version })).openapi({
    description: "Those that it concerns, with the versions of their configs, for /api/v1/rollout",
  }),
}).openapi("Deployed");

/** `web-1:12` */
const rolloutNode = z.string().max(80).regex(/^[a-z0-9-]{1,63}:\d{1,15}$/, "is not NAME:VERSION");

export const rolloutQuerySchema = z.strictObject({
  node: z.union([rolloutNode.transform((node) => [node]), z.array(rolloutNode).min(1).max(MAX_ROLLOUT_NODES)]).openapi({
    type: "array",
    items: { type: "string", pattern: "^[a-z0-9-]{1,63}:[0-9]{1,15}$", maxLength: 80, example: "web-1:12" },
    minItems: 1,
    maxItems: MAX_ROLLOUT_NODES,
    description: "A node, and the version of its config that is waited for; repeated for others",
  }),
  seen: z.string().max(64).optional().openapi({ description: "The tag of the answer that the client has" }),
  waitMs: z.string().regex(/^[0-9]{1,5}$/, "is no whole number").transform(Number).pipe(z.int().max(MAX_WAIT_MS))
    .default(0).openapi({
      type: "integer",
      minimum: 0,
      maximum: MAX_WAIT_MS,
      default: 0,
      description: "How long to wait while nothing differs from what was seen",
    }),
});

export const rolloutSchema = z.object({
  tag: z.string().openapi({ description: "For `seen`", example: "9f86d081884c7d65" }),
  nodes: z.array(z.object({
    name: nodeName,
    version,
    state: z.enum(["applied", "failed", "pending", "offline"]),
    instances: z.array(z.object({
      instance: z.string().openapi({ description: "Which one of the node's agents; empty where it has one" }),
      version: version.nullable().openapi({ description: "The last that it has acknowledged; null: none yet" }),
      ok: z.boolean().nullable(),
      error: z.string().nullable(),
      isLive: z.boolean().openapi({ description: "Whether its push stream is open" }),
    })),
  })),
}).openapi("Rollout");
