/** scripts/examples/enroll.sh, with the programs of this checkout. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, it } from "node:test";
import { runExample } from "../support/example.ts";
import { missingPeer } from "../support/peers.ts";

describe("enroll.sh", { skip: missingPeer("curl") || missingPeer("dash") }, () => {
  const hosts = new Set<string | undefined>();
  let upstream: Server;
  let target: string;

  before(async () => {
    upstream = createServer((request, response) => {
      hosts.add(request.headers.host);
      response.end("from the private service\n");
    });
    upstream.listen(0, "127.0.0.1");
    await once(upstream, "listening");
    target = String((upstream.address() as AddressInfo).port);
  });

  after(() => void upstream.close());

  it("goes through the life of a node, and leaves nothing behind, when dash runs it", async () => {
    const { status, stdout, stderr, left } = await runExample("enroll.sh", [target]);
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.equal(stderr, "");
    assert.equal(stdout.split("\n").length, 7, stdout);
    const names = ["shop.localhost", "shop.example.com", "shop.example.net", "eu.shop.example.com"];
    assert.deepEqual([...hosts].map((host) => host?.replace(/:\d+$/, "")).sort(), names.sort());
    assert.deepEqual(left, []);
  });

  it("passes on the exit code of what failed when something does", async () => {
    assert.equal((await runExample("enroll.sh", [])).status, 2);
    const noEdge = await runExample("enroll.sh", [target], { EDGE: "no-such-program" });
    assert.equal(noEdge.status, 127, noEdge.stderr);
    const noAgent = await runExample("enroll.sh", [target], { AGENT: "agent --no-such-flag" });
    assert.equal(noAgent.status, 2, noAgent.stderr);
    const noUpstream = await runExample("enroll.sh", ["127.0.0.1:1"]);
    assert.equal(noUpstream.status, 22, noUpstream.stderr);
    for (const { left } of [noEdge, noAgent, noUpstream]) assert.deepEqual(left, []);
  });
});
