import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { V2EdgeSession } from "../../../src/session/v2/edge_session.ts";
import { V2AgentSession } from "../../../src/session/v2/agent_session.ts";
import { ErrorCode, Flag } from "../../../src/httpstream/wire/mod.ts";
import { Connection } from "../../../src/httpstream/mod.ts";
import { FakeClock } from "../../support/clock.ts";
import { FramePeer } from "../../support/frame_peer.ts";
import { linkPair } from "../../support/link_pair.ts";
import { FedBody } from "../../support/client_requests.ts";
import { eventually } from "../../support/net.ts";
import { head, never, withScriptedAgent } from "./stage.ts";

describe("V2EdgeSession", () => {
  it("ping is true when the agent answers in time", async () => {
    const { session, agent, close } = await withScriptedAgent();
    const pinged = session.ping(1_000_000);
    const { payload } = await agent.expectFrame("PING");
    agent.send((m) => m.ping(payload, true));
    assert.equal(await pinged, true);
    await close();
  });

  it("ping is false when the agent stays silent, and leaves no timer", async () => {
    const clock = new FakeClock();
    const links = linkPair();
    const connection = new Connection(links.edge, { role: "edge" });
    const session = new V2EdgeSession("s1", connection, clock);
    const pinged = session.ping(3_000);
    assert.equal(clock.pending, 1);
    clock.advance(3_000);
    assert.equal(await pinged, false);
    connection.close();
    await connection.closed;
    assert.equal(clock.pending, 0);
  });

  it("ping is false when the session is over", async () => {
    const { session, close } = await withScriptedAgent();
    await close();
    assert.equal(await session.ping(1_000_000), false);
  });

  for (
    const [what, more, pairs, protocol] of [
      ["one protocol", { upgrade: "a" }, [], "a"],
      ["several to an agent that says nothing", { upgrade: "a,b" }, [], undefined],
      ["several to an agent that takes them", { upgrade: "a,b" }, [5, 2], "a,b"],
      ["a body to an agent that says nothing", { upgrade: "a", fields: ["Content-Length", "3"] }, [], undefined],
      [
        "a body to an agent that takes none",
        { upgrade: "a", fields: ["Content-Length", "3"] },
        [5, 2, 5, 1],
        undefined,
      ],
      ["a body to an agent that takes it", { upgrade: "a", fields: ["Content-Length", "3"] }, [5, 3], "a"],
    ] as const
  ) {
    it(`open ${protocol === undefined ? "leaves" : "keeps"} the upgrade when it asks for ${what}`, async () => {
      const { session, agent, close } = await withScriptedAgent(pairs);
      const body = new FedBody((fed) => fed.push("abc"));
      session.open(head({ method: "POST", ...more }), body.stream, never).catch(() => {});
      const { fields } = await agent.expectFrame("HEADERS");
      const at = fields.indexOf(":protocol");
      assert.equal(at < 0 ? undefined : fields[at + 1], protocol);
      if ("fields" in more) assert.deepEqual(fields.slice(-2), ["Content-Length", "3"]);
      if ("fields" in more && protocol === undefined) {
        const { payload, endStream } = await agent.expectFrame("DATA");
        assert.equal(payload.length, 3);
        if (!endStream) await agent.expectFrame("DATA", { endStream: true });
        assert.notEqual(body.canceled, undefined);
      }
      await close();
    });
  }

  it("active counts the exchanges under way", async () => {
    const stage = await withScriptedAgent();
    assert.equal(stage.session.active, 0);
    const { answer, id } = await stage.ask();
    assert.equal(stage.session.active, 1);
    stage.agent.send((m) => m.headers(id, [":status", "204"], Flag.END_STREAM));
    await answer;
    await eventually(() => stage.session.active === 0);
    await stage.close();
  });

  it("drain lets what runs end, takes nothing new, and then closes with 1001", async () => {
    const stage = await withScriptedAgent();
    const { answer, id } = await stage.ask();
    const drained = stage.session.drain();
    await assert.rejects(stage.session.open(head(), null, never), { code: "tunnel_offline" });
    await stage.agent.expectFrame("GOAWAY", { lastStreamId: 0x7fff_ffff, errorCode: ErrorCode.NO_ERROR });
    // The PING of the round trip that follows may come before the GOAWAY.
    const pings = () => stage.agent.frames.filter((frame) => frame.type === "PING");
    await stage.agent.until(() => pings().length > 0, "a PING");
    stage.agent.send((m) => m.ping(pings()[0]!.payload, true));
    await stage.agent.expectFrame("GOAWAY", { lastStreamId: 0 });
    assert.equal(stage.agent.closeInfo, null);
    stage.agent.send((m) => m.headers(id, [":status", "204"], Flag.END_STREAM));
    assert.equal((await answer).status, 204);
    await drained;
    assert.equal((await stage.agent.closed()).code, 1001);
    assert.equal((await stage.session.closed).code, "closed");
  });

  it("close breaks what runs off, and says why", async () => {
    const stage = await withScriptedAgent();
    const { answer } = await stage.ask();
    stage.session.close("replaced");
    await assert.rejects(answer, { code: "agent_lost" });
    assert.equal((await stage.agent.expectFrame("GOAWAY")).reason, "replaced");
    assert.deepEqual(await stage.session.closed, { code: "closed", reason: "replaced" });
  });

  it("is leaving from the agent's first GOAWAY on, and finishes what runs", async () => {
    const stage = await withScriptedAgent();
    const { answer, id } = await stage.ask();
    assert.equal(stage.session.isLeaving, false);
    stage.agent.send((m) => m.goAway(0x7fff_ffff, ErrorCode.NO_ERROR, "draining"));
    await eventually(() => stage.session.isLeaving);
    await assert.rejects(stage.session.open(head(), null, never), { code: "tunnel_offline" });
    stage.agent.send((m) => m.headers(id, [":status", "204"], Flag.END_STREAM));
    assert.equal((await answer).status, 204);
    await stage.close();
  });

  it("replace ends the session with REPLACED, which the agent's session knows", async () => {
    const links = linkPair();
    const session = new V2EdgeSession("s1", new Connection(links.edge, { role: "edge" }));
    const agent = new V2AgentSession(new Connection(links.agent, { role: "agent" }));
    session.replace("Replaced: by force");
    assert.deepEqual(await agent.closed, { code: "replaced", reason: "Replaced: by force" });
    assert.match((await session.closed).reason, /by force/);
    const stage = await withScriptedAgent();
    stage.session.replace("Replaced: by force");
    await stage.agent.expectFrame("GOAWAY", { errorCode: 0x108, reason: "Replaced: by force" });
  });

  it("closed tells how a session was lost", async () => {
    const links = linkPair();
    const session = new V2EdgeSession("s1", new Connection(links.edge, { role: "edge" }));
    const agent = new FramePeer(links.agent);
    await agent.greet();
    agent.abort();
    assert.equal((await session.closed).code, "link_lost");
  });
});
