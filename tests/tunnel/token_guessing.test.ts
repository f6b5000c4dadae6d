/** Wrong tokens, whatever is wrong with them: nobody is told which of them were once right, or nearly are. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import type { Edge } from "../../src/edge/edge.ts";
import { dial } from "../../src/net/mod.ts";
import { hashToken, makeToken } from "../../src/store/token.ts";
import { FakeClock } from "../support/clock.ts";
import { type ControlStage, withControl } from "../support/control_stage.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { bytesOf, eventually, latin1, SocketReader } from "../support/net.ts";
import { token as edgeToken } from "../support/tunnel.ts";

const MINUTE_MS = 60_000;
const SECRET_CHARACTERS = 43;

/** A token of each kind that opens nothing, by what is wrong with it. */
async function wrongTokens({ admin, clock, folder }: ControlStage): Promise<Map<string, string>> {
  const valid = await admin.addNode("web-1");
  const replaced = await admin.addNode("web-2");
  await admin.do("POST", "nodes/web-2/rotate", {});
  const ofRemovedNode = await admin.addNode("web-3");
  await admin.do("DELETE", "nodes/web-3");
  const removed = await admin.do("POST", "tokens", { names: "pr-*" });
  await admin.do("DELETE", `tokens/${removed.id}`);
  const expired = await admin.do("POST", "tokens", { names: "pr-*", expiresInMs: MINUTE_MS });
  clock.advance(MINUTE_MS);
  const { token: unknown } = makeToken("node");
  return new Map([
    ["of no form", "x"],
    ["of 3,000 characters", "x".repeat(3_000)],
    ["the edge's own, and one character", `${edgeToken}x`],
    ["the edge's own but for its last character", edgeToken.slice(0, -1)],
    ["never made by this edge", unknown],
    ["a known id with another secret", valid.slice(0, -SECRET_CHARACTERS) + unknown.slice(-SECRET_CHARACTERS)],
    ["a known secret with another id", unknown.slice(0, -SECRET_CHARACTERS) + valid.slice(-SECRET_CHARACTERS)],
    ["a known token for another use", valid.replace("rnl_node_", "rnl_name_")],
    ["the stored hash of a valid one", hashToken(valid)],
    ["replaced", replaced],
    ["of a node that was removed", ofRemovedNode],
    ["removed", String(removed.token)],
    ["expired", String(expired.token)],
    ["the admin's", (await readFile(join(folder, "admin-token"), "utf8")).trim()],
  ]);
}

/** The whole answer to a request, but for its time. */
async function answerTo(edge: Edge, request: string): Promise<string> {
  const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: edge.address.port }));
  client.socket.write(bytesOf(request));
  const answer = latin1(await client.readAll());
  client.socket.end();
  return answer.replace(/^Date: .*\r\n/m, "");
}

const headOf = (path: string, token: string, more: string) =>
  `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer ${token}\r\n${more}\r\n`;

const handshake = "Connection: Upgrade, close\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: runnel.v2\r\n";

/** Where tokens are shown to an edge. Each gives all that the one who shows it is told. */
const faces: Readonly<Record<string, (edge: Edge, token: string) => Promise<string>>> = {
  "the handshake of runnel.v2": (edge, token) => answerTo(edge, headOf("/agent", token, handshake)),
  "a register frame": async (edge, token) => {
    const agent = await JsonAgent.dial(edge);
    const frame = await agent.ask({ type: "register", tunnel_id: "shop", agent_token: token });
    const { code, reason } = await agent.closed;
    return JSON.stringify([frame, code, reason]);
  },
  "the API of nodes": (edge, token) => answerTo(edge, headOf("/api/agent/config", token, "Connection: close\r\n")),
};

describe("token guessing", () => {
  for (const [face, show] of Object.entries(faces)) {
    it(`gets the same answer at ${face}, after a second, whatever is wrong with the token`, () => {
      const clock = new FakeClock();
      return withControl(async (stage) => {
        const { edge } = stage;
        const wrong = [...await wrongTokens(stage)];
        let answered = 0;
        const answers = Promise.all(wrong.map(async ([, token]) => {
          const answer = await show(edge, token);
          answered++;
          return answer;
        }));
        await eventually(() => edge.figures.refusals.tokens === wrong.length);
        clock.advance(999);
        assert.equal(answered, 0);
        clock.advance(1);
        const [first, ...others] = await answers;
        assert.match(first!, /unauthorized/);
        for (const [index, answer] of others.entries()) assert.equal(answer, first, wrong[index + 1]![0]);
      }, { clock });
    });
  }
});
