/** `/api/events`: what happens on the edge, for as long as the client listens. */
import { createRoute, type OpenAPIHono, z } from "@hono/zod-openapi";
import { compressedResponse } from "../http/mod.ts";
import { type EventFeed, EXAMPLE_EVENT_ID, feedFormatFor, feedTypes, parseEventId } from "../events/mod.ts";
import { problemResponse } from "./problems.ts";
import { lists, problemContent } from "./responses.ts";

const feedSchema = z.string().openapi({ description: "docs/events.md lists the events and their keys" });

function feedRoute(path: string) {
  const { 200: ok, ...refusals } = lists("What happens from now on; it does not end by itself", feedSchema);
  return createRoute({
    method: "get",
    path,
    summary: "What happens: requests, agents, changes and refusals, as Server-Sent Events or JSON lines by Accept",
    request: {
      query: z.strictObject({
        since: z.string().max(64).optional().openapi({
          description: "Begins behind this event; so does the field Last-Event-ID, which counts more",
          example: EXAMPLE_EVENT_ID,
        }),
      }),
      headers: z.object({ "last-event-id": z.string().optional() }),
    },
    responses: {
      ...refusals,
      200: {
        description: ok.description,
        content: Object.fromEntries(feedTypes.map((type) => [type, { schema: feedSchema }])),
      },
      406: { description: "Accept names none of the formats", ...problemContent },
    },
  });
}

export function addEventRoutes(app: OpenAPIHono, feed: EventFeed): void {
  for (const path of ["/api/events", "/api/v1/events"]) {
    app.openapi(feedRoute(path), (c) => {
      const format = feedFormatFor(c.req.header("accept"));
      if (format === null) return problemResponse("not_acceptable", `Events come as ${feedTypes.join(", ")}`);
      const asked = c.req.header("last-event-id") ?? c.req.valid("query").since;
      const since = asked === undefined || asked === "" ? null : parseEventId(asked);
      if (since === null && (asked ?? "") !== "") {
        return problemResponse(
          "bad_request",
          `${JSON.stringify(asked)} is no id of an event, as ${EXAMPLE_EVENT_ID} is`,
        );
      }
      // A reader that is never asked to read would be listened for.
      const body = c.req.raw.method === "HEAD" ? null : feed.subscribe(format, since);
      if (body === null && c.req.raw.method !== "HEAD") {
        return problemResponse("overloaded", `${feed.subscribers} programs listen already, as many as may`);
      }
      const headers = {
        "Content-Type": format.contentType,
        "Cache-Control": "no-cache, no-transform",
        // nginx would keep events back until its buffer is full.
        "X-Accel-Buffering": "no",
      };
      return compressedResponse(body, headers, c.req.header("accept-encoding"));
    });
  }
}
