/** What an agent asks of its edge, as ordinary HTTP on a stream that the agent opened: there is no second language. */
import { Hono } from "hono";
import { z } from "zod";
import type { Session } from "../session/mod.ts";
import { problemResponse } from "./api.ts";
import { ClaimError, type Tunnels } from "./tunnels.ts";
import { randomName } from "../config/mod.ts";

/** Who is asking: it comes from the session, never from a field of the request. */
export interface AgentIdentity {
  readonly owner: string;
  readonly session: Session;
}

export interface AgentApiOptions {
  tunnels: Tunnels;
  urlOf(name: string): string;
  /** A session opened a tunnel; for the log. */
  onTunnel(session: Session, name: string): void;
}

const tunnelRequest = z.strictObject({
  name: z.string().optional(),
  kind: z.literal("http"),
  /** For people and logs; the agent alone dials it. */
  upstream: z.string().max(1024),
  force: z.boolean().optional(),
});

/** A request of the agent's and its answer are small; more is a mistake. */
const bodyLimitBytes = 64 * 1024;

/** `POST /api/agent/tunnels {name?, kind, upstream, force?}` → 201 `{id, name, url}`; the tunnel lives as long as its session. */
export function createAgentApi(options: AgentApiOptions): Hono<{ Bindings: { agent?: AgentIdentity } }> {
  const { tunnels, urlOf } = options;
  const app = new Hono<{ Bindings: { agent?: AgentIdentity } }>();
  app.post("/api/agent/tunnels", async (c) => {
    const { agent } = c.env;
    if (agent === undefined) {
      return problemResponse("session_required", "a tunnel is opened on a stream of an agent's session");
    }
    const text = await readText(c.req.raw.body);
    if (text === null) return problemResponse("body_too_large", `the body is over ${bodyLimitBytes} bytes`);
    const parsed = tunnelRequest.safeParse(parseJson(text));
    if (!parsed.success) {
      const issue = parsed.error.issues[0];
      return problemResponse("bad_request", `key \`${issue?.path.join(".")}\`: ${issue?.message}`);
    }
    const name = parsed.data.name ?? randomName();
    try {
      await tunnels.claim(name, agent.owner, agent.session, parsed.data.force);
    } catch (error) {
      if (!(error instanceof ClaimError)) throw error;
      return problemResponse(error.code, error.reason);
    }
    options.onTunnel(agent.session, name);
    return c.json({ id: name, name, url: urlOf(name) }, 201);
  });
  return app;
}

/** True for the paths of this API. */
export function isAgentApi(target: string | undefined): boolean {
  return target !== undefined && target.startsWith("/api/agent/");
}

/** Null where it is longer than a request of an agent's can be; the rest is then not read. */
async function readText(body: ReadableStream<Uint8Array> | null): Promise<string | null> {
  if (body === null) return "";
  const decoder = new TextDecoder();
  let text = "";
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > bodyLimitBytes) return null;
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No JSON is no wish: the schema says so.
    return null;
  }
}
