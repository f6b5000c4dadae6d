import { describe, it } from "node:test";
import assert from "node:assert/strict";
import { AddressError, formatAddress, formatTarget, isLoopback, parseListenTarget } from "../../src/net/mod.ts";

describe("parseListenTarget", () => {
  const valid: [string, unknown][] = [
    ["0.0.0.0:8080", { kind: "tcp", host: "0.0.0.0", port: 8080 }],
    ["8080", { kind: "tcp", host: "0.0.0.0", port: 8080 }],
    ["0", { kind: "tcp", host: "0.0.0.0", port: 0 }],
    ["[::1]:80", { kind: "tcp", host: "::1", port: 80 }],
    ["[::]:0", { kind: "tcp", host: "::", port: 0 }],
    ["[fe80::1%eth0]:65535", { kind: "tcp", host: "fe80::1%eth0", port: 65535 }],
    [":8080", { kind: "tcp", host: "::", port: 8080 }],
    ["localhost:80", { kind: "tcp", host: "localhost", port: 80 }],
    ["unix:/run/app.sock", { kind: "unix", path: "/run/app.sock" }],
    ["unix:relative.sock", { kind: "unix", path: "relative.sock" }],
    ["fd:3", { kind: "fd", fd: 3 }],
  ];
  for (const [text, target] of valid) {
    it(`reads ${text}`, () => assert.deepEqual(parseListenTarget(text), target));
  }

  const invalid = [
    "",
    "localhost",
    "65536",
    "localhost:",
    "localhost:http",
    "localhost:65536",
    "localhost:-1",
    "localhost: 80",
    "local host:80",
    "::1:80",
    "[::1]",
    "[::1:80",
    "[localhost]:80",
    "[::1]x:80",
    "http://localhost:80",
    "unix:",
    "unix:/a\0b",
    `unix:/${"a".repeat(103)}`,
    "fd:",
    "fd:-1",
    "fd:3x",
    "fd:99999999999",
  ];
  for (const text of invalid) {
    it(`refuses ${JSON.stringify(text.slice(0, 24))}, and names it`, () => {
      assert.throws(() => parseListenTarget(text), (error) => {
        assert.ok(error instanceof AddressError);
        assert.equal(error.code, "invalid_address");
        assert.ok(error.message.startsWith(`Invalid address "${text.replace("\0", "\\0")}": `), error.message);
        return true;
      });
    });
  }
});

describe("formatAddress", () => {
  it("writes IPv4, IPv6 and unix addresses so that they can be read again", () => {
    assert.equal(formatAddress({ kind: "tcp", host: "127.0.0.1", port: 80 }), "127.0.0.1:80");
    assert.equal(formatAddress({ kind: "tcp", host: "::1", port: 80 }), "[::1]:80");
    assert.equal(formatAddress({ kind: "unix", host: "/run/app.sock", port: 0 }), "unix:/run/app.sock");
    for (const text of ["127.0.0.1:80", "[::1]:80", "unix:/run/app.sock", "fd:3"]) {
      assert.equal(formatTarget(parseListenTarget(text)), text);
    }
  });
});

describe("isLoopback", () => {
  const table: [string, boolean][] = [
    ...["127.0.0.1", "127.9.9.9", "::1", "localhost", "shop.localhost"].map((host) =>
      [host, true] as [string, boolean]
    ),
    ...["128.0.0.1", "0.0.0.0", "::", "localhost.example.com", "127.0.0.1.example.com", "notlocalhost"]
      .map((host) => [host, false] as [string, boolean]),
  ];
  for (const [host, expected] of table) {
    it(`is ${expected} for ${host}`, () => assert.equal(isLoopback(host), expected));
  }
});
