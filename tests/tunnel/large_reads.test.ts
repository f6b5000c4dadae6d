import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { latin1 } from "../support/net.ts";
import { protocols } from "../support/tunnel.ts";
import { withTunnel } from "./stage.ts";

/**
 * Answers whose bytes fill a large read, of which little is passed on. The buffer of that read is given back as soon as
 * the little has been copied.
 */
const answers: readonly (readonly [what: string, bytes: string])[] = [
  ["a long Host", `HTTP/1.1 200 OK\r\nHost: ${"d".repeat(20_000)}\r\nContent-Length: 2\r\n\r\nok`],
  [
    "a long field that ends at this hop",
    `HTTP/1.1 200 OK\r\nConnection: X-Drop\r\nX-Drop: ${"d".repeat(20_000)}\r\nContent-Length: 2\r\n\r\nok`,
  ],
  [
    "chunk extensions",
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${`1;a=${"e".repeat(200)}\r\no\r\n`.repeat(150)}0\r\n\r\n`,
  ],
  [
    "blanks behind the sizes of chunks",
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${`1${" ".repeat(200)}\r\no\r\n`.repeat(150)}0\r\n\r\n`,
  ],
  [
    "two long interim heads",
    `HTTP/1.1 103 Early Hints\r\nLink: <${"l".repeat(9_000)}>\r\n\r\n`.repeat(2) +
    "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
  ],
  [
    "a very long interim head",
    `HTTP/1.1 103 Early Hints\r\nLink: <${"l".repeat(40_000)}>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`,
  ],
];

for (const protocol of protocols) {
  describe(`a small answer in a large read on ${protocol}`, () => {
    for (const [what, bytes] of answers) {
      it(`comes through with ${what}, and so does the next one`, async () => {
        await withTunnel(async (peer) => {
          for (;;) {
            await peer.readHead();
            peer.send(bytes);
          }
        }, async ({ ask }) => {
          for (let count = 0; count < 3; count++) {
            const client = await ask("GET / HTTP/1.1\r\nHost: HOST\r\nConnection: close\r\n\r\n");
            const answer = latin1(await client.readAll());
            assert.match(answer, /HTTP\/1\.1 200 OK\r\n/);
            assert.match(answer, /o(k|\r\n0\r\n\r\n|)$/);
          }
        }, { protocol });
      });
    }
  });
}
