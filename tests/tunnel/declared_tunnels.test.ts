/** Tunnels that were declared at the edge: where their visitors go, and who may open them. On both protocols. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AgentError } from "../../src/agent/errors.ts";
import { answering, type ControlStage, endless, withControl } from "../support/control_stage.ts";
import { eventually } from "../support/net.ts";
import { assertProblem, get, getRequest, send } from "../support/public_client.ts";
import { protocols, startV2Agent } from "../support/tunnel.ts";

/** The body of the answer to a GET, or the code of the edge's own problem. */
async function asked({ publicSide }: ControlStage, host: string, target = "/"): Promise<string> {
  const answer = await get(publicSide(host), target);
  return /^X-Runnel-Error: (\w+)\r$/m.exec(answer)?.[1] ?? answer.slice(answer.indexOf("\r\n\r\n") + 4);
}

const notAllowed = (reason: RegExp) => (error: unknown) => {
  assert.ok(error instanceof AgentError, String(error));
  assert.match(error.reason, reason);
  return true;
};

for (const protocol of protocols) {
  describe(`a declared tunnel on ${protocol}`, () => {
    it("is offline until its node has opened it, and serves its own hostnames, too", () =>
      withControl(async (stage) => {
        const { admin, open } = stage;
        const token = await admin.addNode("web-1");
        const hostnames = ["shop.test", "*.shop.test", "bücher.test"];
        await admin.addTunnel("shop", ["web-1"], { hostnames });
        const own = ["shop.example.com", "shop.test", "SHOP.test.:8080", "a.shop.test", "xn--bcher-kva.test"];
        for (const host of own) assertProblem(await get(stage.publicSide(host)), 503, "tunnel_offline");
        const { session } = await open(protocol, "shop", token);
        for (const host of own) assert.equal(await asked(stage, host), "shop", host);
        // Whatever the path: it is the tunnel's.
        for (const path of ["/agent", "/readyz", "/api/agent/tunnels"]) {
          assert.equal(await asked(stage, "shop.test", path), "shop", path);
        }
        for (const host of ["a.b.shop.test", "test", "other.test", "shop.test.example.com", "xshop.test"]) {
          assert.equal(await asked(stage, host), "tunnel_not_found", host);
        }
        session.close("over");
        await eventually(() => stage.edge.tunnels.online === 0);
        for (const host of own) assertProblem(await get(stage.publicSide(host)), 503, "tunnel_offline");
        await admin.do("DELETE", "tunnels/shop");
        for (const host of own) assertProblem(await get(stage.publicSide(host)), 404, "tunnel_not_found");
      }));

    it("has its exact hostnames before another one's wildcard", () =>
      withControl(async (stage) => {
        const { admin, open } = stage;
        const token = await admin.addNode("web-1");
        await admin.addTunnel("wild", ["web-1"], { hostnames: ["*.shop.test", "*.wild.example.com"] });
        await admin.addTunnel("exact", ["web-1"], { hostnames: ["a.shop.test"] });
        await open(protocol, "wild", token);
        assert.equal(await asked(stage, "a.shop.test"), "tunnel_offline");
        await open(protocol, "exact", token);
        assert.deepEqual(
          [
            await asked(stage, "a.shop.test"),
            await asked(stage, "b.shop.test"),
            await asked(stage, "x.wild.example.com"),
          ],
          ["exact", "wild", "wild"],
        );
        await admin.do("DELETE", "tunnels/exact");
        assert.equal(await asked(stage, "a.shop.test"), "wild");
      }));

    it("is opened by the tokens of its nodes alone", () =>
      withControl(async (stage) => {
        const { admin, open } = stage;
        await admin.addNode("web-1");
        const stranger = await admin.addNode("web-2");
        const { token: anyName } = await admin.do("POST", "tokens", { names: "*" });
        await admin.addTunnel("shop", ["web-1"]);
        const onlyNodes = /The tunnel shop is declared at the edge: only a token of its nodes opens it/;
        await assert.rejects(open(protocol, "shop", stranger), notAllowed(/shop is not declared for the node web-2/));
        await assert.rejects(open(protocol, "shop", String(anyName)), notAllowed(onlyNodes));
        await assert.rejects(open(protocol, "shop"), notAllowed(onlyNodes));
        await assert.rejects(
          open(protocol, "other", stranger),
          notAllowed(/web-2 opens tunnels that are declared for it/),
        );
        await open(protocol, "other");
        await open(protocol, "third", String(anyName));
      }));

    it("may be opened by several of its nodes together, where their agents share it", () =>
      withControl(async ({ admin, edge, publicSide }) => {
        const tokens = [await admin.addNode("web-1"), await admin.addNode("web-2"), await admin.addNode("web-3")];
        await admin.addTunnel("shop", ["web-1", "web-2"]);
        const enter = (index: number) =>
          startV2Agent(edge, answering(`from ${index}`), { token: tokens[index], share: true });
        const agents = [await enter(0), await enter(1)];
        await assert.rejects(enter(2), /not declared for the node web-3/);
        const texts = [await get(publicSide("shop.example.com")), await get(publicSide("shop.example.com"))];
        assert.deepEqual(texts.map((text) => text.slice(-6)).sort(), ["from 0", "from 1"]);
        await admin.do("DELETE", "nodes/web-1");
        await eventually(() => edge.sessions().length === 1);
        assert.match(await get(publicSide("shop.example.com")), /from 1$/);
        for (const agent of agents) agent.close();
      }));

    it("may be opened by each of its nodes, once the other one is gone", () =>
      withControl(async (stage) => {
        const { admin, open } = stage;
        const [first, second] = [await admin.addNode("web-1"), await admin.addNode("web-2")];
        await admin.addTunnel("shop", ["web-1", "web-2"]);
        const { session } = await open(protocol, "shop", first);
        await assert.rejects(open(protocol, "shop", second), notAllowed(/another agent serves it/));
        session.close("over");
        await eventually(() => stage.edge.tunnels.online === 0);
        await open(protocol, "shop", second);
        await admin.do("DELETE", "nodes/web-1");
        assert.equal(await asked(stage, "shop.example.com"), "shop");
      }));

    it("cannot be declared while an agent with another token serves its name", () =>
      withControl(async (stage) => {
        const { admin, edge, open } = stage;
        const { id, token } = await admin.do("POST", "tokens", { names: "pr-*" });
        await admin.addNode("web-1");
        const add = async (name: string) => {
          const tunnel = { name, nodes: ["web-1"], upstream: "http://127.0.0.1:1" };
          const { status, json } = await admin.ask("POST", "tunnels", tunnel);
          return [status, json.code, json.detail];
        };
        const remedy = "stop that agent first, or choose another name";
        const shared = await open(protocol, "shop");
        const ofToken = await open(protocol, "pr-1", String(token));
        assert.deepEqual(await add("shop"), [
          409,
          "name_taken",
          `The name shop is in use by an agent with the edge's own token: ${remedy}`,
        ]);
        assert.deepEqual(await add("pr-1"), [
          409,
          "name_taken",
          `The name pr-1 is in use by an agent with the token ${id}: ${remedy}`,
        ]);
        for (const { session } of [shared, ofToken]) session.close("over");
        await eventually(() => edge.tunnels.online === 0);
        assert.equal((await add("shop"))[0], 201);
        assert.equal((await add("pr-1"))[0], 201);
      }));

    it("is offline, and not missing, where it is the default tunnel and not opened yet", () =>
      withControl(async (stage) => {
        const { admin, open } = stage;
        assert.equal(await asked(stage, "example.com"), "not_found");
        const token = await admin.addNode("web-1");
        await admin.addTunnel("shop", ["web-1"]);
        assert.equal(await asked(stage, "example.com"), "tunnel_offline");
        await open(protocol, "shop", token);
        assert.equal(await asked(stage, "example.com"), "shop");
      }, { defaultTunnel: "shop" }));
  });
}

describe("the admin API of an edge that drains", () => {
  it("says that it is not ready, and answers until the edge has ended", () =>
    withControl(async ({ admin, edge, open, publicSide }) => {
      assert.equal(await admin.probe("/readyz"), 200);
      await open("v2", "shop", undefined, endless("first"));
      const shop = publicSide("shop.example.com");
      const visitor = await send(shop, getRequest(shop));
      await visitor.readUntil("first");
      const drained = edge.drain();
      assert.equal(await admin.probe("/readyz"), 503);
      assert.deepEqual(await admin.do("GET", "nodes"), { nodes: [] });
      visitor.socket.reset();
      await drained;
    }));
});
