/** Where `edge serve` listens, and what each listener is. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { listenAddresses, listenersAt, plainHosts } from "../../src/cli/edge_serve/listeners.ts";
import { edgeServeOptions, resolveOptions } from "../../src/config/mod.ts";

function valuesOf(flags: Record<string, string[]>) {
  const { values, origins } = resolveOptions(edgeServeOptions, {
    flags: new Map(Object.entries(flags)),
    environment: () => undefined,
  });
  return { values, isGiven: origins.listen !== "default" };
}

const tcp = (host: string, port: number) => ({ kind: "tcp" as const, host, port });
const tls = { certificates: { certificateFor: () => null } };
const selfSigned = { "tls-self-signed": ["true"] };

function listeners(flags: Record<string, string[]>) {
  const { values, isGiven } = valuesOf(flags);
  return listenersAt(listenAddresses(values, isGiven), tls, values.publicUrl);
}

describe("listenersAt", () => {
  it("is plain on port 8080 of every IPv4 address by default", () => {
    assert.deepEqual(listeners({}), [{ target: tcp("0.0.0.0", 8080) }]);
  });

  it("is TLS on 443 and a redirect on 80 by default when there is a certificate", () => {
    const expected = [{ target: tcp("::", 443), tls }, { target: tcp("::", 80), redirectPort: 0 }];
    assert.deepEqual(listeners(selfSigned), expected);
    assert.deepEqual(listeners({ "tls-cert": ["a"], "tls-key": ["b"] }), expected);
  });

  it("sends visitors of http:// alone to https, and only beside TLS", () => {
    const listen = ["http://127.0.0.1:1", "127.0.0.1:2", "http://unix:/run/a", "unix:/run/b", "http://fd:4", "fd:5"];
    const plain = [
      ...[{ target: tcp("127.0.0.1", 1) }, { target: tcp("127.0.0.1", 2) }],
      ...[{ target: { kind: "unix", path: "/run/a" } }, { target: { kind: "unix", path: "/run/b" } }],
      ...[{ target: { kind: "fd", fd: 4 } }, { target: { kind: "fd", fd: 5 } }],
    ];
    assert.deepEqual(listeners({ listen }), plain);
    const beside = plain.map((item, i) => i === 0 || i === 4 ? { ...item, redirectPort: 0 } : item);
    const secure = { target: { kind: "fd", fd: 3 }, tls };
    assert.deepEqual(listeners({ ...selfSigned, listen: ["https://fd:3", ...listen] }), [secure, ...beside]);
  });

  it("sends visitors to the port of --public-url", () => {
    for (const [url, port] of [["https://a.test", 443], ["https://a.test:8443", 8443], ["http://a.test", 0]] as const) {
      const [, redirecting] = listeners({ ...selfSigned, "public-url": [url] });
      assert.equal(redirecting!.redirectPort, port);
    }
  });
});

describe("plainHosts", () => {
  const isPlain = plainHosts(["shop.example.com", "*.plain.test"]);
  const table: [host: string, expected: boolean][] = [
    ["shop.example.com", true],
    ["blog.example.com", false],
    ["example.com", false],
    ["a.plain.test", true],
    ["a.b.plain.test", true],
    ["plain.test", false],
    ["xplain.test", false],
    ["", false],
  ];
  for (const [host, expected] of table) {
    it(`${expected ? "has" : "has not"} ${JSON.stringify(host)}`, () => assert.equal(isPlain(host), expected));
  }
});
