/** Tunnels that an edge before this one had open: their visitors wait until the agents are here. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Tunnels } from "../../src/edge/tunnels.ts";
import { FakeClock } from "../support/clock.ts";
import { FakeSession } from "../support/fake_session.ts";
import { bytesOf, eventually } from "../support/net.ts";
import { assertProblem, get } from "../support/public_client.ts";
import { publicSide, startTestAgent, startTestEdge } from "../support/tunnel.ts";

const hello = () => Promise.resolve({ status: 200, fields: [], body: bytesOf("hello") });

describe("an edge behind one that had a tunnel open", () => {
  for (const protocol of ["json", "v2"] as const) {
    it(`holds requests for it until its agent is there (${protocol})`, async () => {
      const edge = await startTestEdge({ tunnels: { expected: [{ name: "shop", owner: "token" }] } });
      const shop = publicSide(edge, "shop");
      const answers = Array.from({ length: 3 }, () => get(shop));
      await eventually(() => edge.active === 3);
      const agent = await startTestAgent(edge, hello, "shop", protocol);
      for (const answer of await Promise.all(answers)) assert.match(answer, /^HTTP\/1\.1 200 [^]*hello$/);
      agent.close();
      // It is known from now on whether the agent is there.
      await eventually(async () => /tunnel_offline/.test(await get(shop)));
      await edge.close();
    });
  }

  it("answers 503 with Retry-After when the agent does not come, and others at once", async () => {
    const edge = await startTestEdge({ tunnels: { expected: [{ name: "shop", owner: "token" }] }, resumeWaitMs: 50 });
    const answer = await get(publicSide(edge, "shop"));
    assertProblem(answer, 503, "tunnel_offline");
    assert.match(answer, /^Retry-After: \d+\r$/m);
    assertProblem(await get(publicSide(edge, "other")), 404, "tunnel_not_found");
    await edge.close();
  });
});

describe("Tunnels.isExpected", () => {
  const expected = [{ name: "shop", owner: "me" }, { name: "api", owner: "me" }, { name: "café", owner: "me" }];

  it("is true for what was open before, until its time is over", () => {
    const clock = new FakeClock();
    const tunnels = new Tunnels({ clock, expected, expectMs: 5_000 });
    assert.deepEqual(tunnels.list().map(({ name }) => name), ["shop"], "no reserved name, and none that cannot be");
    const shop = tunnels.get("shop")!;
    assert.deepEqual([shop.owner, shop.session, tunnels.isExpected(shop)], ["me", null, true]);
    clock.advance(5_000);
    assert.equal(tunnels.isExpected(shop), false);
    clock.advance(595_000);
    assert.equal(tunnels.get("shop"), undefined);
  });

  it("is false once it was opened, and no other owner can open it", async () => {
    const tunnels = new Tunnels({ clock: new FakeClock(), expected });
    const shop = tunnels.get("shop")!;
    await assert.rejects(tunnels.claim("shop", "other", new FakeSession("s1")), { code: "name_taken" });
    const session = new FakeSession("s1");
    await tunnels.claim("shop", "me", session);
    assert.equal(tunnels.isExpected(shop), false);
    tunnels.giveBack("shop", session);
    assert.deepEqual([shop.session, tunnels.isExpected(shop)], [null, false]);
  });

  it("leaves room for what is opened, when there were as many before", async () => {
    const many = Array.from({ length: 5 }, (_, i) => ({ name: `t${i}`, owner: "me" }));
    const tunnels = new Tunnels({ clock: new FakeClock(), expected: many, maxNamesPerOwner: 3 });
    assert.equal(tunnels.list().length, 3);
    await tunnels.claim("new", "me", new FakeSession("s1"));
    assert.deepEqual(tunnels.list().map(({ name }) => name), ["t1", "t2", "new"]);
  });
});
