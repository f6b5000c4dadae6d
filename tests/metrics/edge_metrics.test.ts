import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Edge, EdgeOptions } from "../../src/edge/edge.ts";
import { EdgeMetrics, MAX_PIECE_SAMPLES, MAX_SCRAPES } from "../../src/metrics/edge_metrics.ts";
import { edgeMetrics } from "../../src/metrics/of_edge.ts";
import { tunnelMetrics } from "../../src/metrics/of_tunnels.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { get } from "../support/public_client.ts";
import { Relay } from "../support/relay.ts";
import { protocols, publicSide, startTestAgent, startTestEdge, startV2Agent } from "../support/tunnel.ts";

interface Stage {
  readonly edge: Edge;
  readonly metrics: EdgeMetrics;
  readonly clock: FakeClock;
  /** The value of each sample, by its line without the value. */
  scrape(): Promise<Map<string, number>>;
}

async function onStage(
  declared: readonly string[],
  options: Partial<EdgeOptions>,
  use: (stage: Stage) => Promise<void>,
): Promise<void> {
  const edge = await startTestEdge(options);
  const clock = new FakeClock();
  const metrics = new EdgeMetrics({ edge, version: "1.2.3", declared: () => declared, clock });
  try {
    await use({ edge, metrics, clock, scrape: async () => samplesIn(await textOf(metrics)) });
  } finally {
    await edge.close();
  }
}

async function textOf(metrics: EdgeMetrics): Promise<string> {
  let text = "";
  for await (const piece of metrics.pieces()) text += piece;
  return text;
}

const isSample = (line: string) => line !== "" && !line.startsWith("#");

