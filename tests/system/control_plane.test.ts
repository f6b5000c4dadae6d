/** The control plane of real processes: what ends with a token, what a kill and a full disk leave, and a held file. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { AdminApi } from "../support/admin_api.ts";
import { eventually } from "../support/net.ts";
import {
  connectTo,
  type EdgeProcess,
  exited,
  isReady,
  killAll,
  nextEvent,
  signal,
  spawnAgent,
  spawnEdge,
  spawnFileLimitedEdge,
} from "../support/processes.ts";
import { assertProblem, get, getRequest, readUntilReset, send } from "../support/public_client.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { protocols } from "../support/tunnel.ts";

let upstream: ScriptedServer;
let folder: string;

before(async () => {
  upstream = await ScriptedServer.start(async (peer) => {
    for (;;) {
      const head = await peer.readHead();
      if (head.startsWith("GET /stream ")) {
        await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n");
      } else await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    }
  });
});
after(() => upstream.close());
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), "runnel-"))));
afterEach(async () => {
  await killAll();
  await rm(folder, { recursive: true, force: true });
});

const flags = () => ["--admin-listen", "127.0.0.1:0", "--data", folder];
const adminOf = ({ ready }: EdgeProcess) => AdminApi.of(String(ready.admin), folder);

async function startEdge(): Promise<{ edge: EdgeProcess; admin: AdminApi }> {
  const edge = await spawnEdge(0, ...flags());
  return { edge, admin: await adminOf(edge) };
}

/** The public side of a host. */
const publicSide = ({ port }: EdgeProcess, host: string) => ({ host, connect: () => connectTo(port) });

for (const protocol of protocols) {
  const asNode = (edge: EdgeProcess, token: string) =>
    spawnAgent(edge.port, upstream.port, "--protocol", protocol, "--token", token);

  describe(`an agent on ${protocol} with the token of a node`, () => {
    it("serves its tunnel's hostnames, and ends when its node is removed", async () => {
      const { edge, admin } = await startEdge();
      const token = await admin.addNode("web-1");
      await admin.addTunnel("shop", ["web-1"], { hostnames: ["shop.test", "*.shop.test"] });
      const agent = asNode(edge, token);
      await agent.next(isReady);
      for (const host of ["shop.localhost", "shop.test", "a.shop.test"]) {
        assert.match(await get(publicSide(edge, host)), /ok$/, host);
      }
      const shop = publicSide(edge, "shop.test");
      const visitor = await send(shop, getRequest(shop, "/stream"));
      await visitor.readUntil("abc\r\n");
      await admin.do("DELETE", "nodes/web-1");
      await readUntilReset(visitor);
      assert.equal(await exited(agent), 3);
      assertProblem(await get(shop), 503, "tunnel_offline");
    });

    it("comes back after the edge was killed, and is refused by the next edge where its token was removed", async () => {
      const { edge, admin } = await startEdge();
      const token = await admin.addNode("web-1");
      await admin.addTunnel("shop", ["web-1"]);
      const agent = asNode(edge, token);
      await agent.next(isReady);
      const away = nextEvent(agent, "reconnecting");
      signal(edge.program, "SIGKILL");
      await away;
      const again = agent.next(isReady);
      const next = await spawnEdge(edge.port, ...flags());
      await again;
      assert.match(await get(publicSide(next, "shop.localhost")), /ok$/);
      await (await adminOf(next)).do("DELETE", `tokens/${token.split("_")[2]}`);
      assert.equal(await exited(agent), 3);
    });
  });
}

/** Writes one after the other; knows what was acknowledged, and that a write without an answer may count or not. */
class Writer {
  count = 0;
  /** Names of nodes that must be there, and of those that must not. */
  readonly #added = new Set<string>();
  readonly #removed = new Set<string>();

