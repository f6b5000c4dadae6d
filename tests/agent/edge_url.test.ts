import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EdgeUrlError, parseEdgeUrl } from "../../src/agent/edge_url.ts";

describe("parseEdgeUrl", () => {
  const good: [text: string, host: string, port: number, authority: string][] = [
    ["http://127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080"],
    ["http://localhost", "localhost", 80, "localhost"],
    ["ws://localhost:8080/", "localhost", 8080, "localhost:8080"],
    ["http://[::1]:8080", "::1", 8080, "[::1]:8080"],
    ["http://EDGE.localhost:80", "edge.localhost", 80, "edge.localhost"],
    ["127.0.0.1:8080", "127.0.0.1", 8080, "127.0.0.1:8080"],
    ["localhost:8080", "localhost", 8080, "localhost:8080"],
    ["localhost", "localhost", 80, "localhost"],
    ["[::1]:8080", "::1", 8080, "[::1]:8080"],
    ["18500", "127.0.0.1", 18500, "127.0.0.1:18500"],
    [":18500", "127.0.0.1", 18500, "127.0.0.1:18500"],
    ["*:18500", "127.0.0.1", 18500, "127.0.0.1:18500"],
    ["http://18500", "127.0.0.1", 18500, "127.0.0.1:18500"],
    ["http://:18500/", "127.0.0.1", 18500, "127.0.0.1:18500"],
    ["HTTP://LOCALHOST:8080", "localhost", 8080, "localhost:8080"],
    // As the edge prints it where it listens on every address.
    ["0.0.0.0:8080", "127.0.0.1", 8080, "127.0.0.1:8080"],
    ["http://0.0.0.0:8080", "127.0.0.1", 8080, "127.0.0.1:8080"],
    ["[::]:8080", "::1", 8080, "[::1]:8080"],
    ["[::1]", "::1", 80, "[::1]"],
    ["::1", "::1", 80, "[::1]"],
    ["shop.localhost:8080/", "shop.localhost", 8080, "shop.localhost:8080"],
  ];
  for (const [text, host, port, authority] of good) {
    it(`dials ${host} at ${port} when the edge is ${text}`, () => {
      const { target, authority: written, label } = parseEdgeUrl(text);
      assert.deepEqual(target, { kind: "tcp", host, port });
      assert.equal(written, authority);
      assert.equal(label, `http://${authority}`);
    });
  }

  const secure: [text: string, host: string, port: number, authority: string][] = [
    ["https://example.com", "example.com", 443, "example.com"],
    ["example.com", "example.com", 443, "example.com"],
    ["example.com:8443", "example.com", 8443, "example.com:8443"],
    ["10.0.0.7:8080", "10.0.0.7", 8080, "10.0.0.7:8080"],
    ["[2001:db8::1]", "2001:db8::1", 443, "[2001:db8::1]"],
    ["2001:db8::1", "2001:db8::1", 443, "[2001:db8::1]"],
    ["bücher.example:8443", "xn--bcher-kva.example", 8443, "xn--bcher-kva.example:8443"],
    ["https://18500", "127.0.0.1", 18500, "127.0.0.1:18500"],
    ["[fe80::1]:8080", "fe80::1", 8080, "[fe80::1]:8080"],
    ["127.example.com:8080", "127.example.com", 8080, "127.example.com:8080"],
  ];
  for (const [text, host, port, authority] of secure) {
    it(`dials ${host} at ${port} with TLS when the edge is ${text}`, () => {
      for (const insecure of [false, true]) {
        const { target, label } = parseEdgeUrl(text, insecure);
        assert.deepEqual(target, { kind: "tcp", host, port, tls: insecure ? { insecure } : {} });
        assert.equal(label, `https://${authority}`);
      }
    });
  }

  it("shows no password when the edge has one and no scheme", () => {
    assert.throws(() => parseEdgeUrl("user:SECRET@example.com"), (error: Error) => !error.message.includes("SECRET"));
  });

  const bad = [
    ...[
      "0",
      ":",
      "65536",
      "localhost:0",
      "::1:8080",
      "local host:8080",
      "localhost:99999",
      "localhost:8080/path",
      "127.0.0.1:8080?x=1",
      "mailto:a@b",
    ],
    ...["", "ftp://localhost", "http://", "unix:/x", "http://localhost:99999"],
    ...[
      "http://user:pw@localhost",
      "http://:pw@localhost",
      "http://user@localhost",
      "http://localhost/path",
      "http://localhost/?x=1",
    ],
    ...["http://localhost/#x"],
  ];
  for (const text of bad) {
    it(`throws when the edge is ${JSON.stringify(text)}`, () => {
      assert.throws(
        () => parseEdgeUrl(text),
        (error) => error instanceof EdgeUrlError && error.code === "bad_edge_url",
      );
    });
  }

  it("names the remedy when an address may mean two things", () => {
    assert.throws(() => parseEdgeUrl("::1:8080"), /The edge "::1:8080" cannot be read: write \[::1\]:8080, or /);
    assert.throws(() => parseEdgeUrl("localhost:99999"), /the port must be 1 to 65535$/);
  });

  it("sends no token over plain http beyond this machine unless it is told to", () => {
    for (const text of ["http://example.com", "ws://10.0.0.7:8080", "http://[fe80::1]", "http://127.example.com"]) {
      assert.throws(() => parseEdgeUrl(text), /--edge-insecure/);
      assert.equal(parseEdgeUrl(text, true).target.kind, "tcp");
    }
  });
});
