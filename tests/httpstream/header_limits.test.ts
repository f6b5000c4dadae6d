/** How large header blocks may be: what each side announces, and what holds towards peers of the first version. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ErrorCode, Feature, Flag, SettingId } from "../../src/httpstream/wire/mod.ts";
import { Connection } from "../../src/httpstream/mod.ts";
import { FramePeer } from "../support/frame_peer.ts";
import { linkPair } from "../support/link_pair.ts";
import { eventually } from "../support/net.ts";
import { GET, goesOn, hostileStage, OK } from "./hostile_stage.ts";
import { connectedPair } from "./pair.ts";

/** Windows that never grow, so that no WINDOW_UPDATE comes between. */
const quiet = { growthPoolBytes: 0 };
/** `:status` and so many fields more that the block has `count` of them. */
const fieldsOf = (count: number) => [...OK, ...Array.from({ length: count - 1 }, (_, i) => [`X-${i}`, "v"]).flat()];
/** A block of exactly so many bytes. */
const blockOf = (bytes: number) => [...OK, "X", "v".repeat(bytes - 2 - (6 + 7 + 3) - (6 + 1))];
const tooLarge = { name: "StreamError", code: "headers_too_large", initiator: "user" };

describe("Connection and header blocks", () => {
  it("Connection announces what it takes", async () => {
    for (const limits of [{}, { maxFields: 64, maxHeaderBlockBytes: 5_000 }]) {
      const links = linkPair();
      const connection = new Connection(links.edge, { role: "edge", limits });
      const { pairs } = await new FramePeer(links.agent).greet();
      const said = new Map(Array.from({ length: pairs.length / 2 }, (_, i) => [pairs[2 * i], pairs[2 * i + 1]]));
      assert.equal(said.get(SettingId.MAX_HEADER_BLOCK), limits.maxHeaderBlockBytes ?? 131_072);
      assert.equal(said.get(SettingId.MAX_FIELDS), limits.maxFields ?? 512);
      assert.equal(said.get(SettingId.FEATURES), Feature.REASON | Feature.UPGRADES);
      connection.close();
    }
  });

  it("Connection sends 128 fields and 65,536 bytes at most when the peer announces nothing", async () => {
    const set = await hostileStage("edge", { limits: quiet });
    for (const fields of [fieldsOf(128), blockOf(65_536)]) {
      set.connection.createStream(fields, { endStream: true });
      assert.deepEqual((await set.peer.expectFrame("HEADERS")).fields, fields);
    }
    for (const fields of [fieldsOf(129), blockOf(65_537)]) {
      assert.throws(() => set.connection.createStream(fields), tooLarge);
    }
    await goesOn(set);
  });

  it("Connection sends what the peer announces, and never more than the wire carries", async () => {
    const cases: [pairs: number[], fields: number, bytes: number][] = [
      [[SettingId.MAX_FIELDS, 40, SettingId.MAX_HEADER_BLOCK, 2_000], 40, 2_000],
      [[SettingId.MAX_FIELDS, 512, SettingId.MAX_HEADER_BLOCK, 131_072], 512, 131_072],
      [[SettingId.MAX_FIELDS, 0xffff_ffff, SettingId.MAX_HEADER_BLOCK, 0xffff_ffff], 512, 131_072],
    ];
    for (const [pairs, fields, bytes] of cases) {
      const links = linkPair();
      const connection = new Connection(links.edge, { role: "edge", limits: quiet });
      const peer = new FramePeer(links.agent);
      await peer.greet(pairs);
      await connection.ready;
      for (const head of [fieldsOf(fields), blockOf(bytes)]) {
        connection.createStream(head, { endStream: true });
        assert.deepEqual((await peer.expectFrame("HEADERS")).fields, head);
      }
      assert.throws(() => connection.createStream(fieldsOf(fields + 1)), tooLarge);
      assert.throws(() => connection.createStream(blockOf(bytes + 1)), tooLarge);
      connection.close();
    }
  });

  it("Connection resets one stream when a block is over what it announced, and goes on", async () => {
    const set = await hostileStage("edge", { limits: { ...quiet, maxFields: 64, maxHeaderBlockBytes: 5_000 } });
    const refused = [fieldsOf(65), blockOf(5_001)];
    for (const [at, fields] of refused.entries()) {
      set.peer.send((m) => m.headers(1 + 2 * at, fields, Flag.END_STREAM));
      await set.peer.expectFrame("RST_STREAM", { streamId: 1 + 2 * at, errorCode: ErrorCode.PROTOCOL_ERROR });
      const stream = set.connection.createStream(GET, { endStream: true });
      await set.peer.expectFrame("HEADERS", { streamId: stream.id });
      set.peer.send((m) => m.headers(stream.id, fields, Flag.END_STREAM));
      await set.peer.expectFrame("RST_STREAM", { streamId: stream.id, errorCode: ErrorCode.PROTOCOL_ERROR });
      assert.equal((await stream.closed)?.code, "protocol_error");
    }
    assert.equal(set.accepted.length, 0);
    assert.equal(set.connection.bufferedBytes, 0);
    await goesOn(set);
  });

  it("Connection keeps a stream when its head, interim head or trailers are too large for the peer", async () => {
    const set = await hostileStage("agent", { limits: quiet });
    set.peer.send((m) => m.headers(2, GET, Flag.END_STREAM));
    await eventually(() => set.accepted.length === 1);
    const [stream] = set.accepted;
    assert.throws(() => stream!.inform([":status", "103", ...fieldsOf(129).slice(2)]), tooLarge);
    assert.throws(() => stream!.respond(fieldsOf(129)), tooLarge);
    stream!.respond(OK);
    assert.throws(() => stream!.sendTrailers(fieldsOf(130).slice(2)), tooLarge);
    stream!.sendTrailers(["X", "y"]);
    await set.peer.expectFrame("HEADERS", { streamId: 2, fields: OK });
    await set.peer.expectFrame("HEADERS", { streamId: 2, fields: ["X", "y"] });
    await goesOn(set);
  });

  it("Stream knows the features that the peer announced", async () => {
    const older = await hostileStage("edge", { limits: quiet });
    assert.equal(older.connection.createStream(GET).peerFeatures, 0);
    older.connection.close();
    const pair = connectedPair({ onAgentStream: (stream) => stream.respond(OK, { endStream: true }) });
    await pair.edge.ready;
    const stream = pair.edge.createStream(GET, { endStream: true });
    assert.equal(stream.peerFeatures & Feature.REASON, Feature.REASON);
    assert.equal(await stream.closed, null);
    await pair.end();
  });
});
