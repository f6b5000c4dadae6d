/** PROXY headers: what they say, by any split of their bytes, and what becomes of a connection that has none. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import { dial, listen, type Socket, SocketError } from "../../src/net/mod.ts";
import {
  MAX_PROXY_LINE_BYTES,
  MAX_PROXY_PAYLOAD_BYTES,
  parseProxyHeader,
  type ProxyHeaderOptions,
  readProxyHeader,
} from "../../src/net/proxy_protocol.ts";
import { FakeClock } from "../support/clock.ts";
import { bytesOf, connectPair, eventually, latin1, SocketReader } from "../support/net.ts";
import { proxyHeader, tlv } from "../support/proxy_header.ts";
import { withScratch } from "../support/scratch.ts";

const line = "PROXY TCP4 203.0.113.9 192.0.2.1 51234 443\r\n";
const tcp = (host: string, port: number) => ({ kind: "tcp" as const, host, port });
const ipv6 = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x09];
const v4 = [203, 0, 113, 9, 192, 0, 2, 1, 0xc8, 0x22, 0x01, 0xbb];
const v6 = [...ipv6, ...ipv6, 0xc8, 0x22, 0x01, 0xbb];
const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 9];
const TLS_TLV = tlv(0x20, [0x01, 0, 0, 0, 0, ...tlv(0x21, [...bytesOf("TLSv1.3")])]);
const PLAIN_TLV = tlv(0x20, [0x00, 0, 0, 0, 0]);

const whole: readonly (readonly [name: string, header: Uint8Array, source: object | null])[] = [
  ["TCP4", bytesOf(line), tcp("203.0.113.9", 51_234)],
  ["TCP6", bytesOf("PROXY TCP6 2001:DB8:0::9 ::1 51234 443\r\n"), tcp("2001:db8::9", 51_234)],
  ["TCP6 of an IPv4 address", bytesOf("PROXY TCP6 ::ffff:203.0.113.9 ::1 1 0\r\n"), tcp("203.0.113.9", 1)],
  ["UNKNOWN", bytesOf("PROXY UNKNOWN\r\n"), null],
  ["UNKNOWN with more", bytesOf("PROXY UNKNOWN ffff:f::ffff ffff:f::ffff 65535 65535\r\n"), null],
  [
    "the longest line",
    bytesOf(`PROXY UNKNOWN ${"f".repeat(MAX_PROXY_LINE_BYTES - 16)}\r\n`),
    null,
  ],
  ["version 2, TCP4", proxyHeader(0x21, 0x11, v4), tcp("203.0.113.9", 51_234)],
  ["version 2, TCP6", proxyHeader(0x21, 0x21, v6), tcp("2001:db8::9", 51_234)],
  [
    "version 2, TCP6 of an IPv4 address",
    proxyHeader(0x21, 0x21, [...mapped, ...ipv6, 0, 1, 0, 2]),
    tcp("203.0.113.9", 1),
  ],
  ["version 2, LOCAL", proxyHeader(0x20, 0x00, []), null],
  ["version 2, LOCAL with addresses", proxyHeader(0x20, 0x11, v4), null],
  ["version 2, UNSPEC", proxyHeader(0x21, 0x00, [1, 0, 1, 7]), null],
  ["version 2, UNIX", proxyHeader(0x21, 0x31, Array(216).fill(0x2f)), null],
  [
    "version 2 with TLVs",
    proxyHeader(0x21, 0x11, [...v4, ...tlv(0x04, [0, 0]), ...tlv(0xea, [])]),
    tcp("203.0.113.9", 51_234),
  ],
  ["version 2 of a client with TLS", proxyHeader(0x21, 0x11, [...v4, ...TLS_TLV]), {
    ...tcp("203.0.113.9", 51_234),
    usesTls: true,
  }],
  ["version 2 of a client without TLS", proxyHeader(0x21, 0x11, [...v4, ...PLAIN_TLV]), tcp("203.0.113.9", 51_234)],
  [
    "the longest header of version 2",
    proxyHeader(0x21, 0x11, [...v4, ...tlv(0xea, Array(MAX_PROXY_PAYLOAD_BYTES - 15).fill(7))]),
    tcp("203.0.113.9", 51_234),
  ],
];

const refused: readonly (readonly [name: string, header: Uint8Array, why: RegExp])[] = [
  ["a request", bytesOf("GET / HTTP/1.1\r\n"), /without a PROXY header/],
  ["a ClientHello", Uint8Array.of(0x16, 0x03, 0x01), /without a PROXY header/],
  ["a lower-case line", bytesOf("proxy TCP4"), /without a PROXY header/],
  ["two spaces", bytesOf("PROXY  TCP4 203.0.113.9 192.0.2.1 1 2\r\n"), /malformed/],
  ["a bare LF", bytesOf("PROXY TCP4 203.0.113.9 192.0.2.1 1 2\n"), /malformed/],
  ["a name for an address", bytesOf("PROXY TCP4 example.com 192.0.2.1 1 2\r\n"), /malformed/],
  ["an address of the other family", bytesOf("PROXY TCP4 ::1 192.0.2.1 1 2\r\n"), /malformed/],
  ["a port with a zero before it", bytesOf("PROXY TCP4 203.0.113.9 192.0.2.1 01 2\r\n"), /malformed/],
  ["a port over 65535", bytesOf("PROXY TCP4 203.0.113.9 192.0.2.1 65536 2\r\n"), /malformed/],
  ["an address that is missing", bytesOf("PROXY TCP4 203.0.113.9 1 2\r\n"), /malformed/],
  ["UDP4", bytesOf("PROXY UDP4 203.0.113.9 192.0.2.1 1 2\r\n"), /malformed/],
  ["UNKNOWNS", bytesOf("PROXY UNKNOWNS\r\n"), /malformed/],
  ["a line that is too long", bytesOf(`PROXY UNKNOWN ${"f".repeat(MAX_PROXY_LINE_BYTES - 15)}\r\n`), /over 107 bytes/],
  ["a line without an end", bytesOf(`PROXY UNKNOWN ${"f".repeat(MAX_PROXY_LINE_BYTES)}`), /over 107 bytes/],
  ["version 1 in binary", proxyHeader(0x11, 0x11, v4), /unknown version and command 0x11/],
  ["an unknown command", proxyHeader(0x22, 0x11, v4), /unknown version and command 0x22/],
  ["UDP over IPv4", proxyHeader(0x21, 0x12, v4), /family 0x12/],
  ["an unknown family", proxyHeader(0x21, 0x41, v4), /family 0x41/],
  ["addresses that are cut", proxyHeader(0x21, 0x21, v4), /too short/],
  ["a TLV that is cut", proxyHeader(0x21, 0x11, [...v4, 0x04, 0x00]), /TLV .* cut/],
  ["a TLV that is too long", proxyHeader(0x21, 0x11, [...v4, 0x04, 0x00, 0x02, 0x00]), /TLV .* cut/],
  [
    "a header over the limit",
    proxyHeader(0x21, 0x00, Array(MAX_PROXY_PAYLOAD_BYTES + 1).fill(0)),
    /announces 4097 bytes/,
  ],
];

describe("parseProxyHeader", () => {
  for (const [name, header, source] of whole) {
    it(`reads ${name}, and needs each of its bytes`, () => {
      const byteLength = header.length;
      for (let length = 1; length < byteLength; length++) {
        assert.equal(parseProxyHeader(header.subarray(0, length)), null);
      }
      assert.deepEqual(parseProxyHeader(header), { source, byteLength });
      const more = Uint8Array.of(...header, ...header);
      assert.deepEqual(parseProxyHeader(more), { source, byteLength }, "bytes behind it are not its own");
    });
  }

  for (const [name, header, why] of refused) {
    it(`refuses ${name}`, () => assert.throws(() => parseProxyHeader(header), why));
  }

  it("refuses a header as soon as its bytes are those of none", () => {
    assert.throws(() => parseProxyHeader(bytesOf("PROXX")), /without a PROXY header/);
    assert.throws(() => parseProxyHeader(Uint8Array.of(0x0d, 0x0a, 0x0d, 0x0b)), /without a PROXY header/);
    assert.throws(
      () => parseProxyHeader(proxyHeader(0x21, 0x00, Array(70_000 - 16).fill(0)).subarray(0, 16)),
      /announces/,
    );
  });
});

const everyone: ProxyHeaderOptions = { isTrusted: () => true };

/** Runs `use` with a proxy's end and the accepted one. */
async function withPair(use: (proxy: SocketReader, accepted: Socket) => Promise<void>): Promise<void> {
  const [dialed, accepted] = await connectPair();
  try {
    await use(new SocketReader(dialed), accepted);
  } finally {
    dialed.reset();
    accepted.reset();
  }
}

