import assert from "node:assert/strict";
import { beforeEach, describe, it } from "node:test";
import {
  type PushMessage,
  PushRegistry,
  type PushRegistryOptions,
  type PushSink,
  PushStream,
  type RegisterOptions,
} from "../../src/push/mod.ts";
import { FakeClock } from "../support/clock.ts";

/** Keeps what is written. Nothing counts as untaken unless the test says so. */
class RecordingSink implements PushSink {
  text = "";
  backlogBytes = 0;
  /** How it was closed; undefined while it is open. */
  closed: Error | "in order" | undefined;

  write(bytes: Uint8Array): void {
    assert.equal(this.closed, undefined, "written behind the end");
    this.text += new TextDecoder().decode(bytes);
  }

  close(error?: Error): void {
    assert.equal(this.closed, undefined, "closed twice");
    this.closed = error ?? "in order";
  }

  /** The blocks behind `: connected`. */
  get blocks(): string[] {
    const [first, ...blocks] = this.text.split("\n\n");
    assert.equal(first, ": connected");
    assert.equal(blocks.pop(), "");
    return blocks;
  }

  get numbers(): number[] {
    return this.blocks.map((block) => Number(/^id: boot-(\d+)$/m.exec(block)?.[1]));
  }
}

const changed = (version: number): PushMessage => ({ type: "config_changed", version, reason: "tunnel" });
const shutdown: PushMessage = { type: "action", action: "shutdown", expiresAt: "2030-01-02T03:04:05.000Z" };
const poll: PushMessage = { type: "poll_interval", pollIntervalMs: 5_000 };

