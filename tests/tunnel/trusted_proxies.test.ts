/** Proxies in front of an edge: what an upstream, the logs and the brakes are told of the visitor behind one. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { openJsonTunnel } from "../../src/agent/json_dial.ts";
import type { OpenTunnel } from "../../src/agent/open_tunnel.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import { OptionError } from "../../src/base/mod.ts";
import type { AccessRecord } from "../../src/edge/access.ts";
import { type Edge, type EdgeOptions, startEdge } from "../../src/edge/edge.ts";
import type { Handler, RequestHead } from "../../src/http/message.ts";
import { fieldValue, fieldValues, observeExchanges, type RequestReport, TrustedProxies } from "../../src/http/mod.ts";
import { dial, type Socket } from "../../src/net/mod.ts";
import { bytesOf, eventually, latin1, SocketReader } from "../support/net.ts";
import { expectReset, proxyHeader, tlsClientHeader } from "../support/proxy_header.ts";
import { get } from "../support/public_client.ts";
import {
  type Protocol,
  protocols,
  startTestEdge,
  startTunnel,
  type Tunnel,
  type TunnelOptions,
} from "../support/tunnel.ts";

const loopback = new TrustedProxies(["loopback"]);
const others = new TrustedProxies(["10.0.0.0/8"]);

interface Stage {
  readonly tunnel: Tunnel;
  /** The heads that the upstream got. */
  readonly heads: RequestHead[];
  /** What the edge told of its visitors' requests, without the agents' own. */
  readonly records: AccessRecord[];
  /** What the agent told. */
  readonly reports: RequestReport[];
}

async function withStage(options: TunnelOptions, use: (stage: Stage) => Promise<void>): Promise<void> {
  const heads: RequestHead[] = [];
  const records: AccessRecord[] = [];
  const reports: RequestReport[] = [];
  const upstream: Handler = (head) => {
    heads.push(head);
    return Promise.resolve({ status: 200, fields: [], body: bytesOf("ok") });
  };
  const onRequest = (record: AccessRecord) => {
    if (record.path !== "/agent") records.push(record);
  };
  const observed = observeExchanges(upstream, (report) => void reports.push(report));
  const tunnel = await startTunnel(observed, { ...options, edge: { events: { onRequest }, ...options.edge } });
  try {
    await use({ tunnel, heads, records, reports });
  } finally {
    await tunnel.close();
  }
}

/** What the upstream was told of the visitor. */
function told({ fields }: RequestHead): (string | undefined)[] {
  return ["x-forwarded-for", "x-forwarded-proto", "forwarded"].map((name) => fieldValue(fields, name));
}

const spoofed = [
  "X-Forwarded-For: 6.6.6.6",
  "X-Forwarded-Proto: https",
  "X-Forwarded-Host: other.localhost",
  "Forwarded: for=6.6.6.6;proto=https",
  "X-Request-ID: mine",
  "X_Forwarded_For: 6.6.6.6",
  "X-Forwarded_For: 6.6.6.6",
  "X-Real-IP: 6.6.6.6",
  "True-Client-IP: 6.6.6.6",
  "CF-Connecting-IP: 6.6.6.6",
].map((line) => `${line}\r\n`).join("");

