/** `agent http --compress`: answers that the agent codes with gzip, through the whole tunnel. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { version } from "../../src/config/mod.ts";
import { ProgramRun } from "../cli/program_run.ts";
import { textSoFar, wholeText } from "../support/gunzip.ts";
import { bytesOf, eventually, type SocketReader, steady } from "../support/net.ts";
import { get, send } from "../support/public_client.ts";
import { type Script, type ScriptedPeer, ScriptedServer } from "../support/scripted_server.ts";
import {
  type Protocol,
  protocols,
  publicSide,
  startTestEdge,
  token,
  type Tunnel,
  withTunnelTo,
} from "../support/tunnel.ts";

const eventsHead = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const chunk = (text: string) => `${text.length.toString(16)}\r\n${text}\r\n`;
const accepting = "Accept-Encoding: gzip\r\n";

/** Letters that hardly repeat, so that they stay many bytes. */
function letters(count: number): string {
  let state = 1;
  return Array.from({ length: count }, () => {
    state = Math.imul(state, 1_103_515_245) + 12_345 >>> 0;
    return String.fromCharCode(0x20 + (state >>> 16) % 95);
  }).join("");
}

/** The coded body of an answer that ends with its connection, as it comes. */
class CodedAnswer {
  readonly #client: SocketReader;
  #coded: Uint8Array = new Uint8Array();
  head = "";

  constructor(client: SocketReader) {
    this.#client = client;
  }

  static async of(tunnel: Pick<Tunnel, "host" | "connect">, more = accepting): Promise<CodedAnswer> {
    const answer = new CodedAnswer(await send(tunnel, `GET / HTTP/1.0\r\nHost: ${tunnel.host}\r\n${more}\r\n`));
    answer.head = await answer.#client.readUntil("\r\n\r\n");
    return answer;
  }

  get client(): SocketReader {
    return this.#client;
  }

