/** `edge events` as a process, beside an edge that is another one. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, describe, it } from "node:test";
import { Program } from "../../scripts/lib/program.mjs";
import { commandOf, root } from "../../scripts/lib/toolchain.mjs";
import { eventually, freePort } from "../support/net.ts";
import { connectTo, edgeRuntime, exited, killAll, nextEvent, signal, spawnEdge } from "../support/processes.ts";
import { get } from "../support/public_client.ts";

afterEach(() => killAll());

describe("edge events, as a process", () => {
  it("goes on when the edge was killed and started anew, and says that events are missing", async () => {
    const admin = `127.0.0.1:${await freePort()}`;
    const first = await spawnEdge(0, "--admin-listen", admin);
    const events = new Program("edge", edgeRuntime, "bin/edge.ts", ["events", "--json", "--admin", `http://${admin}`]);
    const { eventId } = await nextEvent(events, "connected");
    signal(first.program, "SIGKILL");
    await exited(first.program);
    const gap = nextEvent(events, "gap");
    const second = await spawnEdge(0, "--admin-listen", admin);
    const { since, reason } = await gap;
    assert.equal(since, eventId);
    assert.match(String(reason), /started anew/);
    const request = nextEvent(events, "request");
    await get({ host: "localhost", connect: () => connectTo(second.port) }, "/here");
    assert.equal((await request).path, "/here");
    signal(events, "SIGTERM");
    assert.equal(await exited(events), 0);
  });

  it("ends when nobody reads any more", async () => {
    const edge = await spawnEdge(0, "--admin-listen", "127.0.0.1:0");
    const args = ["events", "--json", "--admin", `http://${edge.ready.admin}`];
    const [command, ...words] = commandOf(edgeRuntime, "bin/edge.ts", args) as [string, ...string[]];
    const events = spawn(command, words, { cwd: root, stdio: ["ignore", "pipe", "ignore"] });
    const ended = once(events, "exit");
    try {
      await once(events.stdout, "data");
      events.stdout.destroy();
      await eventually(async () => {
        await get({ host: "localhost", connect: () => connectTo(edge.port) });
        return events.exitCode !== null;
      });
      assert.equal((await ended)[0], 0);
    } finally {
      events.kill("SIGKILL");
    }
  });
});
