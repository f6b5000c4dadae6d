/** Every row of docs/http.md, sent through a tunnel, must end as the row says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { inlineCode, type Page, readPage, tableRows } from "../docs/page.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { exchange, protocols, startTunnel, type Tunnel } from "../support/tunnel.ts";

const page: Page = readPage("docs/http.md");

interface Row {
  readonly what: string;
  /** The example's bytes, in Latin-1. */
  readonly bytes: string;
  readonly outcome: string;
}

const rowsOf = (firstColumn: string): Row[] =>
  tableRows(page, firstColumn).map(([what, example, outcome]) => {
    const [code] = inlineCode({ prose: [example!] });
    return { what: what!, bytes: unescape(code!), outcome: outcome! };
  });

/** The innermost repetitions first. */
function unescape(code: string): string {
  const repeated = code.replace(/\{(\d+) ([^{}]*)\}/g, (_, count, text: string) => text.repeat(Number(count)));
  if (repeated !== code) return unescape(repeated);
  return code.replace(/\\(?:x([0-9a-f]{2})|[rnt])/g, (escape, hex?: string) => {
    if (hex !== undefined) return String.fromCharCode(parseInt(hex, 16));
    return { r: "\r", n: "\n", t: "\t" }[escape[1]!]!;
  });
}

const answers = rowsOf("an answer with");
const requests = rowsOf("a request with");

async function withUpstream(
  protocol: "v2" | "json",
  upstream: ScriptedServer,
  act: (tunnel: Tunnel) => Promise<void>,
): Promise<void> {
  const tunnel = await startTunnel(upstream.target, { protocol });
  try {
    await act(tunnel);
  } finally {
    await tunnel.close();
    await upstream.close();
  }
}

/** The content of a whole answer. */
function contentOf(answer: string): string {
  const [, head = "", body = ""] = /^([^]*?\r\n\r\n)([^]*)$/.exec(answer) ?? [];
  if (!/^transfer-encoding: chunked\r$/im.test(head)) return body;
  assert.match(body, /^2\r\nok\r\n0\r\n\r\n$/);
  return "ok";
}

/** The status line as visitors get it. */
function lineOf(answer: string): string {
  const [, status, reason = ""] = /^HTTP\/1\.[01] (\d{3})(?: ([^\r\n]*))?\r?\n/.exec(answer) ?? [];
  return `HTTP/1.1 ${status} ${reason}`;
}

describe("docs/http.md", () => {
  it("has a row of every kind", () => {
    const outcomes = new Set(answers.map(({ outcome }) => /^(passes|made anew|502)/.exec(outcome)?.[0]));
    assert.deepEqual([...outcomes].sort(), ["502", "made anew", "passes"]);
    assert.ok(answers.length > 30 && requests.length > 20);
  });
});

for (const protocol of protocols) {
  const get = (tunnel: Tunnel) =>
    exchange(tunnel, `GET / HTTP/1.1\r\nHost: ${tunnel.host}\r\nConnection: close\r\n\r\n`);

  describe(`an answer on ${protocol}`, () => {
    for (const { what, bytes, outcome } of answers) {
      it(`with ${what}: ${outcome}`, async () => {
        const upstream = await ScriptedServer.start(async (peer) => {
          for (;;) {
            await peer.readHead();
            await peer.send(bytes);
          }
        });
        await withUpstream(protocol, upstream, async (tunnel) => {
          const got = await get(tunnel);
          if (outcome.startsWith("502")) {
            assert.match(got, /^HTTP\/1\.1 502 [^]*\r\nX-Runnel-Error: upstream_invalid\r\n/);
          } else {
            assert.equal(got.slice(0, got.indexOf("\r\n")), lineOf(bytes));
            assert.equal(contentOf(got), lineOf(bytes).includes(" 204 ") ? "" : "ok");
          }
          const isUpgradeKept = outcome.includes("with `Upgrade`");
          assert.equal(/^upgrade: websocket\r$/im.test(got), isUpgradeKept);
          assert.equal(/^connection: .*\bupgrade\b.*\r$/im.test(got), isUpgradeKept);
          await get(tunnel);
          assert.equal(upstream.peers.length, outcome.startsWith("passes") ? 1 : 2);
          if (!outcome.startsWith("passes")) await upstream.peers[0]!.gone();
        });
      });
    }
  });

  describe(`a request on ${protocol}`, () => {
    for (const { what, bytes, outcome } of requests) {
      it(`with ${what}: ${outcome}`, async () => {
        const upstream = await ScriptedServer.answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        await withUpstream(protocol, upstream, async (tunnel) => {
          const got = await exchange(tunnel, bytes.replaceAll("HOST", tunnel.host));
          assert.equal(/^HTTP\/1\.1 (\d{3}) /.exec(got)?.[1], outcome);
          assert.equal(upstream.peers.length, outcome === "200" ? 1 : 0);
        });
      });
    }
  });
}
