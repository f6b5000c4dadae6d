/** `/api/v1/audit`: who changed what. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Store } from "../store/mod.ts";
import { lists } from "./responses.ts";
import { auditEntrySchema, limitSchema } from "./schemas.ts";

const list = createRoute({
  method: "get",
  path: "/api/v1/audit",
  summary: "The newest changes first",
  request: { query: z.strictObject({ limit: limitSchema(1_000, 100) }) },
  responses: lists("The entries", z.object({ entries: z.array(auditEntrySchema) })),
});

export function addAuditRoutes(app: OpenAPIHono, store: Store): void {
  app.openapi(list, async (c) => {
    const entries = await store.audit(c.req.valid("query").limit);
    return c.json({
      entries: entries.map((entry) => ({ ...entry, address: entry.address ?? null, detail: { ...entry.detail } })),
    }, 200);
  });
}
