/** `/healthz` and `/readyz`, which need no token: for probes. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { problemResponse } from "./problems.ts";
import { forbidden, problems } from "./responses.ts";

const health = createRoute({
  method: "get",
  path: "/healthz",
  summary: "Whether the process runs",
  security: [],
  responses: {
    200: { description: "It does", content: { "application/json": { schema: z.object({ status: z.literal("ok") }) } } },
    ...forbidden,
  },
});

const readiness = createRoute({
  method: "get",
  path: "/readyz",
  summary: "Whether the edge takes new work",
  security: [],
  responses: {
    200: {
      description: "It does",
      content: { "application/json": { schema: z.object({ status: z.literal("ready") }) } },
    },
    ...forbidden,
    503: problems("The edge is shutting down"),
  },
});

/** @param isReady false while the edge drains */
export function addHealthRoutes(app: OpenAPIHono, isReady: () => boolean): void {
  app.openapi(health, (c) => c.json({ status: "ok" as const }, 200));
  app.openapi(readiness, (c) => {
    if (isReady()) return c.json({ status: "ready" as const }, 200);
    return problemResponse("overloaded", "The edge is shutting down") as never;
  });
}
