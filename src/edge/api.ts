/** The edge's own HTTP routes (src/edge/own_paths.ts). No tunnel's traffic passes through here. */
import { type Context, Hono } from "hono";
import { type Answer, collectBody, CollectBudget, type Fields, problemAnswer, type ProblemCode } from "../http/mod.ts";
import { acceptOf, inAcceptedForm } from "./error_page.ts";
import { isAgentApi } from "./own_paths.ts";

export interface ApiOptions {
  /** False while draining: `/readyz` then answers 503, so that a load balancer goes elsewhere. */
  isReady(): boolean;
}

/** `GET /healthz`: the process runs. `GET /readyz`: it takes new work. */
export function createApi(options: ApiOptions): Hono {
  const app = new Hono();
  // Strangers may ask, so it tells no version and no figures.
  app.get("/healthz", (c) => c.text("ok", 200, { "Content-Length": "2" }));
  app.get("/readyz", (c) => {
    return options.isReady()
      ? c.json({ status: "ready" })
      : visitorProblem(c, "overloaded", "The edge is shutting down");
  });
  app.notFound((c) => visitorProblem(c, "not_found", `The edge has no page at ${c.req.path}`));
  return app;
}

/** A problem as a `Response`, for Hono's routes. @param extra see `problemAnswer` */
export function problemResponse(code: ProblemCode, detail: string, extra: Fields = []): Response {
  return responseOf(problemAnswer(code, detail, extra));
}

/** Of a request that an agent sends to the edge. */
export const MAX_BODY_BYTES = 64 * 1024;

/** The text of such a request's body. Null where it is too long; the rest of it is then canceled. */
export async function readText(body: ReadableStream<Uint8Array> | null): Promise<string | null> {
  const collected = await collectBody(body, MAX_BODY_BYTES, new CollectBudget(MAX_BODY_BYTES));
  return "bytes" in collected ? new TextDecoder().decode(collected.bytes) : null;
}

/** The same in the form that the visitor accepts. Agents get no page. */
function visitorProblem({ req }: Context, code: ProblemCode, detail: string): Response {
  const fields = ["Accept", req.header("accept") ?? ""];
  const accept = isAgentApi(req.path) ? null : acceptOf({ fields });
  return responseOf(inAcceptedForm(problemAnswer(code, detail), code, accept));
}

function responseOf(answer: Answer): Response {
  const headers = new Headers();
  for (let index = 0; index < answer.fields.length; index += 2) {
    headers.append(answer.fields[index] as string, answer.fields[index + 1] as string);
  }
  return new Response(answer.body as Uint8Array<ArrayBuffer>, { status: answer.status, headers });
}
