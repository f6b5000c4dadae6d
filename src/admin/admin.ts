/** The admin API: what an operator asks of an edge. Its OpenAPI document is made from the schemas that check requests. */
import { createRoute, OpenAPIHono, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Control } from "../control/mod.ts";
import type { EventFeed } from "../events/mod.ts";
import { collectBody, CollectBudget, hasMediaType } from "../http/mod.ts";
import { addAuditRoutes } from "./audit_routes.ts";
import { addBackupRoutes } from "./backup_routes.ts";
import { addDeploymentRoutes, APPLY_PATH } from "./deployment_routes.ts";
import { addEventRoutes } from "./event_routes.ts";
import { guard, type GuardOptions } from "./guard.ts";
import { addHealthRoutes } from "./health_routes.ts";
import { addMetricsRoutes, type AnswerMetrics } from "./metrics_routes.ts";
import { addNodeRoutes } from "./node_routes.ts";
import { addPushRoutes, type PushSource } from "./push_routes.ts";
import { answerProblems, problemResponse, Refusal } from "./problems.ts";
import { lists } from "./responses.ts";
import { addRolloutRoutes } from "./rollout_routes.ts";
import type { StatusSource } from "./status.ts";
import { addStatusRoutes } from "./status_routes.ts";
import { addTokenRoutes } from "./token_routes.ts";
import { addTunnelRoutes } from "./tunnel_routes.ts";

export interface AdminOptions extends GuardOptions {
  control: Control;
  version: string;
  /** What happens, for `/api/events`. Default: there is no feed. */
  feed?: EventFeed;
  /** What `/api/v1/status` tells of. Default: there is no status. */
  edge?: StatusSource;
  /** What agents are told, for `POST /api/v1/push`. Default: there is no such route. */
  push?: PushSource;
  /** The instances of a node whose agents listen to changes. Default: none do. */
  instancesOf?(node: string): readonly string[];
  /** The public URL of a tunnel by its name. */
  urlOf(name: string): string;
  /** False while the edge drains. */
  isReady(): boolean;
  /** The folder in which a backup is made before it is sent. Default: the system's for temporary files. */
  backupFolder?: string;
  /** Answers a scrape. Default: there are no metrics. */
  metrics?: AnswerMetrics;
  /** A mistake of our own; for the log. */
  onError(error: unknown): void;
}

/** Of a request. A tunnel with all its hostnames is smaller. */
const MAX_BODY_BYTES = 256 * 1024;
/** Of a deployment. The largest file that `edge apply` reads is shorter. */
const MAX_DEPLOYMENT_BYTES = 2 * 1024 * 1024;
/** Bodies that are read at one time. */
const MAX_BODIES_BYTES = 16 * MAX_BODY_BYTES;

const description = createRoute({
  method: "get",
  path: "/api/v1/openapi.json",
  summary: "This document",
  responses: lists("The OpenAPI document", z.looseObject({ openapi: z.string() })),
});

export function createAdmin(options: AdminOptions): OpenAPIHono {
  const { control } = options;
  const app = new OpenAPIHono({
    defaultHook(result, c) {
      if (result.success) return;
      const [issue] = result.error.issues;
      const key = issue?.path.map(String).join(".") ?? "";
      const detail = `${whereOf(result.target)}${key === "" ? "" : ` key \`${key}\``}: ${issue?.message}`;
      return problemResponse("bad_request", detail) as ReturnType<Context["json"]> & typeof c.res;
    },
  });
  answerProblems(app, options.onError);
  const budget = new CollectBudget(MAX_BODIES_BYTES);
  app.use(guard(options));
  app.use(async (c, next) => {
    const maxBytes = c.req.path === APPLY_PATH ? MAX_DEPLOYMENT_BYTES : MAX_BODY_BYTES;
    const body = await readBody(c.req.raw, maxBytes, budget);
    if (body !== null) {
      c.req.raw = new Request(c.req.raw.url, { method: c.req.method, headers: c.req.raw.headers, body });
    }
    await next();
  });
  addHealthRoutes(app, () => options.isReady());
  addNodeRoutes(app, control);
  addTokenRoutes(app, control);
  addTunnelRoutes(app, control, options.urlOf);
  addDeploymentRoutes(app, control);
  const instancesOf = (node: string) => options.instancesOf?.(node) ?? [];
  addRolloutRoutes(app, { control, edge: options.edge, instancesOf });
  addAuditRoutes(app, control.store);
  addBackupRoutes(app, control.store, options.backupFolder);
  if (options.feed !== undefined) addEventRoutes(app, options.feed);
  if (options.push !== undefined) addPushRoutes(app, control, options.push);
  if (options.edge !== undefined) addStatusRoutes(app, control, options.edge, options);
  if (options.metrics !== undefined) addMetricsRoutes(app, options.metrics);
  app.openapi(description, (c) => c.json(openApiDocument(app, options.version) as never, 200));
  refuseOtherMethods(app);
  return app;
}

export function openApiDocument(app: OpenAPIHono, version: string) {
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", { type: "http", scheme: "bearer" });
  return app.getOpenAPI31Document({
    openapi: "3.1.0",
    info: { title: "Runnel admin API", version },
    security: [{ bearer: [] }],
  });
}

/** Null where the request has no body. @throws {Refusal} */
async function readBody(
  request: Request,
  maxBytes: number,
  budget: CollectBudget,
): Promise<Uint8Array<ArrayBuffer> | null> {
  if (request.body === null) return null;
  if (!hasMediaType(request.headers.get("content-type") ?? undefined, "application/json")) {
    throw new Refusal("unsupported_media_type", "The body must have the Content-Type application/json");
  }
  const tooLarge = () => new Refusal("body_too_large", `The body is over ${maxBytes} bytes`);
  if (Number(request.headers.get("content-length")) > maxBytes) throw tooLarge();
  const collected = await collectBody(request.body, maxBytes, budget).catch(() => {
    throw new Refusal("bad_request", "The body broke off");
  });
  if ("bytes" in collected) return collected.bytes as Uint8Array<ArrayBuffer>;
  if (collected.exceeded === "budget") throw new Refusal("overloaded", "Too many bodies are being read");
  throw tooLarge();
}

function whereOf(target: string): string {
  return target === "json" ? "Body" : target === "query" ? "Query" : target === "header" ? "Field" : "Path";
}

/** 405 with Allow, for the paths that there are with another method (RFC 9110 §15.5.6). */
function refuseOtherMethods(app: OpenAPIHono): void {
  const methods = new Map<string, Set<string>>();
  for (const { method, path } of app.routes) {
    if (method === "ALL") continue;
    methods.set(path, (methods.get(path) ?? new Set()).add(method));
  }
  for (const [path, allowed] of methods) {
    const allow = [...allowed, ...(allowed.has("GET") ? ["HEAD"] : [])].join(", ");
    app.all(
      path,
      (c) =>
        problemResponse("method_not_allowed", `${c.req.method} ${c.req.path}: allowed are ${allow}`, ["Allow", allow]),
    );
  }
}
