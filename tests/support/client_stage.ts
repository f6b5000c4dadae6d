/** One `HttpClient` before one scripted upstream, both ended with the test. */
import { HttpClient } from "../../src/http1/client/client.ts";
import type { ClientOptions } from "../../src/http1/client/options.ts";
import type { Answer, Body, RequestHead } from "../../src/http/message.ts";
import { never, requestHead } from "./client_requests.ts";
import { type Script, ScriptedServer } from "./scripted_server.ts";

export const NO_CONTENT = "HTTP/1.1 204 No Content\r\n\r\n";

export interface Stage {
  server: ScriptedServer;
  client: HttpClient;
  ask(head?: Partial<RequestHead>, body?: Body, signal?: AbortSignal): Promise<Answer>;
}

export async function onStage(
  script: Script,
  act: (stage: Stage) => Promise<void>,
  options: Partial<ClientOptions> = {},
): Promise<void> {
  const server = await ScriptedServer.start(script);
  const client = new HttpClient({ target: server.target, ...options });
  try {
    await act({
      server,
      client,
      ask: (head, body = null, signal = never) => client.request(requestHead(head), body, signal),
    });
  } finally {
    client.close();
    await server.close();
  }
}
