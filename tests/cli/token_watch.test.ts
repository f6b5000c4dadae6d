import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { AgentError, AgentToken, type OpenTunnel } from "../../src/agent/mod.ts";
import { TokenWatch } from "../../src/cli/token_watch.ts";
import { FakeClock } from "../support/clock.ts";

describe("TokenWatch", () => {
  let clock: FakeClock;
  let inFile: string | null;
  let right: string;
  let renewals: [atMs: number, token: string][];
  let token: AgentToken;
  let tunnel: OpenTunnel | null;
  let watch: TokenWatch;
  const open = () => token.opener(() => Promise.resolve({} as OpenTunnel))(new AbortController().signal);

  beforeEach(async () => {
    clock = new FakeClock();
    inFile = right = "old";
    renewals = [];
    token = new AgentToken("old", () => Promise.resolve(inFile));
    tunnel = await open();
    const agent = {
      get tunnel() {
        return tunnel;
      },
      async renew() {
        renewals.push([clock.now(), token.current]);
        if (token.current !== right) return new AgentError("unauthorized", "refused");
        await open();
        return null;
      },
    };
    watch = new TokenWatch(agent, token, clock);
  });
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) {
      clock.advance(1_000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };

  it("renews the tunnel once when another token stands in the file, and ends with nothing pending", async () => {
    await pass(3);
    assert.deepEqual(renewals, []);
    inFile = right = "new";
    await pass(5);
    assert.deepEqual(renewals, [[4_000, "new"]]);
    watch.stop();
    assert.equal(clock.pending, 0);
    inFile = right = "newest";
    await pass(5);
    assert.equal(renewals.length, 1);
  });

  it("leaves the agent alone while the file holds no token", async () => {
    inFile = null;
    await pass(5);
    assert.deepEqual(renewals, []);
    watch.stop();
  });

  it("tries a token that is refused again after 30 s, and another one at once", async () => {
    inFile = "wrong";
    await pass(40);
    assert.deepEqual(renewals, [[1_000, "wrong"], [31_000, "wrong"]]);
    inFile = right = "new";
    await pass(2);
    assert.deepEqual(renewals.slice(2), [[41_000, "new"]]);
    watch.stop();
  });

  it("waits while the agent has no session: the next one is opened with the new token anyway", async () => {
    tunnel = null;
    inFile = right = "new";
    await pass(3);
    assert.deepEqual(renewals, []);
    await open();
    tunnel = {} as OpenTunnel;
    await pass(3);
    assert.deepEqual(renewals, []);
    watch.stop();
  });
});