async function refusalOf(promise: Promise<unknown>): Promise<SocketError> {
  const error = await promise.then(() => null, (error) => error);
  assert.ok(error instanceof SocketError, String(error));
  return error;
}

describe("readProxyHeader", () => {
  it("gives the same socket with the client's address, and what came behind the header as its first bytes", () =>
    withPair(async (proxy, accepted) => {
      const { local } = accepted;
      proxy.socket.write(bytesOf(`${line}GET / HTTP`));
      const socket = await readProxyHeader(accepted, everyone);
      assert.equal(socket, accepted);
      assert.deepEqual([socket.remote, socket.local], [tcp("203.0.113.9", 51_234), local]);
      const reader = new SocketReader(socket);
      assert.equal(latin1(await reader.read(10)), "GET / HTTP");
      proxy.socket.write(bytesOf("/1.1\r\n"));
      assert.equal(latin1(await reader.read(6)), "/1.1\r\n");
      socket.write(bytesOf("answer"));
      assert.equal(latin1(await proxy.read(6)), "answer");
    }));

  it("reads a header that comes byte by byte", () =>
    withPair(async (proxy, accepted) => {
      const header = proxyHeader(0x21, 0x11, [...v4, ...TLS_TLV]);
      const read = readProxyHeader(accepted, everyone);
      for (const byte of header) {
        proxy.socket.write(Uint8Array.of(byte));
        proxy.socket.flush();
        await new Promise<void>((resolve) => setImmediate(resolve));
      }
      assert.equal((await read).remote.usesTls, true);
    }));

  it("keeps the proxy's own address when the header says none, as one that is", async () => {
    for (const [, header] of whole.filter(([, , source]) => source === null)) {
      await withPair(async (proxy, accepted) => {
        const { remote } = accepted;
        proxy.socket.write(header);
        assert.deepEqual((await readProxyHeader(accepted, everyone)).remote, { ...remote, isProxys: true });
      });
    }
  });

  it("passes a bulk of bytes and the FIN behind it on, in order", () =>
    withPair(async (proxy, accepted) => {
      const bulk = new Uint8Array(600_000).map((_, index) => index % 251);
      proxy.socket.write(bytesOf(line));
      proxy.socket.write(bulk);
      proxy.socket.end();
      const reader = new SocketReader(await readProxyHeader(accepted, everyone));
      assert.deepEqual(await reader.readAll(), bulk);
    }));

  it("reports a FIN that came with the header to the next owner", () =>
    withPair(async (proxy, accepted) => {
      proxy.socket.write(bytesOf(`${line}last`));
      proxy.socket.end();
      const socket = await readProxyHeader(accepted, everyone);
      // Whatever is read meanwhile waits for the owner.
      await new Promise<void>((resolve) => setImmediate(() => setImmediate(resolve)));
      assert.equal(latin1(await new SocketReader(socket).readAll()), "last");
    }));

  it("resets the connection unread when the proxy is not trusted", () =>
    withPair(async (proxy, accepted) => {
      const asked: unknown[] = [];
      const isTrusted: ProxyHeaderOptions["isTrusted"] = (peer) => {
        asked.push(peer.host);
        return false;
      };
      proxy.socket.write(bytesOf(line));
      const { code, reason } = await refusalOf(readProxyHeader(accepted, { isTrusted }));
      assert.deepEqual([code, reason], [
        "address_not_allowed",
        "The connection is not that of a trusted proxy",
      ]);
      assert.deepEqual(asked, ["127.0.0.1"]);
      assert.equal((await proxy.closed)?.code, "connection_reset");
      assert.equal(accepted.closed, true);
    }));

  it("resets the connection when something else comes", () =>
    withPair(async (proxy, accepted) => {
      proxy.socket.write(bytesOf("GET / HTTP/1.1\r\n"));
      const { code, reason } = await refusalOf(readProxyHeader(accepted, everyone));
      assert.deepEqual([code, reason], [
        "proxy_failed",
        "The connection begins without a PROXY header",
      ]);
      assert.equal((await proxy.closed)?.code, "connection_reset");
    }));

  it("gives up when the header is not whole in time, whatever comes of it", () =>
    withPair(async (proxy, accepted) => {
      const clock = new FakeClock();
      const read = readProxyHeader(accepted, { ...everyone, timeoutMs: 1_000, clock });
      const refusal = refusalOf(read);
      clock.advance(600);
      proxy.socket.write(bytesOf("PROXY TCP4"));
      clock.advance(400);
      assert.equal((await refusal).code, "connect_timeout");
      assert.equal(clock.pending, 0);
    }));

  it("gives up when the proxy leaves within the header", () =>
    withPair(async (proxy, accepted) => {
      const clock = new FakeClock();
      proxy.socket.write(bytesOf("PROXY TCP4"));
      proxy.socket.end();
      assert.equal((await refusalOf(readProxyHeader(accepted, { ...everyone, clock }))).code, "connection_reset");
      assert.equal(clock.pending, 0, "the timer outlives the connection");
    }));

  it("gives up when the proxy resets the connection", () =>
    withPair(async (proxy, accepted) => {
      const refusal = refusalOf(readProxyHeader(accepted, everyone));
      proxy.socket.reset();
      assert.equal((await refusal).code, "connection_reset");
      await eventually(() => accepted.closed);
    }));

  it("reads the header of a unix socket, which is closed as one", () =>
    withScratch(async (folder) => {
      const path = join(folder, "edge.sock");
      let take: (socket: Socket) => void = () => {};
      const accepted = new Promise<Socket>((resolve) => take = resolve);
      const listener = await listen({ kind: "unix", path }, take);
      const proxy = new SocketReader(await dial({ kind: "unix", path }));
      const peers: string[] = [];
      const isTrusted: ProxyHeaderOptions["isTrusted"] = ({ kind }) => peers.push(kind) > 0;
      proxy.socket.write(bytesOf(`${line}hello`));
      const socket = await readProxyHeader(await accepted, { isTrusted });
      assert.deepEqual([peers, socket.remote.host], [["unix"], "203.0.113.9"]);
      const reader = new SocketReader(socket);
      assert.equal(latin1(await reader.read(5)), "hello");
      socket.reset();
      // A unix socket has no RST.
      await proxy.ended.catch(() => {});
      proxy.socket.reset();
      await listener.close();
      await listener.emptied;
    }));
});
