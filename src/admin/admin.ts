/** The admin API: what an operator asks of an edge. Its OpenAPI document is made from the schemas that check requests. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Control } from "../control/mod.ts";
import { collectBody, CollectBudget } from "../http/mod.ts";
import { addAuditRoutes } from "./audit_routes.ts";
import { guard, type GuardOptions } from "./guard.ts";
import { addMetricsRoutes, type AnswerMetrics } from "./metrics_routes.ts";
import { addNodeRoutes } from "./node_routes.ts";
import { answerProblems, problemResponse, Refusal } from "./problems.ts";
import { addTokenRoutes } from "./token_routes.ts";
import { addTunnelRoutes } from "./tunnel_routes.ts";

export interface AdminOptions extends GuardOptions {
  control: Control;
  version: string;
  /** The public URL of a tunnel by its name. */
  urlOf(name: string): string;
  /** False while the edge drains. */
  isReady(): boolean;
  /** Answers a scrape. Default: there are no metrics. */
  metrics?: AnswerMetrics;
  /** A mistake of our own; for the log. */
  onError(error: unknown): void;
}

/** Of a request. A tunnel with all its hostnames is smaller. */
const MAX_BODY_BYTES = 256 * 1024;
/** Bodies that are read at one time. */
const MAX_BODIES_BYTES = 16 * MAX_BODY_BYTES;
/** Who changes something with the admin's token. */
const ACTOR = "admin";

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
    const body = await readBody(c.req.raw, budget);
    if (body !== null) {
      c.req.raw = new Request(c.req.raw.url, { method: c.req.method, headers: c.req.raw.headers, body });
    }
    await next();
  });
  app.get("/readyz", (c) => {
    return options.isReady() ? c.json({ status: "ready" }) : problemResponse("overloaded", "The edge is shutting down");
  });
  addNodeRoutes(app, control, ACTOR);
  addTokenRoutes(app, control, ACTOR);
  addTunnelRoutes(app, control, ACTOR, options.urlOf);
  addAuditRoutes(app, control.store);
  if (options.metrics !== undefined) addMetricsRoutes(app, options.metrics);
  app.get("/api/v1/openapi.json", (c) => c.json(openApiDocument(app, options.version)));
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
async function readBody(request: Request, budget: CollectBudget): Promise<Uint8Array<ArrayBuffer> | null> {
  if (request.body === null) return null;
  const type = request.headers.get("content-type") ?? "";
  if (!/^application\/json *(;|$)/i.test(type)) {
    throw new Refusal("unsupported_media_type", "The body must have the Content-Type application/json");
  }
  const collected = await collectBody(request.body, MAX_BODY_BYTES, budget);
  if ("bytes" in collected) {
    budget.free(collected.bytes.length);
    return collected.bytes as Uint8Array<ArrayBuffer>;
  }
  if (collected.exceeded === "budget") throw new Refusal("overloaded", "Too many bodies are being read");
  throw new Refusal("body_too_large", `The body is over ${MAX_BODY_BYTES} bytes`);
}

function whereOf(target: string): string {
  return target === "json" ? "Body" : target === "query" ? "Query" : "Path";
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
