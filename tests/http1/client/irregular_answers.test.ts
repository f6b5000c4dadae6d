/** Answers whose framing deviates: they are read, their length is dropped, and their connection is not used again. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bodyText } from "../../support/client_requests.ts";
import { onStage } from "../../support/client_stage.ts";

type Row = readonly [why: string, head: string, body: string];

const head = (fields: string, line = "HTTP/1.1 200 OK") => `${line}\r\n${fields}\r\n`;
const LENGTH = "Content-Length: 2\r\n";
const CHUNKED = "Transfer-Encoding: chunked\r\n";
const CHUNKS = "2\r\nok\r\n0\r\n\r\n";

const irregular: readonly Row[] = [
  ["chunks named twice", head("Transfer-Encoding: chunked, chunked\r\n"), CHUNKS],
  ["chunks and identity", head(`Transfer-Encoding: identity\r\n${CHUNKED}`), CHUNKS],
  ["identity", head(`Transfer-Encoding: identity\r\n${LENGTH}`), "ok"],
  ["chunks on HTTP/1.0", head(`${CHUNKED}Connection: keep-alive\r\n`, "HTTP/1.0 200 OK"), CHUNKS],
  ["chunks and a length", head(`Content-Length: 1\r\n${CHUNKED}`), CHUNKS],
  ["bare LFs", head(LENGTH).replaceAll("\r", ""), "ok"],
  ["blanks behind a size", head(CHUNKED), "2  \r\nok\r\n0\r\n\r\n"],
  ["blanks behind the last size", head(CHUNKED), "2\r\nok\r\n0\t\r\n\r\n"],
  ["bare LFs in trailers", head(CHUNKED), "2\r\nok\r\n0\r\nA: 1\n\n"],
];

const regular: readonly Row[] = [
  ["a length", head(LENGTH), "ok"],
  ["the same length twice", head(LENGTH + LENGTH), "ok"],
  ["chunks", head(CHUNKED), CHUNKS],
  ["a blank before an extension", head(CHUNKED), "2 ;a\r\nok\r\n0\r\n\r\n"],
  ["no reason phrase", head(LENGTH, "HTTP/1.1 200"), "ok"],
  ["an unknown status", head(LENGTH, "HTTP/1.1 999 x"), "ok"],
];

const lengthsOf = (fields: readonly string[]) => fields.filter((name) => /^content-length$/i.test(name)).length;

/** Asks twice. @param isStreamed true: the body comes when the head has been passed on, else both at once */
async function askTwice([, head, body]: Row, isStreamed: boolean): Promise<{ lengths: number; connections: number }> {
  let goOn = () => {};
  let lengths = 0;
  let connections = 0;
  await onStage(async (peer) => {
    for (;;) {
      await peer.readHead();
      const seen = new Promise<void>((resolve) => goOn = resolve);
      if (!isStreamed) await peer.send(head + body);
      else {
        await peer.send(head);
        await seen;
        await peer.send(body);
      }
    }
  }, async ({ ask, server }) => {
    for (let asked = 0; asked < 2; asked++) {
      const answer = await ask();
      goOn();
      assert.equal(await bodyText(answer.body), "ok");
      lengths += lengthsOf(answer.fields);
    }
    connections = server.peers.length;
  });
  return { lengths, connections };
}

describe("HttpClient and answers that deviate", () => {
  for (const isStreamed of [false, true]) {
    const way = isStreamed ? "streamed" : "whole";
    for (const row of irregular) {
      it(`HttpClient drops length and connection when a ${way} answer has ${row[0]}`, async () => {
        assert.deepEqual(await askTwice(row, isStreamed), { lengths: 0, connections: 2 });
      });
    }

    for (const row of regular) {
      it(`HttpClient keeps length and connection when a ${way} answer has ${row[0]}`, async () => {
        const lengths = row[1].includes("Content-Length") ? 2 : 0;
        assert.deepEqual(await askTwice(row, isStreamed), { lengths, connections: 1 });
      });
    }
  }

  it("HttpClient drops the connection when an interim answer deviates", async () => {
    const interim = "HTTP/1.1 103 Early Hints\nLink: x\n\n";
    const row = ["", `${interim}${head(LENGTH)}`, "ok"] as const;
    assert.deepEqual(await askTwice(row, false), { lengths: 2, connections: 2 });
  });

  it("HttpClient gives the reason phrase, and what a 426 asks for", async () => {
    const answer = head(`${LENGTH}Upgrade: TLS/1.0, HTTP/2.0\r\n`, "HTTP/1.1 426 Upgrade, please");
    await onStage(async (peer) => {
      await peer.readHead();
      await peer.send(`${answer}ok`);
    }, async ({ ask }) => {
      const { status, reason, upgrade, fields } = await ask();
      assert.deepEqual([status, reason, upgrade], [426, "Upgrade, please", "TLS/1.0,HTTP/2.0"]);
      assert.deepEqual(fields, ["Content-Length", "2"]);
    });
  });
});
