/** The admin API behind an nginx with its default buffering. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { withOperatedEdge } from "../cli/operated_edge.ts";
import { freePort } from "../support/net.ts";
import { withNginx } from "../support/nginx.ts";
import { missingPeer } from "../support/peers.ts";

describe("GET /api/events behind nginx", () => {
  for (const [accept, mark] of [["text/event-stream", "data: "], ["application/x-ndjson", "\n"]] as const) {
    it(
      `brings each event of ${accept} when it happens, although nginx buffers`,
      { skip: missingPeer("nginx") },
      () =>
        withOperatedEdge(async (edge) => {
          const port = await freePort();
          const server = `server {
          listen 127.0.0.1:${port};
          location / { proxy_pass ${edge.admin}; }
        }`;
          await withNginx(port, server, async () => {
            const headers = { Authorization: `Bearer ${edge.adminToken}`, Accept: accept };
            const response = await fetch(`http://127.0.0.1:${port}/api/events`, { headers });
            assert.equal(response.status, 200);
            const reader = response.body!.getReader();
            let text = "";
            const until = async (part: string) => {
              while (!text.includes(part)) text += new TextDecoder().decode((await reader.read()).value);
            };
            await until("connected");
            for (const name of ["web-1", "web-2", "web-3"]) {
              await edge.command("node", "add", name);
              // Each is read before the next one is made.
              await until(`"key":"${name}"`);
            }
            assert.ok(text.includes(mark));
            await reader.cancel();
          });
        }),
    );
  }
});
