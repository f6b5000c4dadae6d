/** `/metrics`: what Prometheus reads. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { problemResponse } from "./problems.ts";
import { problemContent } from "./responses.ts";

/** Null where too many scrapes are under way. @param isHead true: the answer needs no body */
export type AnswerMetrics = (isHead: boolean) => Promise<Response | null>;

const scrape = createRoute({
  method: "get",
  path: "/metrics",
  summary: "The metrics of the edge, in Prometheus' text format",
  responses: {
    200: { description: "The metrics, see docs/metrics.md", content: { "text/plain": { schema: z.string() } } },
    400: { description: "The request is malformed", ...problemContent },
    401: { description: "The token is missing or wrong", ...problemContent },
    403: { description: "The Host or the Origin is refused", ...problemContent },
    429: { description: "The token is wrong, as too many others just now", ...problemContent },
    503: { description: "Too many scrapes are under way", ...problemContent },
  },
});

export function addMetricsRoutes(app: OpenAPIHono, answer: AnswerMetrics): void {
  app.openAPIRegistry.registerPath(scrape);
  app.get(scrape.path, async (c) => {
    return await answer(c.req.method === "HEAD") ?? problemResponse("overloaded", "Too many scrapes are under way");
  });
}