  /** What can be decoded as soon as `end` stands in it. */
  async until(end: string): Promise<string> {
    for (let text = "";;) {
      if (text.includes(end)) return text;
      this.#coded = Uint8Array.from([...this.#coded, ...await this.#client.read(1)]);
      if (this.#coded.length > 10) text = textSoFar(this.#coded);
    }
  }

  async readAll(): Promise<string> {
    return wholeText(Uint8Array.from([...this.#coded, ...await this.#client.readAll()]));
  }
}

/** Runs `act` with a tunnel whose agent compresses. */
async function withCompression(
  protocol: Protocol,
  script: Script,
  act: (tunnel: Tunnel, upstream: ScriptedServer) => Promise<void>,
): Promise<void> {
  await withTunnelTo(await ScriptedServer.start(script), { protocol, compress: true }, act);
}

/** Answers with the head of an event stream; the test sends the events. */
const events: Script = async (peer) => {
  await peer.readHead();
  peer.send(eventsHead);
  await peer.whenClosed();
};

const firstPeer = async (upstream: ScriptedServer): Promise<ScriptedPeer> => {
  const peer = await upstream.peer(0);
  await eventually(() => peer.sentBytes >= eventsHead.length);
  return peer;
};

for (const protocol of protocols) {
  describe(`a tunnel that compresses, over ${protocol}`, () => {
    it("gives each event so that it can be decoded before the next one is written", () =>
      withCompression(protocol, events, async (tunnel, upstream) => {
        const answer = await CodedAnswer.of(tunnel);
        assert.match(answer.head, /^Content-Encoding: gzip\r$/m);
        assert.match(answer.head, /^Vary: Accept-Encoding\r$/m);
        assert.match(answer.head, /^Content-Type: text\/event-stream\r$/m);
        const peer = await firstPeer(upstream);
        let all = "";
        for (let number = 0; number < 30; number++) {
          const event = `id: ${number}\ndata: {"number":${number},"text":"it is"}\n\n`;
          await peer.send(chunk(event));
          assert.equal(await answer.until(event), all += event);
        }
        await peer.send("0\r\n\r\n");
        assert.equal(await answer.readAll(), all);
      }));

    it("gives a visitor that accepts no gzip the answer as it is", () =>
      withCompression(protocol, events, async (tunnel, upstream) => {
        const client = await send(tunnel, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\n\r\n`);
        const head = await client.readUntil("\r\n\r\n");
        assert.doesNotMatch(head, /^Content-Encoding/im);
        assert.match(head, /^Vary: Accept-Encoding\r$/m);
        const peer = await firstPeer(upstream);
        await peer.send(chunk("data: 1\n\n"));
        await client.readUntil("data: 1\n\n");
        client.socket.reset();
      }));

    it("codes a whole answer, and leaves one that is coded, small, or a picture", async () => {
      const body = "it is what it is, ".repeat(1_000);
      const answers: readonly [fields: string, body: string, isCoded: boolean][] = [
        ['Content-Type: text/html\r\nETag: "v1"\r\n', body, true],
        ["Content-Type: text/html\r\nContent-Encoding: br\r\n", body, false],
        ["Content-Type: text/html\r\n", "small", false],
        ["Content-Type: image/png\r\n", body, false],
        ["Content-Type: application/json\r\nCache-Control: no-transform\r\n", body, false],
      ];
      for (const [fields, text, isCoded] of answers) {
        const script: Script = async (peer) => {
          await peer.readHead();
          peer.send(`HTTP/1.1 200 OK\r\n${fields}Content-Length: ${text.length}\r\n\r\n${text}`);
        };
        await withCompression(protocol, script, async (tunnel) => {
          const answer = await get(tunnel, "/", `${accepting}Connection: close\r\n`);
          const end = answer.indexOf("\r\n\r\n") + 4;
          const head = answer.slice(0, end);
          assert.equal(/^Content-Encoding: gzip\r$/m.test(head), isCoded, fields);
          if (!isCoded) return assert.equal(answer.slice(end), text);
          assert.match(head, /^ETag: W\/"v1"\r$/m);
          const length = Number(/^Content-Length: (\d+)\r$/m.exec(head)?.[1] ?? NaN);
          if (!Number.isNaN(length)) {
            assert.equal(wholeText(bytesOf(answer.slice(end))), text);
            assert.equal(length, answer.length - end);
          }
        });
      }
    });

    it("passes a part as it is, and tells HEAD the fields of GET", async () => {
      const body = "part of it ".repeat(200);
      const script: Script = async (peer) => {
        for (;;) {
          const isHead = (await peer.readHead()).startsWith("HEAD");
          const length = `Content-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n`;
          if (isHead) peer.send(`HTTP/1.1 200 OK\r\n${length}`);
          else {peer.send(
              `HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-${body.length - 1}/9999\r\n${length}${body}`,
            );}
        }
      };
      await withCompression(protocol, script, async (tunnel) => {
        const part = await get(tunnel, "/", `${accepting}Range: bytes=0-\r\n`);
        assert.ok(part.endsWith(body), part.slice(0, 300));
        assert.doesNotMatch(part, /^Content-Encoding/im);
        const client = await send(tunnel, `HEAD / HTTP/1.1\r\nHost: ${tunnel.host}\r\n${accepting}\r\n`);
        const head = await client.readUntil("\r\n\r\n");
        assert.doesNotMatch(head, /^Content-Length/im);
        assert.match(head, /^Content-Encoding: gzip\r$/im);
        client.socket.reset();
      });
    });

    it("closes the upstream's connection when the visitor leaves", () =>
      withCompression(protocol, events, async (tunnel, upstream) => {
        const answer = await CodedAnswer.of(tunnel);
        const peer = await firstPeer(upstream);
        await peer.send(chunk("data: 1\n\n"));
        await answer.until("data: 1\n\n");
        answer.client.socket.reset();
        await eventually(() => peer.closed || peer.reset || peer.ended);
      }));

    it("breaks the answer off when the upstream does, behind what came before", () =>
      withCompression(protocol, events, async (tunnel, upstream) => {
        const answer = await CodedAnswer.of(tunnel);
        const peer = await firstPeer(upstream);
        await peer.send(chunk("data: 1\n\n"));
        await answer.until("data: 1\n\n");
        peer.abort();
        await answer.client.closed;
        assert.equal(answer.client.sawEnd, false, "it ended as if it were complete");
      }));
  });

  describe(`agent http --compress --protocol ${protocol}`, () => {
    it("compresses, and without the flag the agent does not", async () => {
      const body = "it is what it is, ".repeat(100);
      const upstream = await ScriptedServer.answering(
        `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      const edge = await startTestEdge({ version });
      const url = `http://127.0.0.1:${edge.address.port}`;
      const call = ["http", String(upstream.port), "--edge", url, "--token", token, "--protocol", protocol, "--json"];
      try {
        for (const isOn of [true, false]) {
          const name = isOn ? "coded" : "plain";
          const agent = new ProgramRun(agentProgram, [...call, "--name", name, ...(isOn ? ["--compress"] : [])]);
          await agent.waitFor(() => agent.stdout.includes('"ready"'));
          const answer = await get(publicSide(edge, name), "/", accepting);
          assert.equal(/^Content-Encoding: gzip\r$/m.test(answer), isOn);
          assert.equal(/^Vary: Accept-Encoding\r$/m.test(answer), isOn);
          agent.signal("SIGINT");
          assert.equal(await agent.exitCode, 0);
          const request = agent.stdout.split("\n").find((line) => line.includes('"event":"request"'));
          assert.equal(JSON.parse(request!).bytesOut, answer.length - answer.indexOf("\r\n\r\n") - 4);
        }
      } finally {
        await edge.close();
        await upstream.close();
      }
    });
  });
}

describe("a tunnel that compresses for a slow visitor", () => {
  it("reads no more of the upstream than windows and sockets hold, and goes on when the visitor does", async () => {
    const line = letters(16_384);
    let isOver = false;
    const script: Script = async (peer) => {
      await peer.readHead();
      peer.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
      while (!isOver && !peer.closed) await peer.send(chunk(line));
    };
    await withCompression("v2", script, async (tunnel, upstream) => {
      const answer = await CodedAnswer.of(tunnel);
      answer.client.socket.pause();
      const peer = await upstream.peer(0);
      const stalled = await steady(() => peer.sentBytes);
      assert.ok(stalled < 64 * 1024 ** 2, `${stalled} bytes were taken`);
      answer.client.socket.resume();
      await eventually(() => peer.sentBytes > stalled + 4 * 1024 ** 2);
      isOver = true;
      answer.client.socket.reset();
      await eventually(() => peer.closed || peer.reset || peer.ended);
    });
  });
});
