/** Who keeps a tunnel that another session claims, and who shares it. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { type Claimant, unknownClaimant } from "../../src/edge/tunnel_holder.ts";
import { ClaimError, type ClaimOptions, Tunnels } from "../../src/edge/tunnels.ts";
import { FakeClock } from "../support/clock.ts";
import { FakeSession } from "../support/fake_session.ts";
import { eventually } from "../support/net.ts";

const agent = (more: Partial<Claimant> = {}): Claimant => ({ ...unknownClaimant, ...more });
const machine = agent({ address: "192.0.2.1", version: "1.0.0", instance: "one" });
const other = agent({ address: "192.0.2.2", version: "1.1.0", instance: "two" });

let tunnels: Tunnels;
let replaced: [name: string, why: string][];
let served: string[];
let count = 0;

beforeEach(() => {
  [replaced, served] = [[], []];
  tunnels = new Tunnels({
    clock: new FakeClock(),
    onReplaced: (...told) => void replaced.push(told),
    onServed: (name) => void served.push(name),
  });
});

async function claimed(options: ClaimOptions = {}, name = "shop", session = new FakeSession(`s${++count}`)) {
  await tunnels.claim(name, "me", session, options);
  return session;
}

const sessions = () => tunnels.get("shop")!.holders.map(({ session }) => session);

function isTaken(sentence: RegExp) {
  return (error: unknown) => {
    assert.ok(error instanceof ClaimError, String(error));
    assert.equal(error.code, "name_taken");
    assert.match(error.reason, sentence);
    return true;
  };
}

describe("A claim without share", () => {
  it("is refused when its agent leaves while it waits, and the holder keeps the name", async () => {
    const holder = await claimed({ claimant: machine });
    holder.suspend(true);
    const newcomer = new FakeSession("newcomer");
    const claim = claimed({ claimant: other }, "shop", newcomer);
    newcomer.isLeaving = true;
    holder.answerPing(false);
    await assert.rejects(claim, isTaken(/The agent that claimed the name shop has left/));
    assert.deepEqual(sessions(), [holder]);
    assert.equal(holder.replacedFor, null);
  });

  it("gets the name by force, and on the same machine, while another claim waits", async () => {
    for (const options of [{ claimant: machine }, { claimant: agent(), force: true }]) {
      tunnels = new Tunnels({ clock: new FakeClock() });
      const holder = await claimed({ claimant: machine });
      holder.suspend(true);
      const waiting = claimed({ claimant: other });
      const winner = await claimed(options);
      holder.answerPing(false);
      await assert.rejects(waiting, isTaken(/another agent was faster/));
      assert.deepEqual(sessions(), [winner]);
    }
  });

  it("gets the name of a suspended session of the same machine at once, and tells of both", async () => {
    const holder = await claimed({ claimant: machine });
    holder.suspend(true);
    const winner = await claimed({ claimant: { ...machine, address: "192.0.2.9" } });
    assert.deepEqual(sessions(), [winner]);
    assert.equal(holder.pingedFor, null);
    assert.notEqual(holder.replacedFor, null);
    assert.deepEqual(replaced, [[
      "shop",
      `${holder.id} (192.0.2.1, version 1.0.0, instance one) by ${winner.id} (192.0.2.9, version 1.0.0, instance one): ` +
      "its link was lost, and an agent of the same machine came",
    ]]);
  });

  it("gets the name of a session of the same machine that is suspended while it is asked", async () => {
    const holder = await claimed({ claimant: machine });
    const watchers = holder.watchers;
    const second = claimed({ claimant: machine });
    assert.equal(holder.pingedFor, 3_000);
    holder.suspend(true);
    const winner = await second;
    assert.deepEqual(sessions(), [winner]);
    holder.answerPing(false);
    await eventually(() => holder.watchers <= watchers);
  });

  it("is refused by a live session of the same machine that answers", async () => {
    const holder = await claimed({ claimant: machine });
    const second = claimed({ claimant: machine });
    holder.answerPing(true);
    await assert.rejects(
      second,
      isTaken(/another agent serves it, s\d+ \(192\.0\.2\.1, .*: stop it, start both with --share, or take/),
    );
    assert.deepEqual([sessions(), replaced], [[holder], []]);
  });

  for (const claimant of [other, unknownClaimant]) {
    it(`asks a suspended session for 3 s where it is of another machine than ${claimant.instance}`, async () => {
      const holder = await claimed({ claimant: machine });
      holder.suspend(true);
      const second = claimed({ claimant });
      assert.equal(holder.pingedFor, 3_000);
      assert.deepEqual(sessions(), [holder]);
      holder.answerPing(false);
      const winner = await second;
      assert.deepEqual(sessions(), [winner]);
      assert.match(replaced[0]![1], /: its link was lost, and another agent came before it was back$/);
    });
  }

  it("is refused where the suspended session comes back meanwhile", async () => {
    const holder = await claimed({ claimant: machine });
    holder.suspend(true);
    const second = claimed({ claimant: other });
    holder.suspend(false);
    holder.answerPing(true);
    await assert.rejects(second, isTaken(/is taken/));
    assert.deepEqual(sessions(), [holder]);
  });

  it("leaves a suspended session of the same agent to come back for what runs on it", async () => {
    const claimant = agent({ key: "the-key-of-one-agent" });
    const holder = await claimed({ claimant });
    holder.suspend(true);
    const winner = await claimed({ claimant });
    assert.deepEqual([sessions(), holder.replacedFor, holder.endedWithLink], [[winner], null, false]);
  });

  it("ends a suspended session that has lost its last tunnel, and not one that has others", async () => {
    const holder = await claimed({ claimant: machine });
    await claimed({ claimant: machine }, "blog", holder);
    holder.withdraw = () => true;
    holder.suspend(true);
    await claimed({ claimant: machine });
    assert.deepEqual([holder.endedWithLink, holder.replacedFor], [false, null]);
    await claimed({ claimant: machine }, "blog");
    assert.deepEqual([holder.endedWithLink, holder.replacedFor], [true, null]);
  });

  it("is refused by those that share the tunnel, of which one answers, and takes over from all by force", async () => {
    const [one, two] = [
      await claimed({ claimant: machine, share: true }),
      await claimed({ claimant: other, share: true }),
    ];
    const third = claimed();
    one.answerPing(false);
    two.answerPing(true);
    await assert.rejects(third, isTaken(/: 2 agents share the tunnel: start this one with --share, too, or take/));
    assert.deepEqual(sessions(), [one, two]);
    const winner = await claimed({ force: true });
    assert.deepEqual(sessions(), [winner]);
    assert.deepEqual([one.replacedFor, two.replacedFor].map((why) => /by force/.test(why ?? "")), [true, true]);
    assert.equal(replaced.length, 2);
  });
});

describe("A claim with share", () => {
  it("serves the tunnel beside others that share it, without asking them, until each has ended", async () => {
    const [one, two] = [await claimed({ share: true }), await claimed({ share: true })];
    assert.deepEqual([sessions(), one.pingedFor, tunnels.online], [[one, two], null, 1]);
    one.close("gone");
    await one.closed;
    await Promise.resolve();
    assert.deepEqual([sessions(), tunnels.online], [[two], 1]);
    two.close("gone");
    await two.closed;
    await Promise.resolve();
    assert.deepEqual([sessions(), tunnels.online], [[], 0]);
  });

  it("is refused by an agent that serves the tunnel alone, with what to do", async () => {
    const holder = await claimed();
    const second = claimed({ share: true });
    holder.answerPing(true);
    await assert.rejects(second, isTaken(/: it does not share the tunnel: start it with --share, too, or stop it$/));
    assert.deepEqual(sessions(), [holder]);
  });

  it("is refused for another owner", async () => {
    await claimed({ share: true });
    const stranger = tunnels.claim("shop", "somebody", new FakeSession("x"), { share: true });
    await assert.rejects(stranger, isTaken(/belongs to another owner/));
  });

  it("is refused to a session that shares no more, as long as others do", async () => {
    const [one, two] = [await claimed({ share: true }), await claimed({ share: true })];
    const alone = claimed({}, "shop", two);
    one.answerPing(true);
    await assert.rejects(alone, isTaken(/it shares|agents share/));
    one.close("gone");
    await one.closed;
    await Promise.resolve();
    await claimed({}, "shop", two);
    const third = claimed({ share: true });
    two.answerPing(true);
    await assert.rejects(third, isTaken(/does not share/));
  });

  it("leaves the tunnel to the newer session of an agent, and to others beside it", async () => {
    const claimant = agent({ key: "the-key-of-one-agent" });
    const [before, beside] = [await claimed({ claimant, share: true }), await claimed({ share: true })];
    const after = await claimed({ claimant, share: true });
    assert.deepEqual(sessions(), [beside, after]);
    assert.deepEqual([before.replacedFor, before.closedFor], [null, null]);
  });

  it("takes the place of one that leaves", async () => {
    const holder = await claimed({ share: true });
    holder.isLeaving = true;
    assert.deepEqual(sessions(), [holder]);
    assert.deepEqual([await claimed({ share: true })], sessions());
  });
});

describe("Tunnels.onServed", () => {
  it("tells of a tunnel that a session gets, and of all tunnels of one that is back", async () => {
    const session = await claimed();
    await claimed({}, "blog", session);
    assert.deepEqual(served, ["shop", "blog"]);
    session.suspend(true);
    assert.equal(tunnels.online, 0);
    assert.equal(served.length, 2);
    session.suspend(false);
    assert.deepEqual(served.slice(2), ["shop", "blog"]);
    tunnels.giveBack("blog", session);
    session.suspend(true);
    session.suspend(false);
    assert.deepEqual(served.slice(4), ["shop"]);
  });
});