function samplesIn(text: string): Map<string, number> {
  return new Map(
    text.split("\n").filter(isSample).map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

const names = (count: number) => Array.from({ length: count }, (_, index) => `tunnel-${index}`);

describe("EdgeMetrics", () => {
  it("tell tunnels and sessions apart whose links are lost", () =>
    onStage(["declared"], {}, async ({ edge, scrape }) => {
      const relay = await Relay.start({ kind: "tcp", host: "127.0.0.1", port: edge.address.port });
      const ok = () => Promise.resolve({ status: 200, fields: [], body: null });
      const agents = [
        await startV2Agent(edge, ok, { port: relay.port }),
        await startV2Agent(edge, ok, { name: "blog" }),
      ];
      relay.block();
      await eventually(() => edge.sessions().some(({ isSuspended }) => isSuspended));
      const samples = await scrape();
      const states = ["online", "suspended", "offline"].map((state) => samples.get(`runnel_tunnels{state="${state}"}`));
      assert.deepEqual(states, [1, 1, 1]);
      assert.deepEqual([samples.get("runnel_suspended_sessions"), samples.get('runnel_sessions{protocol="v2"}')], [
        1,
        2,
      ]);
      for (const agent of agents) agent.close();
      await relay.close();
    }));

  it("has the figures of each tunnel, in seconds and bytes", () =>
    onStage(["shop", "idle"], {}, async ({ edge, clock, scrape }) => {
      const { traffic } = edge.figures.tunnels(["shop"])[0]!;
      traffic.active = 3;
      for (const [status, ms] of [[200, 10], [200, 700], [404, 400_000], [0, 0.5]] as const) {
        traffic.active++;
        traffic.ended(status, ms);
      }
      traffic.answered(250, 2_000);
      traffic.bytesIn = 70;
      traffic.brokenAnswers = 1;
      traffic.visitorWait.begin(0);
      traffic.creditWait.begin(0);
      traffic.creditWait.end(0, 40);
      clock.advance(1_500);
      const samples = await scrape();
      const of = (name: string, labels = "") => samples.get(`${name}{${labels}tunnel="shop"}`);
      const statuses = ["canceled", "1xx", "2xx", "3xx", "4xx", "5xx"].map((status) =>
        of("runnel_requests_total", `status="${status}",`)
      );
      assert.deepEqual(statuses, [1, 0, 2, 0, 1, 0]);
      const bounds = ["0.01", "0.05", "0.1", "0.5", "1", "5", "30", "300", "+Inf"];
      const buckets = bounds.map((le) => of("runnel_request_duration_seconds_bucket", `le="${le}",`));
      assert.deepEqual(buckets, [2, 2, 2, 2, 3, 3, 3, 3, 4]);
      assert.deepEqual(
        [of("runnel_request_duration_seconds_sum"), of("runnel_request_duration_seconds_count")],
        [400.7105, 4],
      );
      assert.deepEqual([of("runnel_first_byte_seconds_sum"), of("runnel_first_byte_seconds_count")], [0.25, 1]);
      const others = Object.entries({
        runnel_tunnel_up: 0,
        runnel_active_requests: 3,
        runnel_request_bytes_total: 70,
        runnel_response_bytes_total: 2_000,
        runnel_broken_answers_total: 1,
        runnel_stalled_answers: 1,
        runnel_stalled_seconds_total: 1.5,
        runnel_window_blocked_streams: 0,
        runnel_window_blocked_seconds_total: 0.04,
      });
      assert.deepEqual(others.map(([name]) => [name, of(name)]), others);
      assert.equal(samples.get('runnel_tunnels{state="offline"}'), 2);
      assert.equal(samples.get('runnel_active_requests{tunnel="idle"}'), 0);
    }));

  it("has HELP and TYPE of each metric once, and its samples behind them", () =>
    onStage(names(100), {}, async ({ metrics }) => {
      const all = [...edgeMetrics, ...tunnelMetrics];
      let current = "";
      const seen: string[] = [];
      for (const line of (await textOf(metrics)).split("\n").filter((line) => line !== "")) {
        const [, kind, name = ""] = /^# (HELP|TYPE) (\S+)/.exec(line) ?? [];
        if (kind === "HELP") seen.push(current = name);
        else if (kind === "TYPE") assert.equal(name, current);
        else assert.match(line, new RegExp(`^${current}(?:_bucket|_sum|_count)?(?:\\{.*\\})? -?[0-9.e+-]+$`));
      }
      assert.deepEqual(seen, all.map(({ name }) => name));
    }));

  it("gives each metric at most as many samples of one tunnel as it says", () =>
    onStage(["a"], {}, async ({ metrics }) => {
      const lines = (await textOf(metrics)).split("\n").filter(isSample);
      for (const { name, samples } of [...edgeMetrics, ...tunnelMetrics]) {
        const count = lines.filter((line) => new RegExp(`^${name}(?:_bucket|_sum|_count)?[ {]`).test(line)).length;
        assert.ok(count <= samples, `${name}: ${count}`);
      }
    }));

  for (const protocol of protocols) {
    it(`has the sessions and the link of a tunnel on ${protocol}`, () =>
      onStage([], {}, async ({ edge, scrape }) => {
        const agent = await startTestAgent(
          edge,
          () => Promise.resolve({ status: 204, fields: [], body: null }),
          "shop",
          protocol,
        );
        try {
          assert.equal(await edge.tunnels.get("shop")!.session!.ping(10_000), true);
          await get(publicSide(edge, "shop"));
          await eventually(() => edge.tunnels.get("shop")!.traffic.byStatus[2] === 1);
          const samples = await scrape();
          assert.equal(samples.get('runnel_tunnel_up{tunnel="shop"}'), 1);
          assert.equal(samples.get('runnel_requests_total{status="2xx",tunnel="shop"}'), 1);
          assert.ok(samples.get('runnel_link_rtt_seconds{tunnel="shop"}')! > 0);
          assert.equal(samples.get('runnel_session_buffered_bytes{tunnel="shop"}'), 0);
          const sessions = ["v2", "json"].map((name) => samples.get(`runnel_sessions{protocol="${name}"}`));
          assert.deepEqual(sessions, protocol === "v2" ? [1, 0] : [0, 1]);
          assert.equal(samples.get('runnel_tunnels{state="online"}'), 1);
          assert.ok(samples.get("runnel_visitor_connections")! >= 0);
        } finally {
          agent.close();
        }
      }));
  }

  it("has the edge and its process", () =>
    onStage([], {}, async ({ edge, metrics, scrape }) => {
      const samples = await scrape();
      const info = [...samples.keys()].find((line) => line.startsWith("runnel_build_info"));
      assert.match(info!, /^runnel_build_info\{version="1\.2\.3",runtime="(?:bun|deno) [\d.]+"\}$/);
      assert.ok(samples.get("process_cpu_seconds_total")! > 0);
      assert.ok(samples.get("process_resident_memory_bytes")! > 1_000_000);
      assert.ok(Math.abs(samples.get("process_start_time_seconds")! - Date.now() / 1_000) < 24 * 3_600);
      assert.ok(samples.get("runnel_open_sockets")! >= 0);
      assert.ok(samples.get("runnel_event_loop_delay_seconds")! >= 0);
      const before = samples.get('runnel_own_requests_total{status="4xx"}')!;
      assert.equal(samples.get("runnel_ready"), 1);
      await get(publicSide(edge, "nobody"));
      await eventually(async () => (await scrape()).get('runnel_own_requests_total{status="4xx"}') === before + 1);
      await edge.drain();
      assert.match(await textOf(metrics), /^runnel_ready 0$/m);
    }));

  it("counts the tunnels for which there is no room as one", () =>
    onStage(names(5), { maxCountedTunnels: 2 }, async ({ edge, scrape }) => {
      for (const [index, { traffic }] of edge.figures.tunnels(names(5)).entries()) traffic.bytesIn += 10 ** index;
      const samples = await scrape();
      const bytes = [...samples].filter(([line]) => line.startsWith("runnel_request_bytes_total"));
      assert.deepEqual(bytes, [
        ['runnel_request_bytes_total{tunnel="tunnel-0"}', 1],
        ['runnel_request_bytes_total{tunnel="tunnel-1"}', 10],
        ['runnel_request_bytes_total{tunnel="_other"}', 11_100],
      ]);
      assert.equal(samples.get('runnel_tunnels{state="offline"}'), 5);
      assert.equal(samples.has('runnel_tunnel_up{tunnel="_other"}'), false);
    }));

  it("forgets a tunnel when nobody declares it any more", () => {
    const declared = ["old"];
    return onStage(declared, {}, async ({ scrape }) => {
      assert.equal((await scrape()).has('runnel_active_requests{tunnel="old"}'), true);
      declared[0] = "new";
      const samples = await scrape();
      assert.equal(samples.has('runnel_active_requests{tunnel="old"}'), false);
      assert.equal(samples.has('runnel_active_requests{tunnel="new"}'), true);
    });
  });
});

describe("A scrape of 1,000 tunnels", () => {
  /** Counts the turns of the event loop while `act` runs. */
  async function countingTurns(act: (turn: () => number) => Promise<void>): Promise<void> {
    let turn = 0;
    let isOver = false;
    const next = () => {
      turn++;
      if (!isOver) setImmediate(next);
    };
    next();
    try {
      await act(() => turn);
    } finally {
      isOver = true;
    }
  }

  it("comes in pieces of 250 samples at most, each in a turn of its own, also where two ask", () =>
    onStage(names(1_000), {}, ({ metrics }) =>
      countingTurns(async (turn) => {
        const turns: number[] = [];
        const take = async () => {
          let samples = 0;
          for await (const piece of metrics.pieces()) {
            turns.push(turn());
            const count = piece.split("\n").filter(isSample).length;
            assert.ok(count > 0 || samples > 0);
            assert.ok(count <= MAX_PIECE_SAMPLES, `${count} samples`);
            samples += count;
          }
          return samples;
        };
        const [first, second] = await Promise.all([take(), take()]);
        assert.equal(first, second);
        assert.ok(first > 20_000, `${first} samples`);
        assert.equal(new Set(turns).size, turns.length);
      })));

  it("is refused when eight are under way, and taken again when one of them has ended", () =>
    onStage(names(1_000), {}, async ({ metrics }) => {
      const answers = await Promise.all(Array.from({ length: MAX_SCRAPES }, () => metrics.answer()));
      assert.equal(await metrics.answer(), null);
      assert.equal((await metrics.answer(true))!.body, null);
      await answers[0]!.body!.cancel();
      const again = await metrics.answer();
      assert.match(again!.headers.get("content-type")!, /^text\/plain; version=0\.0\.4; charset=utf-8$/);
      assert.equal(samplesIn(await again!.text()).get('runnel_tunnels{state="offline"}'), 1_000);
      assert.notEqual(await metrics.answer(), null);
      assert.equal(await metrics.answer(), null);
    }));
});