for (const protocol of protocols) {
  describe(`a visitor behind a proxy, by ${protocol}`, () => {
    it("is nobody but the connection's other end when no proxy is trusted, or this one is not", async () => {
      for (const trustedProxies of [undefined, others]) {
        await withStage({ protocol, edge: { trustedProxies } }, async ({ tunnel, heads, records }) => {
          await get(tunnel, "/", spoofed);
          await eventually(() => records.length === 1);
          const [head] = heads as [RequestHead];
          assert.deepEqual(told(head), ["127.0.0.1", "http", `for=127.0.0.1;host=${tunnel.host};proto=http`]);
          const all = head.fields.join("\n");
          assert.doesNotMatch(all, /6\.6\.6\.6|other\.localhost|mine/);
          assert.equal(fieldValue(head.fields, "x-forwarded-host"), tunnel.host);
          assert.deepEqual(fieldValues(head.fields, "x-request-id"), [records[0]!.id]);
          assert.deepEqual([records[0]!.client, records[0]!.tunnel], ["127.0.0.1", "shop"]);
        });
      }
    });

    it("is who the trusted proxy says, with his scheme, wherever he is named", () =>
      withStage({ protocol, edge: { trustedProxies: loopback } }, async ({ tunnel, heads, records, reports }) => {
        const list = "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
        await get(
          tunnel,
          "/",
          `${list}X-Forwarded-Host: other.localhost\r\nX-Real-IP: 203.0.113.9\r\nX_Real_IP: 6.6.6.6\r\n`,
        );
        await eventually(() => records.length === 1 && reports.length === 1);
        const [head] = heads as [RequestHead];
        assert.deepEqual(told(head), ["203.0.113.9", "https", `for=203.0.113.9;host=${tunnel.host};proto=https`]);
        assert.deepEqual(fieldValues(head.fields, "x-forwarded-for"), ["203.0.113.9"]);
        assert.equal(fieldValue(head.fields, "x-real-ip"), "203.0.113.9");
        assert.doesNotMatch(head.fields.join("\n"), /6\.6\.6\.6/);
        assert.equal(fieldValue(head.fields, "x-forwarded-host"), tunnel.host);
        assert.deepEqual([head.client, head.scheme], ["203.0.113.9", "https"]);
        assert.equal(records[0]!.client, "203.0.113.9");
      }));

    it("is asked for by one id, the edge's own unless a trusted proxy gives one, in fields, records and reports", () =>
      withStage({ protocol, edge: { trustedProxies: loopback } }, async ({ tunnel, heads, records, reports }) => {
        await get(tunnel);
        await get(tunnel, "/", "X-Request-ID: 4bf92f3577b34da6\r\n");
        await get(tunnel, "/", "X-Request-ID: two words\r\n");
        await eventually(() => records.length === 3 && reports.length === 3);
        const ids = heads.map(({ fields }) => fieldValue(fields, "x-request-id"));
        assert.equal(ids[1], "4bf92f3577b34da6");
        assert.match(String(ids[0]), /^[0-9a-z]+-[0-9a-z]+$/);
        assert.match(String(ids[2]), /^[0-9a-z]+-[0-9a-z]+$/);
        assert.deepEqual(records.map(({ id }) => id), ids);
        assert.deepEqual(reports.map(({ id }) => id), ids);
      }));

    it("gets his own answer when the proxy gives several requests at once the same id", async () => {
      const waiting = new Map<string, () => void>();
      const upstream: Handler = (head) =>
        new Promise((resolve) => {
          waiting.set(head.target, () => resolve({ status: 200, fields: [], body: bytesOf(`for ${head.target}`) }));
        });
      const tunnel = await startTunnel(upstream, { protocol, edge: { trustedProxies: loopback } });
      try {
        const answers = ["/a", "/b", "/c"].map((path) => get(tunnel, path, "X-Request-ID: again\r\n"));
        await eventually(() => waiting.size === 3);
        for (const path of ["/c", "/a", "/b"]) waiting.get(path)!();
        const texts = await Promise.all(answers);
        assert.deepEqual(texts.map((text) => text.slice(text.indexOf("\r\n\r\n") + 4)), ["for /a", "for /b", "for /c"]);
      } finally {
        await tunnel.close();
      }
    });

    it("may be named in further fields, which pass from a trusted proxy alone", async () => {
      const fields = "X-Visitor: 203.0.113.9\r\nX_Visitor: 6.6.6.6\r\n";
      for (const [trustedProxies, passed] of [[loopback, ["203.0.113.9"]], [others, []]] as const) {
        const edge = { trustedProxies, clientAddressFields: ["X-Visitor"] };
        await withStage({ protocol, edge }, async ({ tunnel, heads }) => {
          await get(tunnel, "/", fields);
          assert.deepEqual(fieldValues(heads[0]!.fields, "x-visitor"), passed);
          assert.deepEqual(fieldValues(heads[0]!.fields, "x_visitor"), []);
        });
      }
    });

    it("is who Forwarded says when that counts, and X-Forwarded-For does not then", async () => {
      const trustedProxies = new TrustedProxies(["loopback"], { usesForwarded: true });
      await withStage({ protocol, edge: { trustedProxies } }, async ({ tunnel, heads }) => {
        await get(
          tunnel,
          "/",
          'X-Forwarded-For: 6.6.6.6\r\nForwarded: for=6.6.6.6, for="[2001:db8::9]:1";proto=https\r\n',
        );
        assert.deepEqual(told(heads[0]!), [
          "2001:db8::9",
          "https",
          `for="[2001:db8::9]";host=${tunnel.host};proto=https`,
        ]);
      });
    });

    it("is not routed by X-Forwarded-Host, whoever sends it", () =>
      withStage({ protocol, edge: { trustedProxies: loopback } }, async ({ tunnel, heads }) => {
        const other = { ...tunnel, host: "nobody.localhost" };
        assert.match(await get(other, "/", `X-Forwarded-Host: ${tunnel.host}\r\n`), /^HTTP\/1\.1 404 /);
        assert.deepEqual(heads, []);
      }));

    it("is an agent, too, whose URLs have the scheme and the port by which the proxy was asked", async () => {
      const https = ["X-Forwarded-For", "203.0.113.9", "X-Forwarded-Proto", "https"];
      const cases: readonly (readonly [edge: Partial<EdgeOptions>, asked: string, fields: string[], url: string])[] = [
        [{ trustedProxies: loopback }, "http://localhost", https, "https://shop.localhost"],
        [{ trustedProxies: loopback }, "http://localhost:8443", https, "https://shop.localhost:8443"],
        [{ trustedProxies: loopback }, "http://localhost", ["X-Forwarded-For", "203.0.113.9"], "http://shop.localhost"],
        [
          { trustedProxies: loopback, publicUrl: new URL("https://localhost:444") },
          "http://localhost",
          https,
          "https://shop.localhost:444",
        ],
      ];
      for (const [options, asked, fields, url] of cases) {
        const edge = await startTestEdge(options);
        const tunnel = await openBehindProxy(edge.address.port, protocol, asked, fields);
        assert.equal(tunnel.url, url);
        assert.equal(edge.sessions()[0]?.peer.address, "203.0.113.9");
        tunnel.session.close("The test is over");
        await edge.close();
      }
    });

    it("is an agent with a wrong token, whose own address is told and slowed, and not the proxy's", async () => {
      const told: unknown[][] = [];
      const onTokensRefused = (...refusal: unknown[]) => void told.push(refusal);
      const edge = await startTestEdge({ trustedProxies: loopback, events: { onTokensRefused } });
      const fields = ["X-Forwarded-For", "203.0.113.9"];
      await assert.rejects(openBehindProxy(edge.address.port, protocol, "http://localhost", fields, "wrong"));
      assert.deepEqual(told[0], ["203.0.113.9", 1]);
      await edge.close();
    });
  });

  describe(`an edge that wants PROXY headers, by ${protocol}`, () => {
    const behind = { trustedProxies: loopback, proxyProtocol: true };

    it("takes a visitor and an agent for whom the headers name", async () => {
      await withProxiedTunnel(protocol, behind, async ({ edge, host, heads, ask }) => {
        assert.match(await ask(bytesOf("PROXY TCP4 203.0.113.9 192.0.2.1 51234 443\r\n"), spoofed), /ok$/);
        assert.match(await ask(bytesOf("PROXY TCP6 2001:DB8::9 ::1 51234 443\r\n")), /ok$/);
        assert.match(await ask(tlsClientHeader("203.0.113.9")), /ok$/);
        assert.deepEqual(heads.map(told), [
          ["203.0.113.9", "http", `for=203.0.113.9;host=${host};proto=http`],
          ["2001:db8::9", "http", `for="[2001:db8::9]";host=${host};proto=http`],
          ["203.0.113.9", "https", `for=203.0.113.9;host=${host};proto=https`],
        ]);
        assert.doesNotMatch(heads[0]!.fields.join("\n"), /6\.6\.6\.6/);
        assert.equal(edge.sessions()[0]?.peer.address, "198.51.100.7");
      });
    });

    it("believes fields as well where the header names a trusted proxy", () =>
      withProxiedTunnel(protocol, behind, async ({ heads, ask }) => {
        await ask(bytesOf("PROXY TCP4 127.0.0.9 192.0.2.1 51234 443\r\n"), "X-Forwarded-For: 203.0.113.9\r\n");
        assert.deepEqual(heads.map(({ client }) => client), ["203.0.113.9"]);
      }));

    const nameless: [what: string, header: Uint8Array][] = [
      ["UNKNOWN", bytesOf("PROXY UNKNOWN\r\n")],
      ["UNKNOWN with addresses", bytesOf("PROXY UNKNOWN 203.0.113.9 192.0.2.1 51234 443\r\n")],
      ["LOCAL", proxyHeader(0x20, 0x00, [])],
      ["LOCAL with addresses", proxyHeader(0x20, 0x11, [203, 0, 113, 9, 192, 0, 2, 1, 0xc8, 0x22, 0x01, 0xbb])],
      ["UNSPEC", proxyHeader(0x21, 0x00, [])],
      ["unix addresses", proxyHeader(0x21, 0x31, new Array(216).fill(0x61))],
    ];
    for (const [what, header] of nameless) {
      it(`takes the proxy itself for the visitor where the header says ${what}, and believes none of his fields`, () =>
        withProxiedTunnel(protocol, behind, async ({ host, heads, ask }) => {
          assert.match(await ask(header, spoofed), /ok$/);
          assert.deepEqual(heads.map(told), [["127.0.0.1", "http", `for=127.0.0.1;host=${host};proto=http`]]);
          const [{ client, fields, isProxied }] = heads as [RequestHead];
          assert.deepEqual([client, isProxied ?? false], ["127.0.0.1", false]);
          assert.doesNotMatch(fields.join("\n"), /6\.6\.6\.6|mine/);
        }));
    }
  });
}

