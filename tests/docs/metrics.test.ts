/** docs/metrics.md beside the metrics that there are. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DEFAULT_MAX_COUNTED_TUNNELS } from "../../src/edge/traffic_table.ts";
import { DURATION_BOUNDS_MS } from "../../src/http/traffic.ts";
import { MAX_SCRAPES } from "../../src/metrics/edge_metrics.ts";
import type { Metric } from "../../src/metrics/metric.ts";
import { edgeMetrics } from "../../src/metrics/of_edge.ts";
import { REST_NAME, tunnelMetrics } from "../../src/metrics/of_tunnels.ts";
import { readPage } from "./page.ts";

const page = readPage("docs/metrics.md");
const all: readonly Metric<never>[] = [...edgeMetrics, ...tunnelMetrics];

describe("docs/metrics.md", () => {
  it("lists every metric with its type, labels and meaning, and no other", () => {
    const rowOf = ({ name, type, labels, help }: Metric<never>) => {
      const shown = labels.filter((label) => label !== "tunnel").map((label) => `\`${label}\``).join(", ");
      return `| \`${name}\` | ${type} | ${shown} | ${help} |`;
    };
    const listed = page.prose.filter((line) => /^\| `(?:runnel|process)_/.test(line));
    assert.deepEqual(listed.map((line) => line.replace(/ +/g, " ")), all.map((one) => rowOf(one).replace(/ +/g, " ")));
  });

  it("names only metrics that there are in its expressions", () => {
    const known = new Set(all.flatMap(({ name }) => [name, `${name}_sum`, `${name}_count`]));
    const named = page.text.match(/\brunnel_[a-z_]+/g)!;
    assert.deepEqual(named.filter((name) => !known.has(name)), []);
  });

  it("says how many series there are", () => {
    const count = tunnelMetrics.reduce((sum, { samples }) => sum + samples, 0);
    const text = page.text.replace(/\s+/g, " ");
    assert.ok(text.includes(`A tunnel has ${count} series.`), `${count}`);
    assert.ok(text.includes(`The first ${DEFAULT_MAX_COUNTED_TUNNELS.toLocaleString("en-US")} tunnels`));
    assert.ok(text.includes(`\`tunnel="${REST_NAME}"\``));
    assert.equal(MAX_SCRAPES, 8);
    assert.deepEqual(DURATION_BOUNDS_MS, [10, 50, 100, 500, 1_000, 5_000, 30_000, 300_000]);
  });
});

/** https://prometheus.io/docs/practices/naming */
describe("The metrics", () => {
  it("have names as Prometheus wants them: a base unit, and _total where they only grow", () => {
    assert.equal(new Set(all.map(({ name }) => name)).size, all.length);
    for (const { name, type, help } of all) {
      assert.match(name, /^(?:runnel|process)_[a-z]+(?:_[a-z]+)*$/);
      assert.equal(type === "counter", name.endsWith("_total"), name);
      assert.doesNotMatch(name, /_(?:ms|milliseconds|kib|kilobytes)(?:_|$)/);
      if (type === "histogram" || type === "summary") assert.match(name, /_seconds$/);
      assert.match(help, /^[A-Z1].*\.$/);
    }
  });
});