describe("PushRegistry", () => {
  let clock: FakeClock;
  let registry: PushRegistry;

  const start = (options: Partial<PushRegistryOptions> = {}) => {
    clock = new FakeClock();
    registry = new PushRegistry({ versionOf: () => 7, boot: "boot", clock, ...options });
  };
  const join = (node: string, options: RegisterOptions = {}): RecordingSink => {
    const sink = new RecordingSink();
    assert.equal(registry.register(node, sink, options), null);
    return sink;
  };
  beforeEach(() => start());

  it("writes a comment first, and each message as event, id and data, with one blank each", () => {
    const sink = join("web-1");
    assert.equal(sink.text, ": connected\n\n");
    assert.equal(registry.send("web-1", { type: "config_changed", version: 5, reason: "deploy" }), 1);
    assert.equal(registry.send("web-1", shutdown), 1);
    assert.equal(registry.send("web-1", poll), 1);
    assert.deepEqual(sink.blocks, [
      'event: config_changed\nid: boot-1\ndata: {"type":"config_changed","version":5,"reason":"deploy"}',
      "event: action\nid: boot-2\n" +
      'data: {"type":"action","action":"shutdown","expiresAt":"2030-01-02T03:04:05.000Z"}',
      'event: poll_interval\nid: boot-3\ndata: {"type":"poll_interval","pollIntervalMs":5000}',
    ]);
  });

  it("draws a name for its run of 1 to 32 letters and digits, another one each time", () => {
    const boots = [1, 2].map(() => new PushRegistry({ versionOf: () => 1, clock }).boot);
    assert.notEqual(boots[0], boots[1]);
    for (const boot of boots) assert.match(boot, /^[a-z0-9]{1,32}$/);
  });

  it("sends to the streams of one node alone, and to all of them when it broadcasts", () => {
    const sinks = [join("web-1", { instance: "a" }), join("web-1", { instance: "b" }), join("web-2")];
    assert.deepEqual([registry.size, registry.send("web-1", changed(1))], [3, 2]);
    assert.deepEqual([registry.send("web-3", changed(1)), registry.broadcast(poll)], [0, 3]);
    assert.deepEqual(sinks.map(({ numbers }) => numbers), [[1, 3], [1, 3], [3]]);
    assert.deepEqual(registry.instancesOf("web-1"), ["a", "b"]);
    assert.deepEqual([registry.instancesOf("web-2"), registry.instancesOf("web-3")], [[""], []]);
    assert.deepEqual([...registry.nodeIds], ["web-1", "web-2"]);
  });

  it("ends the older stream of an instance, and is not misled when that one leaves afterwards", () => {
    const [older, other] = [join("web-1"), join("web-1", { instance: "a" })];
    const newer = join("web-1");
    assert.deepEqual([older.closed, other.closed, newer.closed], ["in order", undefined, undefined]);
    registry.unregister("web-1", older);
    assert.deepEqual([registry.size, registry.send("web-1", changed(1))], [2, 2]);
    assert.deepEqual(newer.numbers, [1]);
    registry.unregister("web-1", newer);
    registry.unregister("web-1", newer);
    registry.unregister("web-2", newer);
    assert.deepEqual([registry.size, registry.send("web-1", changed(2))], [1, 1]);
    assert.equal(newer.closed, undefined, "who leaves is not closed");
  });

  it("replays what was missed since an event in order and without repeats, and no action", () => {
    for (const message of [changed(1), shutdown, poll, changed(2)]) registry.send("web-1", message);
    registry.send("web-2", changed(3));
    registry.broadcast(poll);
    registry.broadcast(shutdown);
    assert.deepEqual(join("web-1", { instance: "a", lastEventId: "boot-1" }).numbers, [3, 4, 6]);
    assert.deepEqual(join("web-1", { instance: "b", lastEventId: "boot-7" }).numbers, []);
    assert.deepEqual(join("web-1", { instance: "c", lastEventId: "boot-0" }).numbers, [1, 3, 4, 6]);
    assert.deepEqual(join("web-1", { instance: "d" }).numbers, []);
    assert.deepEqual(join("web-2", { lastEventId: "boot-2" }).numbers, [5, 6]);
  });

  it("goes on over a burst of 1,000 messages and a lost stream", () => {
    const first = join("web-1");
    for (let version = 1; version <= 400; version++) registry.send("web-1", changed(version));
    registry.unregister("web-1", first);
    for (let version = 401; version <= 700; version++) registry.send("web-1", changed(version));
    const second = join("web-1", { lastEventId: "boot-400" });
    for (let version = 701; version <= 1_000; version++) registry.send("web-1", changed(version));
    assert.deepEqual([...first.numbers, ...second.numbers], Array.from({ length: 1_000 }, (_, index) => index + 1));
  });

  const lost: readonly [why: string, lastEventId: string][] = [
    ["is of an earlier run", "earlier-3"],
    ["has not been yet", "boot-99"],
    ["is no id", "3; drop"],
    ["is older than what is kept", "boot-1"],
  ];
  for (const [why, lastEventId] of lost) {
    it(`says that something may be missing where the last event ${why}, and goes on behind that`, () => {
      start({ maxKeptMessages: 3 });
      for (let version = 1; version <= 5; version++) registry.send("web-1", changed(version));
      const sink = join("web-1", { lastEventId });
      assert.deepEqual(sink.blocks, [
        'event: config_changed\nid: boot-6\ndata: {"type":"config_changed","version":7,"reason":"resync"}',
      ]);
      registry.send("web-1", changed(8));
      assert.deepEqual(sink.numbers, [6, 7]);
      assert.deepEqual(join("web-1", { lastEventId: "boot-6" }).numbers, [7]);
    });
  }

  it("knows for each node by itself whether something was missed", () => {
    start({ maxKeptMessages: 3 });
    for (let version = 1; version <= 5; version++) registry.send("web-2", changed(version));
    assert.deepEqual(join("web-1", { lastEventId: "boot-0" }).numbers, [], "nothing was for it");
    assert.equal(join("web-2", { lastEventId: "boot-1" }).blocks.length, 1, "the second one is gone");
    assert.deepEqual(join("web-2", { lastEventId: "boot-2" }).numbers, [3, 4, 5]);
    for (let count = 0; count < 4; count++) registry.broadcast(poll);
    assert.match(join("web-1", { lastEventId: "boot-0" }).text, /resync/, "what was for all is gone, too");
  });

  it("gives a sign of life every 30 s, spread over the streams, and sets no timer without any", () => {
    assert.equal(clock.pending, 0);
    const sinks: RecordingSink[] = [];
    for (let count = 0; count < 30; count++) {
      sinks.push(join(`web-${count}`));
      clock.advance(1_000);
    }
    const signs = (sink: RecordingSink) => sink.text.split(": keepalive\n\n").length - 1;
    const before = sinks.map(signs);
    let most = 0;
    for (let second = 0; second < 30; second++) {
      const earlier = sinks.reduce((sum, sink) => sum + signs(sink), 0);
      clock.advance(1_000);
      most = Math.max(most, sinks.reduce((sum, sink) => sum + signs(sink), 0) - earlier);
    }
    assert.deepEqual(sinks.map(signs), before.map((count) => count + 1));
    assert.equal(most, 1, "they came at one moment");
    clock.advance(120_000);
    assert.deepEqual(sinks.map(signs), before.map((count) => count + 5));
    sinks.forEach((sink, index) => registry.unregister(`web-${index}`, sink));
    assert.equal(clock.pending, 0);
  });

  it("cuts off a stream whose reader lets too much wait, while the others get everything", () => {
    start({ maxBacklogBytes: 1_000 });
    const [slow, quick] = [join("web-1", { instance: "slow" }), join("web-1", { instance: "quick" })];
    slow.backlogBytes = 950;
    assert.equal(registry.send("web-1", changed(1)), 1);
    assert.equal((slow.closed as unknown as { code: string }).code, "slow_subscriber");
    assert.match(String(slow.closed), /web-1 \(slow\)/);
    assert.deepEqual([slow.numbers, quick.numbers, registry.cutOffs, registry.size], [[], [1], 1, 1]);
    slow.backlogBytes = 0;
    const again = join("web-1", { instance: "slow", lastEventId: "boot-0" });
    assert.deepEqual(again.numbers, [1]);
  });

  it("cuts off a stream whose reader has taken nothing for 30 s, and not one that is slow", () => {
    const [dead, slow] = [join("web-1", { instance: "dead" }), join("web-1", { instance: "slow" })];
    dead.backlogBytes = slow.backlogBytes = 100;
    clock.advance(30_000);
    slow.backlogBytes = 60;
    assert.deepEqual([dead.closed, slow.closed], [undefined, undefined]);
    clock.advance(30_000);
    assert.deepEqual([dead.closed instanceof Error, slow.closed, registry.cutOffs], [true, undefined, 1]);
    assert.equal(slow.text, ": connected\n\n", "a sign of life behind what waits");
    slow.backlogBytes = 0;
    clock.advance(30_000);
    assert.match(slow.text, /keepalive/);
  });

  it("sends on when a sink fails, and forgets that one", () => {
    const broken = join("web-1", { instance: "broken" });
    broken.write = () => {
      throw new TypeError("Its reader has gone");
    };
    broken.close = () => {
      throw new TypeError("It is closed");
    };
    const good = join("web-1");
    assert.equal(registry.send("web-1", changed(1)), 1);
    assert.deepEqual([good.numbers, registry.instancesOf("web-1")], [[1], [""]]);
  });

  it("takes as many streams of a node and in all as may be, one for each that ends, and a newer one of an instance", () => {
    start({ maxStreamsPerNode: 2, maxStreams: 3 });
    const [first] = [join("web-1", { instance: "a" }), join("web-1", { instance: "b" })];
    const refused = (node: string, instance = "") => registry.register(node, new RecordingSink(), { instance });
    assert.match(String(refused("web-1", "c")), /The node has 2 push streams/);
    join("web-1", { instance: "b" });
    join("web-2");
    assert.match(String(refused("web-3")), /The edge has 3 push streams/);
    join("web-2");
    registry.unregister("web-1", first!);
    join("web-3");
    assert.equal(registry.size, 3);
  });

  it("ends the streams of a token, and those of a node that is gone", () => {
    const sinks = [
      join("web-1", { instance: "a", tokenId: "old" }),
      join("web-1", { instance: "b", tokenId: "new" }),
      join("web-2", { tokenId: "other" }),
      join("web-2", { instance: "a" }),
    ];
    registry.closeToken("old");
    registry.closeToken("none");
    assert.deepEqual(sinks.map(({ closed }) => closed !== undefined), [true, false, false, false]);
    registry.forget("web-2");
    assert.deepEqual(sinks.map(({ closed }) => closed), ["in order", undefined, "in order", "in order"]);
    assert.deepEqual([registry.size, [...registry.nodeIds]], [1, ["web-1"]]);
  });

  it("ends all streams when it closes, and takes no more", () => {
    const sinks = [join("web-1"), join("web-2"), join("web-2", { instance: "a" })];
    registry.close();
    assert.deepEqual(sinks.map(({ closed }) => closed), ["in order", "in order", "in order"]);
    assert.equal(registry.register("web-1", new RecordingSink()), "The edge is shutting down");
    assert.deepEqual([registry.send("web-1", changed(1)), registry.broadcast(poll), registry.size], [0, 0, 0]);
    assert.equal(clock.pending, 0);
  });

  it("writes to the controller of a ReadableStream as to any sink", async () => {
    let controller!: ReadableStreamDefaultController<Uint8Array>;
    const strategy = new ByteLengthQueuingStrategy({ highWaterMark: 1_000 });
    const stream = new ReadableStream<Uint8Array>({ start: (own) => void (controller = own) }, strategy);
    const sink: PushSink = {
      write: (bytes) => controller.enqueue(bytes),
      get backlogBytes() {
        return 1_000 - (controller.desiredSize ?? 0);
      },
      close: (error) => error === undefined ? controller.close() : controller.error(error),
    };
    assert.equal(registry.register("web-1", sink), null);
    registry.send("web-1", changed(1));
    assert.ok(sink.backlogBytes > 80, String(sink.backlogBytes));
    registry.close();
    const text = await new Response(stream).text();
    assert.match(text, /^: connected\n\nevent: config_changed\n/);
  });
});

