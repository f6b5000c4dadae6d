/** Which agent gets a request for a tunnel that several share, and which requests may move to another one. */
import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { CancelSource } from "../../src/base/mod.ts";
import { SharedWork } from "../../src/edge/shared_work.ts";
import { TunnelHolder, unknownClaimant } from "../../src/edge/tunnel_holder.ts";
import { type Answer, type Body, ExchangeError, type ProblemCode, type RequestHead } from "../../src/http/mod.ts";
import { requestHead } from "../support/client_requests.ts";
import { FakeClock } from "../support/clock.ts";
import { FakeSession } from "../support/fake_session.ts";

const ok: Answer = { status: 200, fields: [], body: null };

let clock: FakeClock;
let work: SharedWork;
let sessions: FakeSession[];
let holders: TunnelHolder[];
/** What each agent answers. Default: 200. */
let answers: Map<TunnelHolder, () => Promise<Answer>>;
let asked: string[];

beforeEach(() => {
  clock = new FakeClock();
  work = new SharedWork(clock);
  sessions = ["a", "b", "c"].map((id) => new FakeSession(id));
  holders = sessions.map((session) => {
    return new TunnelHolder({
      name: "shop",
      session,
      claimant: unknownClaimant,
      isShared: true,
      timeouts: undefined,
      isKept: () => true,
    });
  });
  answers = new Map();
  asked = [];
});

const nobody = new CancelSource();

function ask(more: Partial<RequestHead> = {}, body: Body = null, signal = nobody): Promise<Answer> | null {
  return work.ask(() => holders, requestHead(more), body, signal, (holder) => {
    asked.push(holder.session.id);
    return answers.get(holder)?.() ?? Promise.resolve(ok);
  });
}

/** Who is asked by so many requests one after the other. */
async function askedBy(count: number, more: Partial<RequestHead> = {}, body: Body = null): Promise<string> {
  asked = [];
  for (let index = 0; index < count; index++) await ask(more, body)?.catch(() => {});
  return asked.join("");
}

const fails = (index: number, code: ProblemCode) => {
  answers.set(holders[index]!, () => Promise.reject(new ExchangeError(code, "for the test")));
};

describe("SharedWork", () => {
  it("asks the agent with the fewest exchanges of the tunnel, and of several the one that waited longest", async () => {
    assert.equal(await askedBy(6), "abcabc");
    holders[0]!.outstanding = 2;
    holders[1]!.outstanding = 1;
    assert.equal(await askedBy(2), "cc");
    holders[2]!.outstanding = 1;
    assert.equal(await askedBy(3), "bcb");
  });

  it("passes over an agent that leaves or is suspended, and asks nobody where all do", async () => {
    sessions[0]!.isLeaving = true;
    sessions[2]!.suspend(true);
    assert.equal(await askedBy(2), "bb");
    sessions[1]!.suspend(true);
    assert.equal(ask(), null);
    sessions[2]!.suspend(false);
    assert.equal(await askedBy(1), "c");
  });

  for (const code of ["tunnel_offline", "agent_lost", "overloaded", "upstream_refused"] as const) {
    it(`moves a request to another agent once when the first one has given ${code}`, async () => {
      fails(0, code);
      assert.equal((await ask())!.status, 200);
      assert.deepEqual(asked, ["a", "b"]);
      fails(1, code);
      fails(2, code);
      assert.equal((await askedBy(1)).length, 2);
    });
  }

  for (const code of ["upstream_closed", "upstream_timeout", "upstream_invalid", "bad_request"] as const) {
    it(`moves no request when the first agent has given ${code}: its upstream may have begun`, async () => {
      fails(0, code);
      await assert.rejects(ask()!, (error) => error instanceof ExchangeError && error.code === code);
      assert.deepEqual(asked, ["a"]);
    });
  }

  for (const method of ["GET", "HEAD", "OPTIONS"]) {
    it(`moves ${method} without a body, and not with one`, async () => {
      fails(0, "agent_lost");
      assert.equal(await askedBy(1, { method }), "ab");
      holders[1]!.turn = holders[2]!.turn = 100;
      assert.equal(await askedBy(1, { method }, new Uint8Array(1)), "a");
    });
  }

  for (const more of [{ method: "POST" }, { method: "PUT" }, { method: "DELETE" }, { upgrade: "websocket" }]) {
    it(`never moves ${more.method ?? more.upgrade}`, async () => {
      fails(0, "agent_lost");
      assert.equal(await askedBy(1, more), "a");
    });
  }

  it("moves no request of which something was answered, informational included", async () => {
    const informed: number[] = [];
    let inform!: NonNullable<RequestHead["onInformational"]>;
    const head = requestHead({ onInformational: (status) => void informed.push(status) });
    const failed = work.ask(() => holders, head, null, nobody, (holder, head) => {
      asked.push(holder.session.id);
      inform = head.onInformational!;
      inform(103, []);
      return Promise.reject(new ExchangeError("agent_lost", "for the test"));
    });
    await assert.rejects(failed!);
    assert.deepEqual([asked, informed], [["a"], [103]]);
  });

  it("moves no request whose visitor has left, and none where no other agent takes it", async () => {
    fails(0, "agent_lost");
    const signal = new CancelSource();
    signal.abort("gone");
    await assert.rejects(ask({}, null, signal)!);
    assert.deepEqual(asked, ["a"]);
    for (const session of sessions.slice(1)) session.suspend(true);
    assert.equal(await askedBy(1), "a");
  });

  it("asks others while an upstream refuses, and tries it again after 5 s with one request, which can move", async () => {
    fails(0, "upstream_refused");
    assert.equal(await askedBy(5), "abcbcb");
    clock.advance(4_999);
    assert.doesNotMatch(await askedBy(4), /a/);
    clock.advance(1);
    assert.match(await askedBy(3), /^a[bc]{3}$/);
    clock.advance(5_000);
    answers.clear();
    assert.equal((await askedBy(4)).replace(/[bc]/g, "").length, 2);
  });

  it("tries an upstream that refused with a request that cannot move after 30 s, and not before", async () => {
    fails(0, "upstream_refused");
    assert.equal(await askedBy(1, { method: "POST" }), "a");
    clock.advance(29_999);
    assert.doesNotMatch(await askedBy(4, { method: "POST" }), /a/);
    clock.advance(1);
    assert.match(await askedBy(1, { method: "POST" }), /^a$/);
    assert.doesNotMatch(await askedBy(4, { method: "POST" }), /a/);
  });

  it("asks all the same where every upstream refuses", async () => {
    for (const index of [0, 1, 2]) fails(index, "upstream_refused");
    assert.equal((await askedBy(3, { method: "POST" })).length, 3);
    assert.equal((await askedBy(3, { method: "POST" })).length, 3);
    answers.clear();
    assert.equal((await askedBy(1)).length, 1);
    assert.deepEqual(holders.map(({ isDown }) => isDown).filter((isDown) => !isDown).length, 1);
  });
});
