/** `/api/v1/tunnels`: declared tunnels. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Control } from "../control/mod.ts";
import type { TunnelRecord } from "../store/mod.ts";
import { pageOf } from "./pages.ts";
import { Refusal } from "./problems.ts";
import { answers, creates, jsonBody, lists, removes } from "./responses.ts";
import { nameParams, newTunnelSchema, pageQuerySchema, tunnelSchema } from "./schemas.ts";

const list = createRoute({
  method: "get",
  path: "/api/v1/tunnels",
  summary: "All declared tunnels, sorted by name",
  request: { query: pageQuerySchema },
  responses: lists("The tunnels", z.object({ tunnels: z.array(tunnelSchema) })),
});

const add = createRoute({
  method: "post",
  path: "/api/v1/tunnels",
  summary: "Declare a tunnel",
  request: { body: jsonBody(newTunnelSchema) },
  responses: creates("The tunnel", tunnelSchema),
});

const show = createRoute({
  method: "get",
  path: "/api/v1/tunnels/{name}",
  summary: "One tunnel",
  request: { params: nameParams },
  responses: answers("The tunnel", tunnelSchema),
});

const remove = createRoute({
  method: "delete",
  path: "/api/v1/tunnels/{name}",
  summary: "Remove a tunnel, and give its hostnames back",
  request: { params: nameParams },
  responses: removes("The tunnel is removed"),
});

/** @param urlOf the public URL of a tunnel by its name */
export function addTunnelRoutes(
  app: OpenAPIHono,
  control: Control,
  actor: string,
  urlOf: (name: string) => string,
): void {
  const { directory } = control;
  const told = ({ settings: _, ...value }: TunnelRecord, revision: number) => ({
    ...value,
    nodes: [...value.nodes],
    hostnames: [...value.hostnames],
    requires: [...value.requires],
    url: urlOf(value.name),
    revision,
  });
  app.openapi(list, (c) => {
    const tunnels = pageOf(directory.tunnels, c.req.valid("query"));
    return c.json({ tunnels: tunnels.map(({ value, revision }) => told(value, revision)) }, 200);
  });
  app.openapi(add, async (c) => {
    const tunnel = await control.addTunnel({ ...c.req.valid("json"), project: null, settings: {} }, actor);
    return c.json(told(tunnel, directory.tunnels.get(tunnel.name)?.revision ?? 0), 201);
  });
  app.openapi(show, (c) => {
    const { name } = c.req.valid("param");
    const tunnel = directory.tunnels.get(name);
    if (tunnel === undefined) throw new Refusal("tunnel_not_found", `There is no declared tunnel ${name}`);
    return c.json(told(tunnel.value, tunnel.revision), 200);
  });
  app.openapi(remove, async (c) => {
    await control.removeTunnel(c.req.valid("param").name, actor);
    return c.body(null, 204);
  });
}
