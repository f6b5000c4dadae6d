import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import { Agent, type AgentOptions } from "../../src/agent/agent.ts";
import { Backoff } from "../../src/base/backoff.ts";
import { AgentError, type AgentErrorCode } from "../../src/agent/errors.ts";
import type { OpenTunnel } from "../../src/agent/open_tunnel.ts";
import type { Session, SessionEnd } from "../../src/session/session.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";

class FakeSession implements Session {
  readonly active = 0;
  readonly closed: Promise<SessionEnd>;
  closedFor: string | null = null;
  drained = false;
  end!: (end: SessionEnd) => void;

  constructor() {
    this.closed = new Promise((resolve) => this.end = resolve);
  }

  drain(): Promise<void> {
    this.drained = true;
    this.end({ code: "closed", reason: "drained" });
    return Promise.resolve();
  }

  close(reason: string): void {
    this.closedFor = reason;
    this.end({ code: "closed", reason });
  }
}

/** What one attempt does: a refusal, or a session. */
type Outcome = AgentErrorCode | FakeSession;

describe("Agent", () => {
  let clock: FakeClock;
  let told: string[];
  let attempts: number[];
  let outcomes: Outcome[];
  beforeEach(() => {
    clock = new FakeClock();
    told = [];
    attempts = [];
    outcomes = [];
  });

  const create = (options: Partial<AgentOptions> = {}) =>
    new Agent({
      open: () => {
        attempts.push(clock.now());
        const outcome = outcomes.shift() ?? "edge_unreachable";
        if (!(outcome instanceof FakeSession)) return Promise.reject(new AgentError(outcome, outcome));
        return Promise.resolve<OpenTunnel>({ session: outcome, url: "http://a", name: "a", tunnelId: "a" });
      },
      backoff: new Backoff(1_000, 30_000, () => 0.999_999_999),
      events: {
        onConnecting: (attempt, inMs, { code }) => void told.push(`first attempt ${attempt} in ${inMs}: ${code}`),
        onReady: () => void told.push("ready"),
        onDisconnected: ({ reason }) => void told.push(`disconnected: ${reason}`),
        onReconnecting: (attempt, inMs, because) => void told.push(`attempt ${attempt} in ${inMs}: ${because?.code}`),
      },
      clock,
      ...options,
    });
  /** Waits until everything is done that needs no time. */
  const flush = () => new Promise((resolve) => setImmediate(resolve));
  const pass = async (ms: number) => {
    await flush();
    clock.advance(ms);
    await flush();
  };

  it("tries the first connection for its time, with short pauses, then gives up", async () => {
    const run = create({ connectTimeoutMs: 2_000 }).run();
    const failed = assert.rejects(run, { code: "edge_unreachable" });
    for (let step = 0; step < 8; step++) await pass(250);
    await failed;
    assert.equal(clock.now(), 2_000);
    assert.deepEqual(attempts, [0, 250, 750, 1_500]);
    assert.equal(clock.pending, 0);
  });

  it("gives a first dial that hangs up when its time is over", async () => {
    const signals: AbortSignal[] = [];
    const hang = (signal: AbortSignal): Promise<OpenTunnel> => {
      signals.push(signal);
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new AgentError("edge_unreachable", "given up")));
      });
    };
    const run = create({ connectTimeoutMs: 2_000, open: hang }).run();
    const failed = assert.rejects(run, { code: "edge_unreachable" });
    await pass(1_999);
    assert.equal(signals[0].aborted, false);
    await pass(1);
    await failed;
    assert.equal(signals.length, 1);
    assert.equal(clock.pending, 0);
  });

  for (const code of ["unauthorized", "name_taken", "bad_name", "protocol_mismatch", "refused"] as const) {
    it(`rejects at once when the first answer is ${code}`, async () => {
      outcomes = [code];
      await assert.rejects(create().run(), { code });
      assert.equal(attempts.length, 1);
    });
  }

  it("tries on when the edge looks at no token just now, and ends with that when its time is over", async () => {
    outcomes = ["too_many_attempts", "edge_unreachable", "too_many_attempts"];
    const failed = assert.rejects(create({ connectTimeoutMs: 1_000 }).run(), { code: "too_many_attempts" });
    for (const ms of [250, 500, 250]) await pass(ms);
    await failed;
    assert.deepEqual(told, [
      "first attempt 2 in 250: too_many_attempts",
      "first attempt 3 in 500: edge_unreachable",
      "first attempt 4 in 250: too_many_attempts",
    ]);
  });

  it("ends at once when the cause does not pass, and not when it had a connection before", async () => {
    const lasting = new AgentError("edge_unreachable", "another program", undefined, { retryable: false });
    await assert.rejects(create({ open: () => Promise.reject(lasting) }).run(), lasting);
    const session = new FakeSession();
    const results = [session, lasting, lasting, new FakeSession()];
    const agent = create({
      open: () => {
        const result = results.shift()!;
        if (result instanceof AgentError) return Promise.reject(result);
        return Promise.resolve({ session: result, url: "http://a", name: "a", tunnelId: "a" });
      },
    });
    void agent.run();
    await flush();
    session.end({ code: "lost", reason: "" });
    for (const ms of [1_000, 2_000, 4_000]) await pass(ms);
    assert.deepEqual([results.length, told.at(-1)], [0, "ready"]);
    agent.close();
  });

  it("waits for ever, whatever the edge answers, when its time is infinite, but for a wrong call", async () => {
    const session = new FakeSession();
    const causes = ["unauthorized", "name_taken", "protocol_mismatch", "refused", "too_many_attempts"] as const;
    outcomes = [...causes, session, ...causes, "bad_name"];
    const run = create({ connectTimeoutMs: Infinity }).run();
    const failed = assert.rejects(run, { code: "bad_name" });
    for (let count = 0; count < causes.length; count++) await pass(30_000);
    assert.deepEqual(told.map((line) => line.split(": ").at(-1)), [...causes, "ready"]);
    clock.advance(100 * 24 * 3_600_000);
    session.end({ code: "lost", reason: "" });
    for (let count = 0; count <= causes.length; count++) await pass(30_000);
    await failed;
    assert.equal(clock.pending, 0);
  });

  it("goes on within its time when the edge looks at no token just now", async () => {
    outcomes = ["too_many_attempts", "too_many_attempts", new FakeSession()];
    const agent = create({ connectTimeoutMs: 2_000 });
    const run = agent.run();
    for (let step = 0; step < 4; step++) await pass(250);
    assert.deepEqual([attempts, told.at(-1)], [[0, 250, 750], "ready"]);
    agent.close();
    await run;
  });

  it("ends with replaced when another agent took its name", async () => {
    const session = new FakeSession();
    outcomes = [session];
    const failed = assert.rejects(create({ connectTimeoutMs: Infinity }).run(), {
      code: "replaced",
      reason: "by force",
    });
    await flush();
    session.end({ code: "replaced", reason: "by force" });
    await failed;
    assert.deepEqual(told, ["ready", "disconnected: by force"]);
    assert.equal(clock.pending, 0);
  });

  it("comes back for ever once it was connected, with the backoff's pauses", async () => {
    const session = new FakeSession();
    outcomes = [session, "edge_unreachable", "name_taken", "too_many_attempts", new FakeSession()];
    const agent = create();
    void agent.run();
    await flush();
    session.end({ code: "lost", reason: "gone" });
    for (const ms of [1_000, 2_000, 4_000, 8_000]) await pass(ms);
    assert.deepEqual(told, [
      "ready",
      "disconnected: gone",
      "attempt 1 in 1000: undefined",
      "attempt 2 in 2000: edge_unreachable",
      "attempt 3 in 4000: name_taken",
      "attempt 4 in 8000: too_many_attempts",
      "ready",
    ]);
    agent.close();
  });

  it("rejects when the edge refuses for good after it was connected", async () => {
    const session = new FakeSession();
    outcomes = [session, "unauthorized"];
    const failed = assert.rejects(create().run(), { code: "unauthorized" });
    await flush();
    session.end({ code: "lost", reason: "" });
    await pass(1_000);
    await failed;
  });

  it("starts the backoff and the count of attempts anew only behind a session that has lived 10 s", async () => {
    const sessions = [new FakeSession(), new FakeSession(), new FakeSession(), new FakeSession()];
    outcomes = [...sessions];
    const agent = create();
    void agent.run();
    for (const [index, lifeMs] of [9_999, 10_000, 0].entries()) {
      await pass(lifeMs);
      sessions[index].end({ code: "lost", reason: "" });
      await pass(30_000);
    }
    assert.deepEqual(told.filter((line) => line.startsWith("attempt")), [
      "attempt 1 in 1000: undefined",
      "attempt 1 in 1000: undefined",
      "attempt 2 in 2000: undefined",
    ]);
    agent.close();
  });

  it("drains its session, and ends", async () => {
    const session = new FakeSession();
    outcomes = [session];
    const agent = create();
    const run = agent.run();
    await flush();
    assert.equal(agent.tunnel?.session, session);
    await agent.drain();
    await run;
    assert.equal(session.drained, true);
    assert.equal(agent.tunnel, null);
    assert.deepEqual(told, ["ready"]);
    assert.equal(clock.pending, 0);
  });

  for (const stop of ["drain", "close"] as const) {
    it(`ends at once when it is told to ${stop} while it waits`, async () => {
      const session = new FakeSession();
      outcomes = [session];
      const agent = create();
      const run = agent.run();
      await flush();
      session.end({ code: "lost", reason: "" });
      await flush();
      await agent[stop]();
      await run;
      assert.equal(attempts.length, 1);
      assert.equal(clock.pending, 0);
    });
  }

  it("closes a tunnel that opens when it was told to stop meanwhile", async () => {
    const session = new FakeSession();
    let open!: (tunnel: OpenTunnel) => void;
    const agent = create({ open: () => new Promise((resolve) => open = resolve) });
    const run = agent.run();
    await flush();
    agent.close();
    open({ session, url: "", name: "a", tunnelId: "a" });
    await run;
    await eventually(() => session.closedFor !== null);
    assert.deepEqual(told, []);
  });

  describe("renew", () => {
    let open: (outcome: OpenTunnel | AgentError) => void;
    let agent: Agent;
    let run: Promise<void>;
    /** An agent with a session whose next attempts end when the test says so. */
    const connected = async (first: FakeSession) => {
      const tunnelOf = (session: FakeSession) => ({ session, url: "http://a", name: "a", tunnelId: "a" });
      let isFirst = true;
      agent = create({
        open: () => {
          if (isFirst) {
            isFirst = false;
            return Promise.resolve(tunnelOf(first));
          }
          return new Promise((resolve, reject) => {
            open = (outcome) => outcome instanceof AgentError ? reject(outcome) : resolve(outcome);
          });
        },
      });
      run = agent.run();
      await flush();
      return tunnelOf;
    };

    it("puts another session in the place of the first, which finishes what runs on it", async () => {
      const [first, second] = [new FakeSession(), new FakeSession()];
      first.drain = () => {
        first.drained = true;
        return first.closed.then(() => {});
      };
      const tunnelOf = await connected(first);
      const renewed = agent.renew();
      assert.equal(first.drained, false);
      assert.equal(agent.renew(), renewed);
      open(tunnelOf(second));
      assert.equal(await renewed, null);
      assert.equal(agent.tunnel?.session, second);
      assert.equal(first.drained, true);
      assert.deepEqual(told, ["ready", "ready"]);
      first.end({ code: "closed", reason: "drained" });
      await flush();
      assert.deepEqual(told, ["ready", "ready"]);
      second.end({ code: "lost", reason: "gone" });
      await flush();
      assert.deepEqual(told.slice(2), ["disconnected: gone", "attempt 1 in 1000: undefined"]);
      agent.close();
      await run;
      assert.equal(clock.pending, 0);
    });

    it("leaves the first session alone where no other one can be opened", async () => {
      const first = new FakeSession();
      await connected(first);
      const renewed = agent.renew();
      open(new AgentError("unauthorized", "refused"));
      assert.equal((await renewed)?.code, "unauthorized");
      assert.deepEqual([agent.tunnel?.session, first.drained], [first, false]);
      agent.close();
      await run;
      assert.deepEqual(told, ["ready"]);
    });

    for (const code of ["lost", "replaced"]) {
      it(`serves with the other session when the first has ended meanwhile (${code})`, async () => {
        const [first, second] = [new FakeSession(), new FakeSession()];
        const tunnelOf = await connected(first);
        const renewed = agent.renew();
        first.end({ code, reason: "" });
        await flush();
        open(tunnelOf(second));
        await renewed;
        await flush();
        assert.equal(agent.tunnel?.session, second);
        assert.deepEqual(told, ["ready", "ready"]);
        agent.close();
        await run;
      });
    }

    it("reconnects when the first session has ended and no other one came about", async () => {
      const first = new FakeSession();
      await connected(first);
      const renewed = agent.renew();
      first.end({ code: "lost", reason: "gone" });
      open(new AgentError("edge_unreachable", "down"));
      await renewed;
      await flush();
      assert.deepEqual(told, ["ready", "disconnected: gone", "attempt 1 in 1000: undefined"]);
      agent.close();
      await run;
    });

    it("does nothing while there is no session", async () => {
      assert.equal(await create().renew(), null);
      assert.deepEqual(attempts, []);
    });

    for (const stop of ["drain", "close"] as const) {
      it(`ends both sessions at ${stop}, and one that opens afterwards`, async () => {
        const [first, second, late] = [new FakeSession(), new FakeSession(), new FakeSession()];
        first.drain = () => first.closed.then(() => {});
        const tunnelOf = await connected(first);
        const renewed = agent.renew();
        open(tunnelOf(second));
        await renewed;
        void agent.renew();
        const stopped = agent[stop]();
        open(tunnelOf(late));
        await flush();
        if (stop === "drain") {
          assert.equal(second.drained, true);
          first.end({ code: "closed", reason: "drained" });
        } else {
          assert.deepEqual([first, second].map(({ closedFor }) => closedFor !== null), [true, true]);
        }
        await stopped;
        await run;
        await eventually(() => late.closedFor !== null);
        assert.equal(clock.pending, 0);
      });
    }
  });

  it("passes on what is no refusal of the edge's", async () => {
    await assert.rejects(create({ open: () => Promise.reject(new TypeError("a bug")) }).run(), /a bug/);
  });
});