describe("an edge that wants PROXY headers", () => {
  it("refuses a connection without one, and one of a proxy that is not trusted, with a reason in the log", async () => {
    for (
      const [trustedProxies, why] of [[loopback, /without a PROXY header/], [others, /not that of a trusted/]] as const
    ) {
      const told: unknown[][] = [];
      const onProxyRefused = (...refusal: unknown[]) => void told.push(refusal);
      const edge = await startTestEdge({ trustedProxies, proxyProtocol: true, events: { onProxyRefused } });
      const target = { kind: "tcp", host: "127.0.0.1", port: edge.address.port } as const;
      await expectReset(target, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
      await eventually(() => told.length === 1);
      assert.deepEqual([told[0]![0], told[0]![2]], ["127.0.0.1", 1]);
      assert.match(String(told[0]![1]), why);
      await edge.close();
    }
  });

  it("cannot be made where no proxy is trusted", async () => {
    const options = { listen: { kind: "tcp", host: "127.0.0.1", port: 0 }, token: "t", proxyProtocol: true } as const;
    await assert.rejects(startEdge(options), (error) => error instanceof OptionError);
  });

  it("ends at once while a proxy has not sent its header", async () => {
    const edge = await startTestEdge({ trustedProxies: loopback, proxyProtocol: true });
    const client = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port: edge.address.port }));
    client.socket.write(bytesOf("PROXY"));
    client.socket.flush();
    await edge.close();
    await edge.emptied;
    await client.closed;
  });
});

