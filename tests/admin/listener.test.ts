/** The admin API's listener: what it holds of many and of slow ones. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { dial } from "../../src/net/mod.ts";
import { bytesOf, eventually, latin1, SocketReader } from "../support/net.ts";
import { onAdminStage, TOKEN } from "./stage.ts";

const connect = async (port: number) => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));

describe("AdminListener", () => {
  it("takes 256 connections, and resets those beyond", () =>
    onAdminStage(async ({ port, ask }) => {
      const readers = await Promise.all(Array.from({ length: 256 }, () => connect(port)));
      const probe = bytesOf("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
      for (const reader of readers) reader.socket.write(probe);
      for (const reader of readers) assert.match(await reader.readUntil("\r\n\r\n"), /^HTTP\/1\.1 200 /);
      // Deno is told of the reset before it is told of the connection.
      const beyond = await connect(port).catch(() => null);
      beyond?.socket.write(probe);
      await beyond?.closed;
      assert.equal(beyond?.receivedBytes ?? 0, 0);
      for (const { socket } of readers) socket.reset();
      await eventually(() => ask("/healthz").then(({ status }) => status === 200, () => false));
    }));

  it("holds 4 MiB of bodies that come slowly, and refuses the next one", () =>
    onAdminStage(async ({ port, ask }) => {
      const head = `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n` +
        "Content-Type: application/json\r\nContent-Length: 262144\r\n\r\n";
      const readers = await Promise.all(Array.from({ length: 16 }, () => connect(port)));
      // All but the last byte.
      for (const reader of readers) reader.socket.write(bytesOf(head + " ".repeat(262_143)));
      await eventually(async () => {
        const { status, json } = await ask("/api/v1/nodes", { method: "POST", body: { name: "x".repeat(64) } });
        return status === 503 && json.code === "overloaded";
      });
      for (const reader of readers) {
        reader.socket.write(bytesOf("x"));
        assert.match(await reader.readUntil("\r\n"), /^HTTP\/1\.1 400 /);
      }
      const added = await ask("/api/v1/nodes", { method: "POST", body: { name: "web-1" } });
      assert.equal(added.status, 201);
      for (const { socket } of readers) socket.reset();
    }));

  it("takes a client that leaves in the middle of its body for no mistake of its own", () =>
    onAdminStage(async ({ port, ask }) => {
      const reader = await connect(port);
      reader.socket.write(bytesOf(
        `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n` +
          'Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"name"',
      ));
      // A later request on another connection: the first one is being read by now.
      assert.equal((await ask("/healthz")).status, 200);
      reader.socket.reset();
      for (let count = 0; count < 3; count++) assert.equal((await ask("/api/v1/nodes")).status, 200);
    }));

  it("answers 413 to a body that says that it is too long, without reading it", () =>
    onAdminStage(async ({ port }) => {
      const reader = await connect(port);
      reader.socket.write(bytesOf(
        `POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\n` +
          "Content-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n",
      ));
      const answer = await reader.readUntil('"code":"body_too_large"}');
      assert.match(answer, /^HTTP\/1\.1 413 /);
      reader.socket.reset();
    }));

  it("takes no body of a stranger", () =>
    onAdminStage(async ({ port }) => {
      const reader = await connect(port);
      reader.socket.write(bytesOf(
        "POST /api/v1/nodes HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n" +
          "Content-Length: 262144\r\n\r\n",
      ));
      assert.match(latin1(bytesOf(await reader.readUntil("\r\n"))), /^HTTP\/1\.1 401 /);
      reader.socket.reset();
    }));
});
