/** What Prometheus' own parser makes of the metrics: that of its client for Python. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { pythonPeer } from "../../scripts/lib/peers.mjs";
import { EdgeMetrics } from "../../src/metrics/mod.ts";
import { edgeMetrics } from "../../src/metrics/of_edge.ts";
import { tunnelMetrics } from "../../src/metrics/of_tunnels.ts";
import { missingPythonPeer } from "../support/peers.ts";
import { startTestEdge } from "../support/tunnel.ts";

const script = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families
json.dump([
    [family.name, family.type, family.documentation, [[s.name, s.labels, s.value] for s in family.samples]]
    for family in text_string_to_metric_families(sys.stdin.read())
], sys.stdout)
`;

type Family = [name: string, type: string, help: string, samples: [string, Record<string, string>, number][]];

async function parse(text: string): Promise<Family[]> {
  const child = spawn(pythonPeer("python")!, ["-c", script], { stdio: ["pipe", "pipe", "inherit"] });
  child.stdin.end(text);
  let answer = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => answer += chunk);
  await once(child, "close");
  return JSON.parse(answer);
}

describe("Prometheus' own parser", () => {
  it("reads every metric with its type, help and samples", { skip: missingPythonPeer("python") }, async () => {
    const edge = await startTestEdge();
    const declared = ["shop", "second"];
    for (const { traffic } of edge.figures.tunnels(declared)) {
      traffic.active = 3;
      traffic.ended(200, 20);
      traffic.answered(1e-7, 2 ** 53);
    }
    try {
      let text = "";
      const metrics = new EdgeMetrics({ edge, version: '1"\\\n', declared: () => declared });
      for await (const piece of metrics.pieces()) text += piece;
      const families = await parse(text);
      const told = [...edgeMetrics, ...tunnelMetrics].map(({ name, type, help }) => {
        // It tells counters without their ending.
        return [type === "counter" ? name.replace(/_total$/, "") : name, type, help];
      });
      assert.deepEqual(families.map(([name, type, help]) => [name, type, help]), told);
      const samples = families.flatMap(([, , , list]) => list);
      assert.equal(samples.length, text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length);
      const valueOf = (name: string, labels: Record<string, string>) => {
        return samples.find((sample) => {
          return sample[0] === name && Object.entries(labels).every(([key, value]) => sample[1][key] === value);
        })?.[2];
      };
      assert.equal(valueOf("runnel_build_info", { version: '1"\\\n' }), 1);
      assert.equal(valueOf("runnel_response_bytes_total", { tunnel: "second" }), 2 ** 53);
      assert.equal(valueOf("runnel_first_byte_seconds_sum", { tunnel: "shop" }), 1e-7 / 1_000);
      assert.equal(valueOf("runnel_request_duration_seconds_bucket", { tunnel: "shop", le: "0.05" }), 1);
      assert.equal(valueOf("runnel_request_duration_seconds_bucket", { tunnel: "shop", le: "+Inf" }), 1);
    } finally {
      await edge.close();
    }
  });
});
