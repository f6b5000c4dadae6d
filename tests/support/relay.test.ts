import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dial } from "../../src/net/mod.ts";
import { SocketReader, startTcpServer } from "./net.ts";
import { Relay } from "./relay.ts";

describe("Relay", () => {
  it("resets a connection whose target is not there", async () => {
    const server = await startTcpServer();
    const relay = await Relay.start(server.target);
    try {
      await server.close();
      const reader = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: relay.port }));
      assert.equal((await reader.closed)?.code, "connection_reset");
    } finally {
      await relay.close();
    }
  });
});