  /** One write in three removes a node. Resolves to false where no answer came. */
  async write(admin: AdminApi): Promise<boolean> {
    const index = ++this.count;
    const [victim] = index % 3 === 0 ? this.#added : [];
    if (victim !== undefined) this.#added.delete(victim);
    const name = victim ?? `node-${index}`;
    const labels = { text: "x".repeat(200) };
    const asked = victim === undefined
      ? admin.ask("POST", "nodes", { name, labels })
      : admin.ask("DELETE", `nodes/${name}`);
    const answer = await asked.catch(() => null);
    if (answer === null) return false;
    assert.ok(answer.status < 300, JSON.stringify(answer));
    (victim === undefined ? this.#added : this.#removed).add(name);
    return true;
  }

  async assertStored(admin: AdminApi): Promise<void> {
    const { nodes } = await admin.do("GET", "nodes");
    const names = new Set((nodes as { name: string }[]).map(({ name }) => name));
    assert.deepEqual([...this.#added].filter((name) => !names.has(name)), []);
    assert.deepEqual([...this.#removed].filter((name) => names.has(name)), []);
  }
}

describe("an edge that is killed", () => {
  it("has lost nothing that was acknowledged, at whatever moments of 200 writes it was", async () => {
    const WRITES = 200;
    const KILLS = 6;
    const killAt = Array.from({ length: KILLS }, () => 1 + Math.floor(Math.random() * WRITES)).sort((a, b) => a - b);
    const writer = new Writer();
    for (const at of [...killAt, Infinity]) {
      const { edge, admin } = await startEdge();
      await writer.assertStored(admin);
      const writeOn = async () => {
        while (writer.count < WRITES) {
          const written = writer.write(admin);
          if (writer.count === at) signal(edge.program, "SIGKILL");
          if (!await written || writer.count >= at) return;
        }
      };
      // Several are under way at any moment.
      await Promise.all([writeOn(), writeOn(), writeOn(), writeOn()]);
      if (!edge.program.exited && edge.program.exitCode === null) signal(edge.program, "SIGKILL");
      await exited(edge.program);
    }
    const { admin } = await startEdge();
    await writer.assertStored(admin);
    assert.equal(writer.count, WRITES);
  });
});

describe("an edge that cannot write", () => {
  /** A node's tunnel with an agent, and a node whose labels take much room. */
  const startServing = async (edge: EdgeProcess) => {
    const admin = await adminOf(edge);
    const token = await admin.addNode("web-1");
    await admin.addTunnel("shop", ["web-1"]);
    const agent = spawnAgent(edge.port, upstream.port, "--token", token);
    await agent.next(isReady);
    return { admin, shop: publicSide(edge, "shop.localhost") };
  };

  it("since its disk is full answers 503, keeps what it has acknowledged and serves on", async () => {
    const edge = await spawnFileLimitedEdge(1_000, 0, ...flags());
    const { admin, shop } = await startServing(edge);
    const labels = Object.fromEntries(Array.from({ length: 64 }, (_, at) => [`label-${at}`, "x".repeat(250)]));
    const acknowledged: string[] = ["web-1"];
    let refused: Awaited<ReturnType<AdminApi["ask"]>> | null = null;
    for (let index = 0; refused === null && index < 200; index++) {
      const name = `node-${index}`;
      const answer = await admin.ask("POST", "nodes", { name, labels });
      if (answer.status === 201) acknowledged.push(name);
      else refused = answer;
    }
    assert.deepEqual([refused?.status, refused?.json.code], [503, "store_unavailable"]);
    assert.match(await get(shop), /ok$/);
    const namesOf = async (api: AdminApi) =>
      ((await api.do("GET", "nodes")).nodes as { name: string }[]).map(({ name }) => name).sort();
    assert.deepEqual(await namesOf(admin), acknowledged.toSorted());
    signal(edge.program, "SIGKILL");
    await exited(edge.program);
    const { admin: again } = await startEdge();
    assert.deepEqual(await namesOf(again), acknowledged.toSorted());
    // There is room again.
    await again.addNode("later");
  });

  it("since another program holds the file answers 503, serves meanwhile, and writes once it is free", async () => {
    const edge = await spawnEdge(0, ...flags());
    const { admin, shop } = await startServing(edge);
    const holder = new DatabaseSync(join(folder, "runnel.db"));
    holder.exec("BEGIN IMMEDIATE");
    const writing = admin.ask("POST", "nodes", { name: "web-2" });
    assert.match(await get(shop), /ok$/);
    assert.equal((await admin.ask("GET", "nodes/web-1")).status, 200);
    const { status, json } = await writing;
    assert.deepEqual([status, json.code], [503, "store_unavailable"]);
    assert.match(await get(shop), /ok$/);
    holder.exec("ROLLBACK");
    holder.close();
    await admin.addNode("web-2");
  });
});

describe("two edges on one data folder", () => {
  it("end a token's sessions at both when one of them removes it", async () => {
    const [first, second] = [await startEdge(), await startEdge()];
    const token = await first.admin.addNode("web-1");
    await first.admin.addTunnel("shop", ["web-1"]);
    await eventually(async () => (await second.admin.ask("GET", "tunnels/shop")).status === 200);
    const agent = spawnAgent(second.edge.port, upstream.port, "--token", token);
    await agent.next(isReady);
    await first.admin.do("DELETE", "nodes/web-1");
    assert.equal(await exited(agent), 3);
    assertProblem(await get(publicSide(second.edge, "shop.localhost")), 503, "tunnel_offline");
  });
});
