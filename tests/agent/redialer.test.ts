/** The dials of a session that has lost its link: when they come, what ends them, and what a change of the network does. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AgentError } from "../../src/agent/errors.ts";
import { Redialer } from "../../src/agent/redialer.ts";
import { Connection, ErrorCode } from "../../src/httpstream/mod.ts";
import type { NetworkChange } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { linkPair } from "../support/link_pair.ts";

interface Dial {
  readonly at: number;
  readonly epoch: number;
  readonly connectTimeoutMs: number;
  readonly signal: AbortSignal;
  answer(isKnown: boolean): void;
  fail(error: AgentError): void;
}

const settle = async () => {
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
};

async function stage(random = () => 0.5) {
  const clock = new FakeClock();
  const links = linkPair();
  const connection = new Connection(links.agent, { role: "agent", clock, resumeTimeoutMs: 30_000 });
  const peer = new FramePeer(links.edge);
  await peer.greet();
  await connection.ready;
  const dials: Dial[] = [];
  const told: string[] = [];
  let networkChanged: (change: NetworkChange) => void = () => {};
  new Redialer({
    connection,
    clock,
    random,
    network: {
      listen(listener) {
        networkChanged = listener;
        return () => networkChanged = () => {};
      },
    },
    events: () => ({
      onSuspended: (reason) => told.push(`suspended: ${reason}`),
      onRedial: (attempt, inMs, because) => told.push(`${attempt} in ${inMs}: ${because?.reason ?? null}`),
      onResumed: (suspendedMs, streams) => told.push(`resumed after ${suspendedMs} with ${streams}`),
    }),
    dial: (epoch, connectTimeoutMs, signal) =>
      new Promise((answer, fail) => dials.push({ at: clock.now(), epoch, connectTimeoutMs, signal, answer, fail })),
  });
  const resume = () => {
    const next = linkPair();
    new FramePeer(next.edge);
    connection.resume(next.agent, connection.canResume(1) ? 1 : 2);
    dials.at(-1)!.answer(true);
  };
  return { clock, links, connection, dials, told, resume, network: (change: NetworkChange) => networkChanged(change) };
}

const refused = new AgentError("edge_unreachable", "Connection refused");

describe("Redialer", () => {
  it("Redialer dials at once, then after 0.1, 0.25, 0.5 and each second, with rising epochs, until the session is over", async () => {
    const { clock, connection, dials, told } = await stage();
    connection.detach("cut");
    for (let step = 0; step < 320; step++) {
      clock.advance(100);
      if (dials.at(-1)?.signal.aborted === false) dials.at(-1)!.fail(refused);
      await settle();
    }
    assert.deepEqual(dials.slice(0, 7).map(({ epoch }) => epoch), [1, 2, 3, 4, 5, 6, 7]);
    assert.deepEqual(dials.slice(0, 6).map(({ connectTimeoutMs }) => connectTimeoutMs), [
      2_000,
      2_000,
      4_000,
      4_000,
      8_000,
      10_000,
    ]);
    assert.deepEqual(told.slice(0, 7), [
      "suspended: cut",
      "1 in 50: null",
      "2 in 100: Connection refused",
      "3 in 250: Connection refused",
      "4 in 500: Connection refused",
      "5 in 1000: Connection refused",
      "6 in 1000: Connection refused",
    ]);
    const { error } = await connection.closed;
    assert.equal(error?.errorCode, ErrorCode.RESUME_EXPIRED);
    const count = dials.length;
    clock.advance(60_000);
    assert.equal(dials.length, count, "nobody dials for a session that is over");
  });

  it("Redialer spreads its dials by half of each pause, both ways", async () => {
    for (const [random, second] of [[0, 50], [0.999, 150]] as const) {
      const { clock, connection, dials, told } = await stage(() => random);
      connection.detach("cut");
      clock.advance(100);
      dials[0]!.fail(refused);
      await settle();
      assert.equal(told.at(-1), `2 in ${second}: Connection refused`);
      connection.close();
    }
  });

  it("Redialer starts its series anew only behind a link that has lived for 10 s", async () => {
    const { clock, connection, dials, told, resume } = await stage();
    connection.detach("cut");
    clock.advance(100);
    resume();
    assert.equal(told.at(-1), "resumed after 100 with 0");
    clock.advance(9_999);
    connection.detach("cut again");
    assert.equal(told.at(-1), "2 in 100: null");
    clock.advance(100);
    resume();
    clock.advance(10_000);
    connection.detach("cut at last");
    assert.equal(told.at(-1), "1 in 50: null");
    assert.equal(dials.length, 2);
    connection.close();
  });

  it("Redialer ends the session when the edge does not know it, or refuses the token", async () => {
    const unknown = await stage();
    unknown.connection.detach("cut");
    unknown.clock.advance(100);
    unknown.dials[0]!.answer(false);
    assert.match((await unknown.connection.closed).reason, /does not know the session any more/);

    const wrong = await stage();
    wrong.connection.detach("cut");
    wrong.clock.advance(100);
    wrong.dials[0]!.fail(new AgentError("unauthorized", "The token is wrong"));
    assert.equal((await wrong.connection.closed).reason, "The token is wrong");
  });

  it("Redialer gives the dial up when the session ends", async () => {
    const { clock, connection, dials } = await stage();
    connection.detach("cut");
    clock.advance(100);
    connection.close();
    await connection.closed;
    assert.equal(dials[0]!.signal.aborted, true);
  });

  it("Redialer dials at once when the network changes while it waits, in place of the dial before", async () => {
    const { clock, connection, dials, network } = await stage();
    connection.detach("cut");
    clock.advance(100);
    network({ kind: "addresses", addresses: new Set() });
    clock.advance(100);
    assert.deepEqual(dials.map(({ epoch, signal }) => [epoch, signal.aborted]), [[1, true], [2, false]]);
    dials[0]!.fail(refused);
    await settle();
    clock.advance(50);
    assert.equal(dials.length, 2, "the dial that was given up starts no other one");
    connection.close();
  });

  it("Redialer gives a link up behind a long sleep, and when it does not answer within 2 s of a change", async () => {
    const slept = await stage();
    slept.network({ kind: "sleep", sleptMs: 25_000 });
    assert.equal(slept.told[0], "suspended: The machine slept");
    slept.connection.close();

    const silent = await stage();
    silent.links.agent.swallowing = true;
    silent.network({ kind: "sleep", sleptMs: 24_999 });
    silent.clock.advance(1_999);
    assert.equal(silent.connection.isSuspended, false);
    silent.clock.advance(1);
    assert.equal(silent.connection.isSuspended, true);
    silent.connection.close();
  });
});
