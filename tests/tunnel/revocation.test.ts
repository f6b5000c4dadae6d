/** A token that ends takes its sessions along: what runs breaks off, and nothing new comes through. On both protocols. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate } from "node:timers";
import { AgentError } from "../../src/agent/errors.ts";
import type { OpenTunnel } from "../../src/agent/open_tunnel.ts";
import { FakeClock } from "../support/clock.ts";
import { type ControlStage, endless, withControl } from "../support/control_stage.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { eventually, type SocketReader } from "../support/net.ts";
import { assertProblem, get, getRequest, readUntilReset, send } from "../support/public_client.ts";
import { protocols } from "../support/tunnel.ts";

const MINUTE_MS = 60_000;

interface Live {
  readonly tunnel: OpenTunnel;
  readonly token: string;
  /** Reads an answer that has no end. */
  readonly visitor: SocketReader;
}

const refusedWith = (code: string) => (error: unknown) => {
  assert.ok(error instanceof AgentError, String(error));
  assert.equal(error.code, code);
  return true;
};

for (const protocol of protocols) {
  /** The node `web-1` serves `shop`, with a visitor in the middle of an answer. */
  const goLive = async ({ admin, open, publicSide }: ControlStage): Promise<Live> => {
    const token = await admin.addNode("web-1");
    await admin.addTunnel("shop", ["web-1"]);
    const tunnel = await open(protocol, "shop", token, endless("first"));
    const shop = publicSide("shop.example.com");
    const visitor = await send(shop, getRequest(shop));
    await visitor.readUntil("first");
    return { tunnel, token, visitor };
  };

  /** @param code with which the agent is refused when it comes back */
  const assertEnded = async (stage: ControlStage, live: Live, reason: RegExp, code = "unauthorized"): Promise<void> => {
    await readUntilReset(live.visitor);
    assert.match((await live.tunnel.session.closed).reason, reason);
    await assert.rejects(stage.open(protocol, "shop", live.token), refusedWith(code));
  };

  const isOpen = ({ session }: OpenTunnel) =>
    Promise.race([session.closed.then(() => false), new Promise<boolean>((done) => setImmediate(() => done(true)))]);

  describe(`on ${protocol}, a session ends`, () => {
    const cases: [what: string, act: (stage: ControlStage, live: Live) => Promise<unknown>][] = [
      ["its node is removed", ({ admin }) => admin.do("DELETE", "nodes/web-1")],
      ["its token is removed", ({ admin }, { token }) => admin.do("DELETE", `tokens/${token.split("_")[2]}`)],
      ["its token is replaced without a grace", ({ admin }) => admin.do("POST", "nodes/web-1/rotate", {})],
    ];
    for (const [what, act] of cases) {
      it(`when ${what}`, () =>
        withControl(async (stage) => {
          const live = await goLive(stage);
          await act(stage, live);
          await assertEnded(stage, live, /The token was removed or replaced/);
          assertProblem(await get(stage.publicSide("shop.example.com")), 503, "tunnel_offline");
        }));
    }

    it("at the end of the grace for which its token was kept, and not before", () =>
      withControl(async (stage) => {
        const live = await goLive(stage);
        await stage.admin.do("POST", "nodes/web-1/rotate", { graceMs: MINUTE_MS });
        stage.clock.advance(MINUTE_MS - 1);
        assert.equal(await isOpen(live.tunnel), true);
        stage.clock.advance(1);
        await assertEnded(stage, live, /The token has expired/);
      }));

    it("when its token expires, and not before", () =>
      withControl(async (stage) => {
        const added = await stage.admin.do("POST", "tokens", { names: "pr-*", expiresInMs: MINUTE_MS });
        const tunnel = await stage.open(protocol, "pr-1", String(added.token));
        stage.clock.advance(MINUTE_MS - 1);
        assert.equal(await isOpen(tunnel), true);
        stage.clock.advance(1);
        assert.match((await tunnel.session.closed).reason, /The token has expired/);
        await assert.rejects(stage.open(protocol, "pr-1", String(added.token)), refusedWith("unauthorized"));
      }));

    it("when its token ends, whose name another token may open then", () =>
      withControl(async ({ admin, open, publicSide }) => {
        const add = () => admin.do("POST", "tokens", { names: "pr-*" });
        const [first, second] = [await add(), await add()];
        const left = await open(protocol, "pr-1", String(first.token));
        left.session.close("The agent leaves");
        const cut = await open(protocol, "pr-2", String(first.token));
        await assert.rejects(open(protocol, "pr-2", String(second.token)), refusedWith("name_taken"));
        await admin.do("DELETE", `tokens/${first.id}`);
        for (const name of ["pr-1", "pr-2"]) {
          await open(protocol, name, String(second.token));
          assert.match(await get(publicSide(`${name}.example.com`)), new RegExp(`${name}$`));
        }
        await cut.session.closed;
      }));

    it("when its tunnel is removed, whose name is free then", () =>
      withControl(async (stage) => {
        const live = await goLive(stage);
        await stage.admin.do("DELETE", "tunnels/shop");
        await readUntilReset(live.visitor);
        assert.match(
          (await live.tunnel.session.closed).reason,
          /opens tunnels that are declared for it, and shop is not/,
        );
        assertProblem(await get(stage.publicSide("shop.example.com")), 404, "tunnel_not_found");
        await stage.open(protocol, "shop");
        assert.match(await get(stage.publicSide("shop.example.com")), /shop$/);
      }));

    it("when another edge on the same data folder ends its token", () =>
      withControl(async (stage) => {
        const live = await goLive(stage);
        await withControl(({ admin }) => admin.do("DELETE", "nodes/web-1").then(() => {}), { folder: stage.folder });
        assert.equal(await isOpen(live.tunnel), true);
        stage.clock.advance(1_000);
        await assertEnded(stage, live, /The token was removed or replaced/);
      }));
  });

  describe(`on ${protocol}, a session goes on`, () => {
    it("when another node's token ends, another tunnel goes, or its own token has a successor for a while", () =>
      withControl(async (stage) => {
        const live = await goLive(stage);
        const { admin } = stage;
        await admin.addNode("web-2");
        await admin.addTunnel("blog", ["web-2"]);
        const { token: next } = await admin.do("POST", "nodes/web-1/rotate", { graceMs: MINUTE_MS });
        await admin.do("DELETE", "nodes/web-2");
        await admin.do("DELETE", "tunnels/blog");
        await admin.addTunnel("more", ["web-1"]);
        assert.equal(await isOpen(live.tunnel), true);
        await stage.open(protocol, "more", String(next));
        assert.match(await get(stage.publicSide("more.example.com")), /more$/);
        stage.clock.advance(MINUTE_MS);
        await readUntilReset(live.visitor);
        assert.match(await get(stage.publicSide("more.example.com")), /more$/);
      }));
  });

  describe(`on ${protocol}, an agent that waits for the tunnel of a silent one`, () => {
    /** `web-1` has the tunnel, and says nothing more; a newcomer with a token of its own waits for it. */
    const whileWaiting = (act: (stage: ControlStage, newToken: string) => Promise<unknown>, code: string) => {
      const clock = new FakeClock();
      return withControl(async (stage) => {
        const { admin, edge } = stage;
        const token = await admin.addNode("web-1");
        await admin.addTunnel("shop", ["web-1"]);
        const silent = await JsonAgent.register(edge, "shop", { agent_token: token });
        silent.link.pause();
        const { token: newToken } = await admin.do("POST", "nodes/web-1/rotate", { graceMs: MINUTE_MS });
        const holder = edge.tunnels.get("shop")!.session!;
        let pinged = false;
        const ping = holder.ping.bind(holder);
        holder.ping = (timeoutMs) => {
          pinged = true;
          return ping(timeoutMs);
        };
        const opening = stage.open(protocol, "shop", String(newToken)).then(
          ({ session }) => session.closed.then(({ reason }) => reason),
          (error: AgentError) => error.code,
        );
        await eventually(() => pinged);
        await act(stage, String(newToken));
        clock.advance(3_000);
        assert.match(await opening, new RegExp(code));
        await eventually(() => edge.tunnels.online === 0);
        silent.close();
      }, { clock });
    };

    it("does not get it when its own token ends meanwhile", () =>
      whileWaiting(
        ({ admin }, token) => admin.do("DELETE", `tokens/${token.split("_")[2]}`),
        "edge_unreachable|unauthorized|The token was removed, replaced or has expired",
      ));

    it("does not get it when the tunnel is removed meanwhile", () =>
      whileWaiting(({ admin }) => admin.do("DELETE", "tunnels/shop"), "refused|name_not_allowed|edge_unreachable"));
  });
}
