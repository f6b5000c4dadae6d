import assert from "node:assert/strict";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";
import { KnownTunnels } from "../../src/cli/edge_serve/known_tunnels.ts";
import { Succession } from "../../src/cli/edge_serve/succession.ts";
import { FakeClock } from "../support/clock.ts";
import { bytesOf, eventually } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import { startTestAgent, startTestEdge } from "../support/tunnel.ts";

const hello = () => Promise.resolve({ status: 200, fields: [], body: bytesOf("hello") });

describe("KnownTunnels", () => {
  it("writes what is open a tenth of a second after a change, and not when the edge leaves", () =>
    withScratch(async (folder) => {
      const path = join(folder, "known-tunnels.json");
      const clock = new FakeClock();
      const known = await KnownTunnels.open(path, clock);
      assert.deepEqual(known.expected, []);
      const edge = await startTestEdge({ events: known.events });
      known.start(edge);
      const agents = [await startTestAgent(edge, hello, "shop"), await startTestAgent(edge, hello, "blog", "v2")];
      clock.advance(99);
      await assert.rejects(stat(path));
      clock.advance(1);
      const tunnels = [{ name: "shop", owner: "token" }, { name: "blog", owner: "token" }];
      await eventually(async () => (await KnownTunnels.open(path)).expected.length === 2);
      assert.deepEqual((await KnownTunnels.open(path)).expected, tunnels);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      known.freeze();
      for (const agent of agents) agent.close();
      await eventually(() => edge.tunnels.online === 0);
      await known.close(false);
      assert.equal(clock.pending, 0);
      assert.deepEqual((await KnownTunnels.open(path)).expected, tunnels);
      await edge.close();
    }));

  it("writes at the end what has changed before, unless the file is another edge's", () =>
    withScratch(async (folder) => {
      const path = join(folder, "known-tunnels.json");
      for (const hasSuccessor of [true, false]) {
        const known = await KnownTunnels.open(path, new FakeClock());
        const edge = await startTestEdge({ events: known.events });
        known.start(edge);
        const agent = await startTestAgent(edge, hello);
        known.freeze();
        await edge.close();
        await known.close(hasSuccessor);
        const expected = hasSuccessor ? [] : [{ name: "shop", owner: "token" }];
        assert.deepEqual((await KnownTunnels.open(path)).expected, expected);
        agent.close();
      }
    }));

  it("keeps those that an edge before it had open, and that are still waited for", () =>
    withScratch(async (folder) => {
      const path = join(folder, "known-tunnels.json");
      await writeFile(path, '{"tunnels":[{"name":"shop","owner":"token"}]}');
      const clock = new FakeClock();
      const known = await KnownTunnels.open(path, clock);
      const edge = await startTestEdge({ events: known.events, tunnels: { expected: known.expected } });
      known.start(edge);
      clock.advance(100);
      await known.close(false);
      assert.match(await readFile(path, "utf8"), /"shop"/);
      await edge.close();
    }));

  it("knows none when the file is damaged, too long or not there", () =>
    withScratch(async (folder) => {
      const path = join(folder, "known-tunnels.json");
      const many = Array.from({ length: 10_001 }, (_, i) => ({ name: `t${i}`, owner: "token" }));
      for (const text of ["", "{", "[]", '{"tunnels":[{"name":1}]}', JSON.stringify({ tunnels: many })]) {
        await writeFile(path, text);
        assert.deepEqual((await KnownTunnels.open(path)).expected, []);
      }
    }));
});

describe("Succession", () => {
  it("says who came after an edge at one of its addresses, until that has ended", () =>
    withScratch(async (folder) => {
      const path = join(folder, "serving.json");
      const first = await Succession.open(path);
      await first.listens(["127.0.0.1:80", "127.0.0.1:81"]);
      assert.deepEqual([first.hasPredecessor, await first.hasSuccessor()], [false, false]);
      const elsewhere = await Succession.open(path);
      await elsewhere.listens(["127.0.0.1:8080"]);
      assert.deepEqual([elsewhere.hasPredecessor, await first.hasSuccessor()], [true, false]);
      const second = await Succession.open(path);
      await second.listens(["127.0.0.1:81"]);
      assert.equal(await first.hasSuccessor(), true);
      assert.equal((await stat(path)).mode & 0o777, 0o600);
      await first.end();
      assert.equal(await second.hasSuccessor(), false);
      await second.end();
      await assert.rejects(stat(path));
      await writeFile(path, "{");
      assert.equal((await Succession.open(path)).hasPredecessor, false);
    }));
});
