/** `/api/v1/tokens`: tokens of nodes, and those that open tunnels by name. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Control } from "../control/mod.ts";
import type { TokenRecord } from "../store/mod.ts";
import { actorOf } from "./actor.ts";
import { pageOf } from "./pages.ts";
import { creates, jsonBody, lists, removes } from "./responses.ts";
import { issuedTokenSchema, newTokenSchema, pageQuerySchema, tokenSchema } from "./schemas.ts";

const list = createRoute({
  method: "get",
  path: "/api/v1/tokens",
  summary: "All tokens, without their secrets",
  request: { query: pageQuerySchema },
  responses: lists("The tokens", z.object({ tokens: z.array(tokenSchema) })),
});

const add = createRoute({
  method: "post",
  path: "/api/v1/tokens",
  summary: "Make a token that opens tunnels by name",
  request: { body: jsonBody(newTokenSchema) },
  responses: creates("The token", issuedTokenSchema),
});

const remove = createRoute({
  method: "delete",
  path: "/api/v1/tokens/{id}",
  summary: "End a token",
  request: { params: z.object({ id: z.string().max(64) }) },
  responses: removes("The token has ended"),
});

export function addTokenRoutes(app: OpenAPIHono, control: Control): void {
  const told = ({ hash: _, ...record }: TokenRecord) => record;
  app.openapi(list, (c) => {
    const tokens = pageOf(control.directory.tokens, c.req.valid("query"));
    return c.json({ tokens: tokens.map(({ value }) => told(value)) }, 200);
  });
  app.openapi(add, async (c) => {
    const { names, expiresInMs } = c.req.valid("json");
    const { record, token } = await control.addToken(names, expiresInMs, actorOf(c));
    return c.json({ ...told(record), token }, 201);
  });
  app.openapi(remove, async (c) => {
    await control.removeToken(c.req.valid("param").id, actorOf(c));
    return c.body(null, 204);
  });
}
