import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { ClaimError, type ClaimErrorCode, Tunnels, type TunnelsOptions } from "../../src/edge/tunnels.ts";
import { unknownClaimant } from "../../src/edge/tunnel_holder.ts";
import { FakeClock } from "../support/clock.ts";
import { FakeSession } from "../support/fake_session.ts";

describe("Tunnels", () => {
  let clock: FakeClock;
  let replaced: [string, string][];
  let tunnels: Tunnels;

  const start = (options: TunnelsOptions = {}) => {
    clock = new FakeClock();
    replaced = [];
    tunnels = new Tunnels({ clock, onReplaced: (name, why) => void replaced.push([name, why]), ...options });
  };
  beforeEach(() => start());

  const claimed = async (name: string, owner = "me", id = "1") => {
    const session = new FakeSession(id);
    await tunnels.claim(name, owner, session);
    return session;
  };
  const isRefusal = (code: ClaimErrorCode) => (error: unknown) => error instanceof ClaimError && error.code === code;
  /** Ends the session, and waits until the registry knows. */
  const over = async (session: FakeSession) => {
    session.end({ code: "gone", reason: "" });
    await session.closed;
  };

  it("gives a name to the session that claims it, which is offline when that has ended", async () => {
    assert.equal(tunnels.get("shop"), undefined);
    const session = await claimed("shop");
    assert.equal(tunnels.get("shop")?.session, session);
    assert.equal(tunnels.online, 1);
    await over(session);
    assert.equal(tunnels.get("shop")?.session, null);
    assert.equal(tunnels.online, 0);
  });

  for (const name of ["", "Shop", "-a", "a-", "a.b", "a b", "é", "x".repeat(64), "api", "admin", "www", "__proto__"]) {
    it(`refuses the name ${JSON.stringify(name.slice(0, 20))}`, async () => {
      await assert.rejects(claimed(name), isRefusal("bad_name"));
      assert.equal(tunnels.get(name), undefined);
    });
  }

  it("keeps a name that another agent of its owner still serves when the last one's token has ended", async () => {
    const [first, second] = [new FakeSession("1"), new FakeSession("2")];
    let [isFirstValid, isSecondValid] = [true, true];
    await tunnels.claim("shop", "me", first, { share: true, isKept: () => isFirstValid });
    await tunnels.claim("shop", "me", second, { share: true, isKept: () => isSecondValid });
    isSecondValid = false;
    await over(second);
    await assert.rejects(claimed("shop", "somebody"), isRefusal("name_taken"));
    assert.equal(tunnels.get("shop")?.session, first);
    isFirstValid = false;
    assert.equal((await claimed("shop", "somebody")).closedFor, null);
  });

  it("keeps a freed name for its owner for 10 minutes", async () => {
    await over(await claimed("shop"));
    clock.advance(599_999);
    await assert.rejects(claimed("shop", "somebody"), isRefusal("name_taken"));
    await over(await claimed("shop", "me", "2"));
    clock.advance(599_999);
    assert.notEqual(tunnels.get("shop"), undefined);
    clock.advance(1);
    assert.equal(tunnels.get("shop"), undefined);
    assert.equal((await claimed("shop", "somebody")).closedFor, null);
  });

  it("refuses another owner without asking the holder", async () => {
    const holder = await claimed("shop");
    await assert.rejects(claimed("shop", "somebody"), isRefusal("name_taken"));
    assert.equal(holder.pingedFor, null);
  });

  it("leaves a name to a holder that answers within 3 s, and replaces one that does not", async () => {
    const holder = await claimed("shop");
    const second = claimed("shop", "me", "2");
    assert.equal(holder.pingedFor, 3_000);
    holder.answerPing(true);
    await assert.rejects(second, isRefusal("name_taken"));
    assert.equal(tunnels.get("shop")?.session, holder);
    const third = claimed("shop", "me", "3");
    holder.answerPing(false);
    const winner = await third;
    assert.equal(tunnels.get("shop")?.session, winner);
    assert.match(holder.replacedFor ?? "", /^Replaced: /);
    assert.deepEqual(replaced.map(([name]) => name), ["shop"]);
    await holder.closed;
    assert.equal(tunnels.get("shop")?.session, winner);
  });

  it("gives the name to the newcomer when the holder leaves while it is asked", async () => {
    const holder = await claimed("shop");
    const second = claimed("shop", "me", "2");
    await over(holder);
    holder.answerPing(false);
    const winner = await second;
    assert.equal(tunnels.get("shop")?.session, winner);
    assert.deepEqual(replaced, []);
  });

  it("lets one newcomer at a time challenge a holder", async () => {
    const holder = await claimed("shop");
    const second = claimed("shop", "me", "2");
    await assert.rejects(claimed("shop", "me", "3"), isRefusal("name_taken"));
    holder.answerPing(false);
    assert.equal(tunnels.get("shop")?.session, holder);
    await second;
  });

  it("refuses a newcomer that may not have the name any more, and keeps it for nobody", async () => {
    for (const isAlive of [false, true]) {
      const holder = await claimed("shop");
      let refusal: string | null = null;
      const second = tunnels.claim("shop", "me", new FakeSession("2"), { refusalOf: () => refusal });
      refusal = "gone";
      holder.answerPing(isAlive);
      await assert.rejects(second, isRefusal(isAlive ? "name_taken" : "name_not_allowed"));
      if (isAlive) assert.equal(tunnels.get("shop")?.session, holder);
      else assert.equal(tunnels.get("shop")?.session ?? null, null);
      await over(holder);
      tunnels.release("shop");
    }
    const holder = await claimed("shop");
    const second = tunnels.claim("shop", "me", new FakeSession("2"), { refusalOf: () => "gone" });
    await over(holder);
    holder.answerPing(false);
    await assert.rejects(second, isRefusal("name_not_allowed"));
    assert.equal(tunnels.get("shop"), undefined);
  });

  it("takes a name over by force from the same owner alone, and logs it", async () => {
    const holder = await claimed("shop");
    await assert.rejects(
      tunnels.claim("shop", "somebody", new FakeSession("2"), { force: true }),
      isRefusal("name_taken"),
    );
    const winner = new FakeSession("3");
    await tunnels.claim("shop", "me", winner, { force: true });
    assert.equal(holder.pingedFor, null);
    assert.notEqual(holder.replacedFor, null);
    assert.equal(tunnels.get("shop")?.session, winner);
    assert.equal(replaced.length, 1);
  });

  it("gives the name to a newcomer of the same agent and owner at once, and leaves the holder to finish", async () => {
    const claimant = { ...unknownClaimant, key: "the-key-of-one-agent" };
    const holder = new FakeSession("1");
    await tunnels.claim("shop", "me", holder, { claimant });
    await assert.rejects(
      tunnels.claim("shop", "somebody", new FakeSession("2"), { claimant }),
      isRefusal("name_taken"),
    );
    const winner = new FakeSession("3");
    await tunnels.claim("shop", "me", winner, { claimant, force: true });
    assert.equal(tunnels.get("shop")?.session, winner);
    assert.deepEqual([holder.pingedFor, holder.closedFor, holder.replacedFor], [null, null, null]);
    assert.deepEqual(replaced, []);
    await over(holder);
    assert.equal(tunnels.get("shop")?.session, winner);
  });

  for (const keys of [["key-of-the-first", "key-of-the-second"], [null, null], ["key-of-the-first", null]] as const) {
    it(`asks the holder when its agent's key is ${keys[0]} and the newcomer's ${keys[1]}`, async () => {
      const holder = new FakeSession("1");
      await tunnels.claim("shop", "me", holder, { claimant: { ...unknownClaimant, key: keys[0] } });
      const refused = assert.rejects(
        tunnels.claim("shop", "me", new FakeSession("2"), { claimant: { ...unknownClaimant, key: keys[1] } }),
        isRefusal("name_taken"),
      );
      assert.notEqual(holder.pingedFor, null);
      holder.answerPing(true);
      await refused;
      assert.equal(tunnels.get("shop")?.session, holder);
    });
  }

  for (const force of [false, true]) {
    it(`gives the name of a holder that is leaving to a newcomer at once${force ? ", by force, too" : ""}`, async () => {
      const holder = await claimed("shop");
      holder.isLeaving = true;
      assert.equal(tunnels.get("shop")?.session, holder);
      assert.equal(tunnels.online, 0);
      await assert.rejects(tunnels.claim("shop", "somebody", new FakeSession("2")), isRefusal("name_taken"));
      const winner = new FakeSession("3");
      await tunnels.claim("shop", "me", winner, { force });
      assert.equal(tunnels.get("shop")?.session, winner);
      assert.deepEqual([holder.pingedFor, holder.closedFor, holder.replacedFor], [null, null, null]);
      await over(holder);
      assert.equal(tunnels.get("shop")?.session, winner);
      assert.deepEqual(replaced, []);
    });
  }

  it("gives the name to the newcomer when the holder begins to leave while it is asked", async () => {
    const holder = await claimed("shop");
    const second = claimed("shop", "me", "2");
    holder.isLeaving = true;
    holder.answerPing(true);
    const winner = await second;
    assert.equal(tunnels.get("shop")?.session, winner);
    assert.deepEqual([holder.closedFor, holder.replacedFor], [null, null]);
  });

  it("refuses the newcomer that waited when the name of a leaving holder went to a faster one", async () => {
    const holder = await claimed("shop");
    const second = claimed("shop", "me", "2");
    holder.isLeaving = true;
    const third = await claimed("shop", "me", "3");
    holder.answerPing(true);
    await assert.rejects(second, isRefusal("name_taken"));
    assert.equal(tunnels.get("shop")?.session, third);
  });

  it("evicts the tunnel that is offline longest, and never one that is online", async () => {
    start({ maxTunnels: 2 });
    const a = await claimed("a");
    const b = await claimed("b");
    await assert.rejects(claimed("c"), isRefusal("too_many_tunnels"));
    await over(b);
    clock.advance(1);
    await over(a);
    await claimed("c");
    assert.equal(tunnels.get("b"), undefined);
    assert.notEqual(tunnels.get("a"), undefined);
  });

  it("lets a suspended session give way when its owner has as many names as it may, and nobody else's", async () => {
    const tunnels = new Tunnels({ clock: new FakeClock(), maxNamesPerOwner: 1, maxTunnels: 2 });
    const lost = new FakeSession("lost");
    await tunnels.claim("a", "me", lost);
    const others = new FakeSession("others");
    await tunnels.claim("b", "somebody", others);
    others.suspend(true);
    await assert.rejects(tunnels.claim("c", "me", new FakeSession("new")), isRefusal("too_many_tunnels"));
    lost.suspend(true);
    await tunnels.claim("c", "me", new FakeSession("new"));
    assert.equal(tunnels.get("a"), undefined);
    assert.equal(tunnels.get("b")!.session, others);
  });

  it("lets an owner have as many names as it may, of which the one that is offline longest gives way", async () => {
    start({ maxNamesPerOwner: 2 });
    const a = await claimed("a");
    const b = await claimed("b");
    await assert.rejects(claimed("c"), (error: Error) => {
      return isRefusal("too_many_tunnels")(error) && /2 names.*--names-per-token/.test(error.message);
    });
    await claimed("d", "somebody");
    await over(b);
    clock.advance(1);
    await over(a);
    await claimed("c");
    assert.equal(tunnels.get("b"), undefined);
    await claimed("a", "me", "2");
    await assert.rejects(claimed("b"), isRefusal("too_many_tunnels"));
    assert.equal(tunnels.online, 3);
  });

  it("lets an owner have 100 names where nothing else is said", async () => {
    const session = new FakeSession("1");
    for (let count = 0; count < 100; count++) await tunnels.claim(`n${count}`, "me", session);
    await assert.rejects(claimed("more"), isRefusal("too_many_tunnels"));
    await claimed("more", "somebody");
  });

  it("counts the names of a session that claims several, and frees them with it", async () => {
    start({ maxNamesPerOwner: 3 });
    const session = new FakeSession("1");
    for (const name of ["a", "b", "c"]) await tunnels.claim(name, "me", session);
    await assert.rejects(tunnels.claim("d", "me", session), isRefusal("too_many_tunnels"));
    await tunnels.claim("a", "me", session);
    await over(session);
    for (const name of ["d", "e", "f"]) await claimed(name);
    assert.equal(tunnels.get("a"), undefined);
  });

  it("forgets a name of which the time has passed in its owner's count, too", async () => {
    start({ maxNamesPerOwner: 1 });
    await over(await claimed("a"));
    clock.advance(600_000);
    const b = await claimed("a", "somebody");
    await claimed("b", "me");
    await assert.rejects(claimed("c", "somebody"), isRefusal("too_many_tunnels"));
    await over(b);
    await claimed("c", "somebody");
  });

  it("refuses the names that are reserved, and says how one is freed", async () => {
    await assert.rejects(claimed("wpad"), (error: Error) => {
      return isRefusal("bad_name")(error) && /reserved: edge serve --reserved-name=-wpad frees it/.test(error.message);
    });
    start({ reservedNames: new Set(["shop"]) });
    await assert.rejects(claimed("shop"), isRefusal("bad_name"));
    await claimed("wpad");
  });

  it("does not evict a tunnel that another session is claiming", async () => {
    start({ maxTunnels: 1, reserveMs: 0 });
    const holder = await claimed("a");
    const second = claimed("a", "me", "2");
    await over(holder);
    await assert.rejects(claimed("b"), isRefusal("too_many_tunnels"));
    holder.answerPing(false);
    const winner = await second;
    assert.equal(tunnels.get("a")?.session, winner);
  });
});
