/** scripts/examples/deploy.sh, with the programs of this checkout. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { runExample } from "../support/example.ts";
import { missingPeer } from "../support/peers.ts";

describe("deploy.sh", { skip: missingPeer("curl") || missingPeer("dash") }, () => {
  const servers: Server[] = [];
  let targets: string[];

  before(async () => {
    for (const text of ["first version\n", "next version\n"]) {
      const server = createServer((_, response) => void response.end(text));
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
      servers.push(server);
    }
    targets = servers.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  });

  after(() => {
    for (const server of servers) server.close();
  });

  it("deploys, changes and rolls back, and leaves nothing behind, when dash runs it", async () => {
    const { status, output, left } = await runExample("deploy.sh", targets);
    assert.equal(status, 0, output);
    assert.equal(output.split("\n").length, 7, output);
    assert.deepEqual(left, []);
  });

  it("passes on the exit code of what failed when something does", async () => {
    assert.equal((await runExample("deploy.sh", [])).status, 2);
    const noEdge = await runExample("deploy.sh", targets, { EDGE: "no-such-program" });
    assert.equal(noEdge.status, 127, noEdge.output);
    const noTarget = await runExample("deploy.sh", ["/srv", targets[1]!]);
    assert.equal(noTarget.status, 2, noTarget.output);
    for (const { left } of [noEdge, noTarget]) assert.deepEqual(left, []);
  });
});