/** The edge's own name for a connection is of no use where several visitors come on it. */
describe("a visitor's connection", () => {
  it("has no name where a trusted proxy sends the request, whatever its fields", async () => {
    const edge = { directVisitors: true };
    for (const [trustedProxies, hasName] of [[loopback, false], [others, true], [undefined, true]] as const) {
      await withStage({ protocol: "v2", edge: { ...edge, trustedProxies } }, async ({ tunnel, heads }) => {
        await get(tunnel, "/", "X-Request-ID: mine\r\n");
        assert.equal(heads[0]!.visitorConnection !== undefined, hasName);
      });
    }
  });
});

interface ProxiedTunnel {
  readonly edge: Edge;
  readonly host: string;
  readonly heads: RequestHead[];
  /** The answer to a GET with these fields, on a connection that begins with `header`. */
  ask(header: Uint8Array, fields?: string): Promise<string>;
}

/** An edge whose connections begin with PROXY headers, that of the agent among them. */
async function withProxiedTunnel(
  protocol: Protocol,
  options: Partial<EdgeOptions>,
  use: (tunnel: ProxiedTunnel) => Promise<void>,
): Promise<void> {
  const heads: RequestHead[] = [];
  const upstream: Handler = (head) => {
    heads.push(head);
    return Promise.resolve({ status: 200, fields: [], body: bytesOf("ok") });
  };
  const edge = await startTestEdge(options);
  const target = { kind: "tcp", host: "127.0.0.1", port: edge.address.port } as const;
  const agent = await openTunnel(protocol, "http://localhost", "test-token", upstream, async () => {
    const socket = await dial(target);
    socket.write(bytesOf("PROXY TCP4 198.51.100.7 192.0.2.1 4711 443\r\n"));
    return socket;
  });
  const host = "shop.localhost";
  try {
    await use({
      edge,
      host,
      heads,
      async ask(header, fields = "") {
        const visitor = new SocketReader(await dial(target));
        visitor.socket.write(header);
        visitor.socket.write(bytesOf(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${fields}\r\n`));
        const answer = latin1(await visitor.readAll());
        visitor.socket.end();
        return answer;
      },
    });
  } finally {
    agent.session.close("The test is over");
    await edge.close();
  }
}

/** Opens the tunnel `shop` by a handshake that a proxy on 127.0.0.1 has passed on, with `fields` of its own. */
function openBehindProxy(
  port: number,
  protocol: Protocol,
  asked: string,
  fields: readonly string[],
  token = "test-token",
): Promise<OpenTunnel> {
  const upstream: Handler = () => Promise.resolve({ status: 204, fields: [], body: null });
  return openTunnel(protocol, asked, token, upstream, async () => {
    const socket = await dial({ kind: "tcp", host: "127.0.0.1", port });
    const write = socket.write.bind(socket);
    let lines = "";
    for (let index = 0; index < fields.length; index += 2) lines += `${fields[index]}: ${fields[index + 1]}\r\n`;
    socket.write = (bytes) => {
      // The head comes in one piece.
      const text = lines === "" ? latin1(bytes) : latin1(bytes).replace("\r\n", `\r\n${lines}`);
      lines = "";
      return write(bytesOf(text));
    };
    return socket;
  });
}

function openTunnel(
  protocol: Protocol,
  asked: string,
  token: string,
  upstream: Handler,
  dialProxy: () => Promise<Socket>,
): Promise<OpenTunnel> {
  const open = protocol === "json" ? openJsonTunnel : openV2Tunnel;
  const options = { edge: parseEdgeUrl(asked), token, name: "shop", upstream, version: "0.0.0", dial: dialProxy };
  return open(options, new AbortController().signal);
}
