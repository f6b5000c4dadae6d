import { describe, it } from "node:test";
import assert from "node:assert/strict";
import fc from "fast-check";
import {
  AddressError,
  formatAddress,
  formatTarget,
  isLoopback,
  parseListenTarget,
  readHostPort,
} from "../../src/net/mod.ts";

describe("readHostPort", () => {
  const valid: [text: string, host: string, port: number | null][] = [
    ["8080", "", 8080],
    ["0", "", 0],
    [":8080", "*", 8080],
    ["*:8080", "*", 8080],
    ["*", "*", null],
    ["127.0.0.1", "127.0.0.1", null],
    ["127.0.0.1:80", "127.0.0.1", 80],
    ["localhost", "localhost", null],
    ["bücher.example:80", "bücher.example", 80],
    ["[::1]", "::1", null],
    ["[::1]:80", "::1", 80],
    ["[fe80::1%eth0]:65535", "fe80::1%eth0", 65535],
    ["::1", "::1", null],
    ["::", "::", null],
    ["fe80::1", "fe80::1", null],
    ["2001:db8::abcd", "2001:db8::abcd", null],
    ["::ffff:127.0.0.1", "::ffff:127.0.0.1", null],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", null],
  ];
  for (const [text, host, port] of valid) {
    it(`reads ${text}`, () => assert.deepEqual(readHostPort(text), { host, port }));
  }

  const faulty: [text: string, fault: string | null][] = [
    ["::1:8080", "write [::1]:8080, or [::1:8080] for an address without a port"],
    ["::8080", "write [::]:8080, or [::8080] for an address without a port"],
    ["2001:db8::8080", "write [2001:db8::]:8080, or [2001:db8::8080] for an address without a port"],
    ["localhost:", "the port is missing"],
    [":", "the port is missing"],
    ["65536", "the port must be 0 to 65535"],
    ["localhost:65536", "the port must be 0 to 65535"],
    ["123456", "the port must be 0 to 65535"],
    ...["", "localhost:http", "localhost: 80", "local host", "[::1", "[localhost]:80", "[::1]x:80", "[]", "**", "*x:80"]
      .map((text) => [text, null] as [string, null]),
    ...["http://localhost", "localhost/", "user@localhost:80", "localhost:-1", "1::2::3"]
      .map((text) => [text, null] as [string, null]),
  ];
  for (const [text, fault] of faulty) {
    it(`refuses ${JSON.stringify(text)}`, () => assert.deepEqual(readHostPort(text), { fault }));
  }

  it("takes no port below the least one", () => {
    assert.deepEqual(readHostPort("localhost:0", 1), { fault: "the port must be 1 to 65535" });
  });

  it("reads what formatAddress has written, whatever the address and the port", () => {
    const hosts = fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain());
    fc.assert(fc.property(hosts, fc.integer({ min: 0, max: 65535 }), (host, port) => {
      assert.deepEqual(readHostPort(formatAddress({ kind: "tcp", host, port })), { host, port });
    }));
  });
});

describe("parseListenTarget", () => {
  const valid: [string, unknown][] = [
    ["0.0.0.0:8080", { kind: "tcp", host: "0.0.0.0", port: 8080 }],
    ["8080", { kind: "tcp", host: "0.0.0.0", port: 8080 }],
    ["0", { kind: "tcp", host: "0.0.0.0", port: 0 }],
    ["[::1]:80", { kind: "tcp", host: "::1", port: 80 }],
    ["[::]:0", { kind: "tcp", host: "::", port: 0 }],
    ["[fe80::1%eth0]:65535", { kind: "tcp", host: "fe80::1%eth0", port: 65535 }],
    [":8080", { kind: "tcp", host: "::", port: 8080 }],
    ["*:8080", { kind: "tcp", host: "::", port: 8080 }],
    ["*", { kind: "tcp", host: "::", port: 4321 }],
    ["127.0.0.1", { kind: "tcp", host: "127.0.0.1", port: 4321 }],
    ["localhost", { kind: "tcp", host: "localhost", port: 4321 }],
    ["[::1]", { kind: "tcp", host: "::1", port: 4321 }],
    ["::1", { kind: "tcp", host: "::1", port: 4321 }],
    ["::", { kind: "tcp", host: "::", port: 4321 }],
    ["localhost:80", { kind: "tcp", host: "localhost", port: 80 }],
    ["unix:/run/app.sock", { kind: "unix", path: "/run/app.sock" }],
    ["unix:relative.sock", { kind: "unix", path: "relative.sock" }],
    ["fd:3", { kind: "fd", fd: 3 }],
  ];
  for (const [text, target] of valid) {
    it(`reads ${text}`, () => assert.deepEqual(parseListenTarget(text, 4321), target));
  }

  it("wants a port when it is given no default", () => {
    assert.throws(() => parseListenTarget("127.0.0.1"), /: the port is missing$/);
  });

  it("names the remedy when a text may mean two things, or something else", () => {
    assert.throws(() => parseListenTarget("::1:8080"), /write \[::1\]:8080, or/);
    assert.throws(() => parseListenTarget("/run/app.sock"), /write unix:\/run\/app\.sock$/);
  });

  const invalid = [
    "",
    "65536",
    "localhost:",
    "localhost:http",
    "localhost:65536",
    "localhost:-1",
    "localhost: 80",
    "local host:80",
    "::1:80",
    "[::1:80",
    "bücher.example:80",
    "-1",
    "./app.sock",
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
      assert.throws(() => parseListenTarget(text, 4321), (error) => {
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
