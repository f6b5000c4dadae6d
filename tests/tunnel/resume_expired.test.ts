/** A link that is lost for longer than `resumeTimeoutMs`: all that waited for it is over, at both ends, with that as its reason. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type CancelSignal, CancelSource } from "../../src/base/cancel.ts";
import type { Answer, Handler, RequestHead } from "../../src/http/message.ts";
import { StreamError } from "../../src/httpstream/errors.ts";
import { ErrorCode } from "../../src/httpstream/wire/mod.ts";
import { requestHead } from "../support/client_requests.ts";
import { eventually, patternBytes } from "../support/net.ts";
import { getRequest, readUntilReset, send } from "../support/public_client.ts";
import { publicSide } from "../support/tunnel.ts";
import { type ChaosStage, type ChaosStageOptions, startChaosStage } from "./chaos/stage.ts";

const resumeTimeoutMs = 400;

/** What the agent's upstream has been told, for each request. */
interface Asked {
  readonly head: RequestHead;
  readonly signal: CancelSignal;
}

/** Answers with as many bytes as are taken, and takes no byte of the request. */
function stalledUpstream(asked: Asked[]): Handler {
  return (head, _body, signal) => {
    asked.push({ head, signal });
    const body = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(patternBytes(16_384)) });
    return Promise.resolve({ status: 200, fields: [], body });
  };
}

/** The code of the reset behind an error, whatever wraps it; null where there is none. */
function resetCodeOf(error: unknown): number | null {
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof StreamError) return cause.errorCode;
  }
  return null;
}

async function withStage(
  options: Partial<ChaosStageOptions>,
  use: (stage: ChaosStage, asked: Asked[]) => Promise<void>,
): Promise<void> {
  const asked: Asked[] = [];
  const stage = await startChaosStage({ upstream: stalledUpstream(asked), resumeTimeoutMs, ...options });
  try {
    await use(stage, asked);
  } finally {
    await stage.close();
  }
}

/** Reads an answer's body until it fails. */
async function failureOf(answer: Answer): Promise<unknown> {
  try {
    for await (const _ of answer.body as ReadableStream<Uint8Array>);
  } catch (error) {
    return error;
  }
  return assert.fail("the answer ended well");
}

for (const tunnels of [undefined, ["shop", "blog"]]) {
  const what = tunnels === undefined ? "a session" : "a session of several tunnels";
  describe(`${what} without its peer for resumeTimeoutMs`, () => {
    it("has ended every stream with RESUME_EXPIRED, holds no byte, and has left the registry", () =>
      withStage({ tunnels }, async ({ edge, link, hosts, edgeSession, agentSession }, asked) => {
        const sessions = { edge: edgeSession()!, agent: agentSession()! };
        // One exchange as the edge sees it, whose answer nobody reads, and one of a visitor.
        const direct = await sessions.edge.open(
          requestHead({ authority: hosts[0], tunnel: "shop" }),
          null,
          new CancelSource(),
        );
        const visitor = publicSide(edge, "shop");
        const upload = `PUT / HTTP/1.1\r\nHost: ${visitor.host}\r\nContent-Length: 9000000\r\n\r\n`;
        const clients = [await send(visitor, getRequest(visitor)), await send(visitor, upload)];
        for (const client of clients) {
          await client.readUntil("\r\n\r\n");
          client.socket.pause();
        }
        clients[1]!.socket.write(patternBytes(1_000_000));
        await eventually(() => sessions.edge.bufferedBytes > 0 && sessions.agent.bufferedBytes > 0);
        assert.deepEqual([sessions.edge.active, sessions.agent.active], [3, 3]);
        const closed = Promise.all([sessions.edge.closed, sessions.agent.closed]);

        link.refuseDials();
        link.cut();
        await closed;
        assert.equal(resetCodeOf(await failureOf(direct)), ErrorCode.RESUME_EXPIRED);
        for (const { signal } of asked) {
          assert.ok(signal.aborted);
          assert.equal(resetCodeOf(signal.reason), ErrorCode.RESUME_EXPIRED, String(signal.reason));
        }
        assert.equal(asked.length, 3);
        for (const client of clients) {
          client.socket.resume();
          await readUntilReset(client);
        }
        for (const session of Object.values(sessions)) {
          assert.deepEqual([session.active, session.bufferedBytes], [0, 0]);
        }
        await eventually(() => edge.active === 0 && edge.bufferedBytes === 0);
        assert.equal(edge.sessions().length, 0);
        for (const name of tunnels ?? ["shop"]) assert.equal(edge.tunnels.get(name)?.session ?? null, null);
      }));

    it("is followed by a fresh one as soon as the link is possible again", () =>
      withStage({ tunnels }, async ({ edge, link, edgeSession, agentSession }) => {
        const [first, ofAgent] = [edgeSession()!, agentSession()!];
        link.refuseDials();
        link.cut();
        await first.closed;
        link.admitDials();
        await eventually(() => edgeSession() !== null && agentSession() !== null && agentSession() !== ofAgent);
        assert.notEqual(edgeSession()!.id, first.id);
        const visitor = publicSide(edge, "shop");
        const client = await send(visitor, getRequest(visitor));
        assert.match(await client.readUntil("\r\n\r\n"), /^HTTP\/1\.1 200 /);
        client.socket.reset();
      }));
  });
}

describe("an edge whose resumeTimeoutMs is 0", () => {
  it("ends every stream at once when the link is lost, as one without resume", () =>
    withStage({ resumeTimeoutMs: 0 }, async ({ edge, link, edgeSession, agentSession }, asked) => {
      const sessions = [edgeSession()!, agentSession()!];
      const visitor = publicSide(edge, "shop");
      const client = await send(visitor, getRequest(visitor));
      await client.readUntil("\r\n\r\n");
      link.refuseDials();
      link.cut();
      await Promise.all(sessions.map((session) => session.closed));
      await readUntilReset(client);
      assert.ok(asked[0]!.signal.aborted);
      for (const session of sessions) assert.deepEqual([session.active, session.bufferedBytes], [0, 0]);
      await eventually(() => edge.sessions().length === 0);
    }));
});
