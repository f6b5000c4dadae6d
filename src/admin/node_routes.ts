/** `/api/v1/nodes`: the machines that run agents. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { createHash } from "node:crypto";
import type { Control } from "../control/mod.ts";
import type { Stored } from "../store/mod.ts";
import { actorOf } from "./actor.ts";
import { changeIf, etagOf, isKnown } from "./conditions.ts";
import { pageOf } from "./pages.ts";
import { Refusal } from "./problems.ts";
import { answers, creates, ifMatchHeaders, jsonBody, lists, readHeaders, shows } from "./responses.ts";
import {
  issuedNodeSchema,
  nameParams,
  newNodeSchema,
  nodeSchema,
  pageQuerySchema,
  removedNodeSchema,
  rotationSchema,
} from "./schemas.ts";

const list = createRoute({
  method: "get",
  path: "/api/v1/nodes",
  summary: "All nodes, sorted by name",
  request: { query: pageQuerySchema },
  responses: lists("The nodes", z.object({ nodes: z.array(nodeSchema) })),
});

const add = createRoute({
  method: "post",
  path: "/api/v1/nodes",
  summary: "Enrol a node",
  request: { body: jsonBody(newNodeSchema) },
  responses: creates("The node, with its token", issuedNodeSchema),
});

const show = createRoute({
  method: "get",
  path: "/api/v1/nodes/{name}",
  summary: "One node",
  request: { params: nameParams, headers: readHeaders },
  responses: shows("The node", nodeSchema),
});

const rotate = createRoute({
  method: "post",
  path: "/api/v1/nodes/{name}/rotate",
  summary: "Give a node a new token",
  request: { params: nameParams, headers: ifMatchHeaders, body: jsonBody(rotationSchema) },
  responses: answers("The node, with its new token", issuedNodeSchema),
});

const remove = createRoute({
  method: "delete",
  path: "/api/v1/nodes/{name}",
  summary: "Remove a node with its tokens",
  request: { params: nameParams, headers: ifMatchHeaders },
  responses: answers("The node is removed", removedNodeSchema),
});

export function addNodeRoutes(app: OpenAPIHono, control: Control): void {
  const { directory, store } = control;
  // A node's answer names its tunnels, which change without the node.
  const etag = (name: string): string | null => {
    const node = directory.nodes.get(name);
    return node === undefined ? null : etagOf(store.epoch, node.revision, digestOf(directory.tunnelsOf(name).sort()));
  };
  const told = ({ value, revision }: Stored<"node">) => ({
    ...value,
    revision,
    tunnels: directory.tunnelsOf(value.name).sort(),
  });
  app.openapi(list, (c) => c.json({ nodes: pageOf(directory.nodes, c.req.valid("query")).map(told) }, 200));
  app.openapi(add, async (c) => {
    const { name, labels } = c.req.valid("json");
    const { node, token } = await control.addNode(name, labels, actorOf(c));
    return c.json({ id: node.id, name, token }, 201);
  });
  app.openapi(show, (c) => {
    const { name } = c.req.valid("param");
    const node = directory.nodes.get(name);
    if (node === undefined) throw new Refusal("node_not_found", `There is no node ${name}`);
    const tag = etag(name)!;
    if (isKnown(c, tag)) return c.body(null, 304, { ETag: tag });
    return c.json(told(node), 200, { ETag: tag });
  });
  app.openapi(rotate, async (c) => {
    const { name } = c.req.valid("param");
    const { graceMs } = c.req.valid("json");
    const { token } = await changeIf(c, "node", etag(name), () => control.rotateNode(name, graceMs, actorOf(c)));
    return c.json({ id: directory.nodes.get(name)?.value.id ?? "", name, token }, 200);
  });
  app.openapi(remove, async (c) => {
    const { name } = c.req.valid("param");
    const tunnelsWithoutNode = await changeIf(c, "node", etag(name), () => control.removeNode(name, actorOf(c)));
    return c.json({ tunnelsWithoutNode }, 200);
  });
}

function digestOf(names: readonly string[]): string {
  return createHash("sha256").update(names.join()).digest("hex").slice(0, 16);
}
