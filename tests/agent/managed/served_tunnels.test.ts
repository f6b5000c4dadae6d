import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { AgentError } from "../../../src/agent/errors.ts";
import { ServedTunnels } from "../../../src/agent/managed/served_tunnels.ts";
import type { TunnelConfig } from "../../../src/agent/managed/tunnel_config.ts";
import type { TunnelSession } from "../../../src/agent/managed/tunnel_session.ts";
import type { TunnelUpstream } from "../../../src/agent/managed/upstreams.ts";
import { FakeClock } from "../../support/clock.ts";
import { eventually } from "../../support/net.ts";

const never = new AbortController().signal;
const tunnel = (name: string, upstream = "1", more: Partial<TunnelConfig> = {}): TunnelConfig => {
  return { name, kind: "http", upstream, hostnames: [], ...more };
};

/** An upstream that knows whether it was closed. */
class FakeUpstream implements TunnelUpstream {
  isClosed = false;
  active = 0;
  readonly handler = () => Promise.resolve({ status: 200, fields: [], body: null });
  constructor(readonly label: string) {}
  close(): void {
    this.isClosed = true;
  }
}

describe("ServedTunnels", () => {
  let clock: FakeClock;
  let made: FakeUpstream[];
  let asked: string[];
  let refused: Set<string>;
  let ready: string[];
  let served: ServedTunnels;
  const session = {
    hasOpened: true,
    open(name: string, label: string, timeouts?: { firstByte?: string }) {
      asked.push(`open ${name} ${timeouts?.firstByte ?? label}`);
      if (refused.has(name)) return Promise.reject(new AgentError("name_taken", `${name} is taken`));
      return Promise.resolve({ id: name, name, url: `http://${name}` });
    },
    giveBack(name: string) {
      asked.push(`give back ${name}`);
      return Promise.resolve();
    },
  } as unknown as TunnelSession;
  beforeEach(() => {
    clock = new FakeClock();
    [made, asked, ready, refused] = [[], [], [], new Set()];
    served = new ServedTunnels({
      makeUpstream: ({ upstream }) => {
        const upstreamOf = new FakeUpstream(upstream);
        made.push(upstreamOf);
        return upstreamOf;
      },
      drainMs: 30_000,
      clock,
      onReady: ({ name }, label) => void ready.push(`${name} ${label}`),
    });
  });
  const change = (...tunnels: TunnelConfig[]) => served.change(tunnels, session, never);

  it("asks the edge only for what is new, has other timeouts or is gone", async () => {
    await change(tunnel("a"), tunnel("b"), tunnel("c"));
    asked = [];
    ready = [];
    await change(tunnel("a"), tunnel("b", "2"), tunnel("d"), tunnel("c", "1", { timeouts: { firstByte: "5s" } }));
    assert.deepEqual(asked.toSorted(), ["open c 5s", "open d 1"]);
    assert.deepEqual(ready.toSorted(), ["b 2", "c 1", "d 1"]);
    asked = [];
    await change(tunnel("a"), tunnel("b", "2", { hostnames: ["x.test"] }));
    assert.deepEqual(asked.toSorted(), ["give back c", "give back d"]);
    assert.equal(made.filter(({ isClosed }) => !isClosed).length, 2);
    served.close();
  });

  it("has another upstream where what it is told of visitors has changed", async () => {
    await change(tunnel("a"));
    await change(tunnel("a", "1", { forwardedHeaders: false }));
    assert.deepEqual(made.map(({ isClosed }) => isClosed), [true, false]);
    served.close();
  });

  it("undoes all of a change where one tunnel cannot be opened", async () => {
    await change(tunnel("a", "1", { timeouts: { firstByte: "1s" } }), tunnel("b"));
    const before = served.handlerOf("b");
    asked = [];
    refused.add("x");
    await assert.rejects(
      change(tunnel("a", "1", { timeouts: { firstByte: "2s" } }), tunnel("b", "2"), tunnel("c"), tunnel("x")),
      { code: "name_taken" },
    );
    assert.equal(served.handlerOf("b"), before);
    assert.equal(served.handlerOf("c"), undefined);
    assert.ok(asked.includes("give back c") && asked.at(-1) === "open a 1s", asked.join());
    assert.deepEqual(made.map(({ isClosed }) => isClosed), [false, false, true, true, true]);
    served.close();
  });

  it("gives back several at a time, so that a far edge does not make a change long", async () => {
    const waiting: (() => void)[] = [];
    const far = {
      ...session,
      hasOpened: true,
      giveBack: () => new Promise<void>((resolve) => void waiting.push(resolve)),
    } as unknown as TunnelSession;
    await change(...[..."abcdefghij"].map((name) => tunnel(name)));
    const changed = served.change([tunnel("a")], far, never);
    for (const count of [8, 1]) {
      await eventually(() => waiting.length === count);
      for (const answer of waiting.splice(0)) answer();
    }
    await changed;
    assert.deepEqual([..."abj"].map((name) => served.handlerOf(name) !== undefined), [true, false, false]);
    served.close();
  });

  it("ends what runs on an upstream that is served no more when it takes too long", async () => {
    await change(tunnel("a"), tunnel("b"));
    made[0]!.active = made[1]!.active = 1;
    await change(tunnel("a", "2"));
    clock.advance(10_000);
    assert.deepEqual(made.map(({ isClosed }) => isClosed), [false, false, false]);
    made[1]!.active = 0;
    clock.advance(1_000);
    assert.deepEqual(made.map(({ isClosed }) => isClosed), [false, true, false]);
    clock.advance(19_000);
    assert.deepEqual(made.map(({ isClosed }) => isClosed), [true, true, false]);
    served.close();
    assert.equal(clock.pending, 0);
  });

  it("opens on another session what is not open there, each by itself", async () => {
    served.replace([tunnel("a"), tunnel("b"), tunnel("c")]);
    refused.add("b");
    const failed = await served.openOn(session, true, never);
    assert.deepEqual(failed.map(([name, { code }]) => [name, code]), [["b", "name_taken"]]);
    assert.deepEqual(ready.toSorted(), ["a 1", "c 1"]);
    refused.clear();
    asked = [];
    assert.equal(served.lose("c"), true);
    assert.equal(served.lose("c"), false);
    assert.deepEqual(await served.openOn(session, false, never), []);
    assert.deepEqual(asked.toSorted(), ["open b 1", "open c 1"]);
    served.close();
  });
});