describe("PushStream", () => {
  const bytes = new TextEncoder().encode("data: 1\n\n");

  it("gives its reader each write at once, and tells what waits", async () => {
    const sink = new PushStream(() => assert.fail("its reader has gone"));
    const reader = sink.stream.getReader();
    const first = reader.read();
    await Promise.resolve();
    sink.write(bytes);
    assert.deepEqual((await first).value, bytes);
    sink.write(bytes);
    sink.write(bytes);
    assert.equal(sink.backlogBytes, 2 * bytes.length);
    await reader.read();
    assert.equal(sink.backlogBytes, bytes.length);
  });

  it("tells when its reader leaves", async () => {
    const left: unknown[] = [];
    const sink = new PushStream((item) => left.push(item));
    await sink.stream.cancel();
    assert.deepEqual(left, [sink]);
    sink.write(bytes);
    assert.equal(sink.backlogBytes, 0);
  });

  it("ends in order where everything was taken, and else breaks off", async () => {
    const [whole, cut] = [new PushStream(() => {}), new PushStream(() => {})];
    whole.write(bytes);
    const reader = whole.stream.getReader();
    await reader.read();
    whole.close();
    assert.equal((await reader.read()).done, true);
    cut.write(bytes);
    cut.close();
    await assert.rejects(cut.stream.getReader().read(), { code: "push_ended" });
  });
});
