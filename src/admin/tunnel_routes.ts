/** `/api/v1/tunnels`: declared tunnels. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import type { Control } from "../control/mod.ts";
import { type TunnelSettings, tunnelSettingsShape } from "../config/mod.ts";
import type { TunnelRecord } from "../store/mod.ts";
import { actorOf } from "./actor.ts";
import { changeIf, etagOf, isKnown } from "./conditions.ts";
import { pageOf } from "./pages.ts";
import { Refusal } from "./problems.ts";
import {
  changeHeaders,
  creates,
  ifMatchHeaders,
  jsonBody,
  lists,
  readHeaders,
  removes,
  replaces,
  shows,
} from "./responses.ts";
import { nameParams, newTunnelSchema, pageQuerySchema, tunnelSchema, tunnelSettingsSchema } from "./schemas.ts";

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
  request: { params: nameParams, headers: readHeaders },
  responses: shows("The tunnel", tunnelSchema),
});

const replace = createRoute({
  method: "put",
  path: "/api/v1/tunnels/{name}",
  summary: "Declare a tunnel, or change it as a whole",
  request: { params: nameParams, headers: changeHeaders, body: jsonBody(tunnelSettingsSchema) },
  responses: replaces("The tunnel", tunnelSchema),
});

const remove = createRoute({
  method: "delete",
  path: "/api/v1/tunnels/{name}",
  summary: "Remove a tunnel, and give its hostnames back",
  request: { params: nameParams, headers: ifMatchHeaders },
  responses: removes("The tunnel is removed"),
});

const settingKeys = new Set(Object.keys(tunnelSettingsShape));

/** The record of what a body says of a tunnel: some of its keys are the settings. */
export function recordOf<T extends object>(body: T): Omit<T, keyof TunnelSettings> & Pick<TunnelRecord, "settings"> {
  const [settings, others] = [true, false].map((isSetting) =>
    Object.fromEntries(Object.entries(body).filter(([key]) => settingKeys.has(key) === isSetting))
  );
  return { ...others as Omit<T, keyof TunnelSettings>, settings: settings! };
}

/** @param urlOf the public URL of a tunnel by its name */
export function addTunnelRoutes(app: OpenAPIHono, control: Control, urlOf: (name: string) => string): void {
  const { directory, store } = control;
  const etag = (name: string): string | null => {
    const tunnel = directory.tunnels.get(name);
    return tunnel === undefined ? null : etagOf(store.epoch, tunnel.revision);
  };
  const told = ({ settings, ...value }: TunnelRecord, revision: number) => ({
    ...value,
    ...settings as TunnelSettings,
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
    const tunnel = await control.addTunnel({ ...recordOf(c.req.valid("json")), project: null }, actorOf(c));
    return c.json(told(tunnel, directory.tunnels.get(tunnel.name)?.revision ?? 0), 201);
  });
  app.openapi(replace, async (c) => {
    const { name } = c.req.valid("param");
    const isNew = !directory.tunnels.has(name);
    const given = { ...recordOf(c.req.valid("json")), name, project: null };
    const tunnel = await changeIf(c, "tunnel", etag(name), () => control.setTunnel(given, actorOf(c)));
    const answer = told(tunnel, directory.tunnels.get(name)?.revision ?? 0);
    return c.json(answer, isNew ? 201 : 200, { ETag: etag(name) ?? "" });
  });
  app.openapi(show, (c) => {
    const { name } = c.req.valid("param");
    const tunnel = directory.tunnels.get(name);
    if (tunnel === undefined) throw new Refusal("tunnel_not_found", `There is no declared tunnel ${name}`);
    const tag = etag(name)!;
    if (isKnown(c, tag)) return c.body(null, 304, { ETag: tag });
    return c.json(told(tunnel.value, tunnel.revision), 200, { ETag: tag });
  });
  app.openapi(remove, async (c) => {
    const { name } = c.req.valid("param");
    await changeIf(c, "tunnel", etag(name), () => control.removeTunnel(name, actorOf(c)));
    return c.body(null, 204);
  });
}
