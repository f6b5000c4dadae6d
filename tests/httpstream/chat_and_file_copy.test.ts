/** A chat and a file copy, built on the public interface of the multiplexer alone. They know nothing of HTTP. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { Connection, type NewStreamHandler, type Stream } from "../../src/httpstream/mod.ts";
import { linkPair } from "../support/link_pair.ts";

/** The value of a field. */
function field(fields: readonly string[], name: string): string | undefined {
  const index = fields.findIndex((item, at) => at % 2 === 0 && item === name);
  return index < 0 ? undefined : fields[index + 1];
}

/** What one member says, all others hear, line by line. */
class Chat {
  readonly #members = new Map<string, WritableStreamDefaultWriter<Uint8Array>>();

  readonly join: NewStreamHandler = (stream) => {
    const name = field(stream.headers, "name");
    if (name === undefined || this.#members.has(name)) throw new Error(`no seat for ${name}`);
    stream.respond(["members", [...this.#members.keys()].join(" ")]);
    this.#members.set(name, stream.writable.getWriter());
    void this.#listen(name, stream);
  };

  async #listen(name: string, stream: Stream): Promise<void> {
    for await (const line of stream.readable) await this.#say(name, line);
    const writer = this.#members.get(name)!;
    this.#members.delete(name);
    await writer.close();
  }

  async #say(name: string, line: Uint8Array): Promise<void> {
    const said = new TextEncoder().encode(`${name}: ${new TextDecoder().decode(line)}`);
    for (const [other, writer] of this.#members) if (other !== name) await writer.write(said);
  }
}

/** A member: says lines, and waits for those that it should hear. */
class Member {
  readonly stream: Stream;
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  readonly #reader: ReadableStreamDefaultReader<Uint8Array>;

  constructor(connection: Connection, name: string) {
    this.stream = connection.createStream(["name", name]);
    this.#writer = this.stream.writable.getWriter();
    this.#reader = this.stream.readable.getReader();
  }

  async say(line: string): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(line));
  }

  async hear(): Promise<string | null> {
    const { value, done } = await this.#reader.read();
    return done ? null : new TextDecoder().decode(value);
  }

  async leave(): Promise<void> {
    await this.#writer.close();
  }
}

describe("A chat on the multiplexer", () => {
  it("Chat lets members hear each other, come and go, on one connection", async () => {
    const links = linkPair();
    const chat = new Chat();
    const host = new Connection(links.edge, { role: "edge", onStream: chat.join });
    const guest = new Connection(links.agent, { role: "agent" });
    const ann = new Member(guest, "ann");
    assert.equal(field(await ann.stream.response, "members"), "");
    const bob = new Member(guest, "bob");
    assert.equal(field(await bob.stream.response, "members"), "ann");
    await assert.rejects(new Member(guest, "bob").stream.response, { code: "refused" });
    for (let line = 0; line < 100; line++) {
      await ann.say(`line ${line}`);
      assert.equal(await bob.hear(), `ann: line ${line}`);
      await bob.say(`heard ${line}`);
      assert.equal(await ann.hear(), `bob: heard ${line}`);
    }
    await bob.leave();
    assert.equal(await bob.hear(), null);
    assert.equal(await bob.stream.closed, null);
    await ann.say("anybody?");
    await ann.leave();
    assert.equal(await ann.hear(), null);
    assert.equal((await host.drain()).error, null);
    await guest.closed;
    assert.equal(host.streams + guest.streams + host.bufferedBytes + guest.bufferedBytes, 0);
  });
});

describe("A file copy on the multiplexer", () => {
  /** Takes a file, and answers with its hash and length, in trailers. */
  const receive: NewStreamHandler = (stream) => {
    stream.respond(["status", "ready"]);
    void (async () => {
      const hash = createHash("sha256");
      let length = 0;
      for await (const chunk of stream.readable) {
        hash.update(chunk);
        length += chunk.length;
      }
      stream.sendTrailers(["sha256", hash.digest("hex"), "length", String(length)]);
    })();
  };

  it("File copy carries many files at once, whole, and tells their hashes in trailers", async () => {
    const links = linkPair();
    const server = new Connection(links.agent, { role: "agent", onStream: receive });
    const client = new Connection(links.edge, { role: "edge" });
    const copy = async (size: number) => {
      const file = randomBytes(size);
      const stream = client.createStream(["name", `file-${size}`]);
      assert.equal(field(await stream.response, "status"), "ready");
      const pieces = new ReadableStream<Uint8Array>({
        start(controller) {
          for (let at = 0; at < size; at += 100_000) controller.enqueue(file.subarray(at, at + 100_000));
          controller.close();
        },
      });
      await pieces.pipeTo(stream.writable);
      const trailers = await stream.trailers;
      assert.equal(field(trailers, "sha256"), createHash("sha256").update(file).digest("hex"));
      assert.equal(field(trailers, "length"), String(size));
      assert.equal(await stream.closed, null);
    };
    await Promise.all([0, 1, 65_536, 65_537, 300_000, 1_000_000, 5_000_000].map(copy));
    assert.equal((await client.drain()).error, null);
    await server.closed;
    assert.equal(server.streams + client.streams + server.bufferedBytes + client.bufferedBytes, 0);
    assert.equal(server.grownBytes + client.grownBytes, 0);
  });
});
