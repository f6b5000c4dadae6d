import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import type { ClientHello } from "../../../src/net/mod.ts";
import { ClientHelloReader, HelloError, MAX_HELLO_BYTES } from "../../../src/net/tls/client_hello.ts";
import {
  block,
  helloMessage,
  joined,
  protocolNames,
  recordsOf,
  serverName,
  supportedVersions,
  u16,
} from "../../support/hello.ts";
import { bytesOf } from "../../support/net.ts";

/** Reads the pieces one after the other; null where there is no whole hello yet. */
function read(...pieces: readonly Uint8Array[]): ClientHello | null {
  const reader = new ClientHelloReader();
  let hello: ClientHello | null = null;
  for (const piece of pieces) hello = reader.read(piece);
  return hello;
}

function refusal(bytes: Uint8Array): HelloError {
  try {
    read(bytes);
  } catch (error) {
    if (error instanceof HelloError) return error;
    throw error;
  }
  assert.fail("it was read");
}

const versions = supportedVersions(0x0304, 0x0303);
const usual = recordsOf(helloMessage({
  extensions: [[0x0a0a, new Uint8Array(1)], serverName("Shop.Example.com"), protocolNames("h2", "http/1.1"), versions],
}));
const expected: ClientHello = { serverName: "shop.example.com", protocols: ["h2", "http/1.1"] };

function withName(extension: readonly [number, Uint8Array]): Uint8Array {
  return recordsOf(helloMessage({ extensions: [extension, versions] }));
}

describe("ClientHelloReader", () => {
  it("gives name and protocols when the hello is whole", () => {
    assert.deepEqual(read(usual), expected);
  });

  it("gives none when the client offers none", () => {
    assert.deepEqual(read(recordsOf(helloMessage())), { serverName: null, protocols: [] });
    assert.deepEqual(read(recordsOf(helloMessage({ extensions: null }))), { serverName: null, protocols: [] });
  });

  it("gives the hello with the last byte when it comes byte by byte, and all bytes for the runtime", () => {
    const reader = new ClientHelloReader();
    for (let at = 0; at < usual.length - 1; at++) assert.equal(reader.read(usual.subarray(at, at + 1)), null);
    assert.deepEqual(reader.read(usual.subarray(-1)), expected);
    assert.deepEqual(reader.bytes, usual);
  });

  it("gives the same hello however it is cut into records and reads", () => {
    const message = usual.subarray(5);
    fc.assert(fc.property(fc.integer({ min: 1, max: 300 }), fc.array(fc.nat(400)), (fragmentBytes, lengths) => {
      const bytes = recordsOf(message, fragmentBytes);
      const pieces: Uint8Array[] = [];
      let at = 0;
      for (const length of lengths) {
        pieces.push(bytes.subarray(at, at + length));
        at += length;
      }
      assert.deepEqual(read(...pieces, bytes.subarray(at)), expected);
    }));
  });

  it("keeps what comes behind the hello, up to 16 KiB together", () => {
    const reader = new ClientHelloReader();
    const behind = new Uint8Array(MAX_HELLO_BYTES - usual.length);
    assert.deepEqual(reader.read(joined(usual, behind)), expected);
    assert.deepEqual(reader.bytes, joined(usual, behind));
    assert.equal(refusal(joined(usual, behind, [0])).alert, 50);
  });

  it("takes the name of a host from among others", () => {
    const other = joined([7], block(2, bytesOf("other.test")));
    const host = joined([0], block(2, bytesOf("a.test")));
    assert.equal(read(withName([0, block(2, other, host)]))?.serverName, "a.test");
    assert.equal(read(withName([0, block(2, other)]))?.serverName, null);
  });

  for (const name of ["127.0.0.1", "::1", "a b", "a..b", "a.test.", "-é", "x".repeat(64), `${"a.".repeat(127)}`]) {
    it(`takes ${JSON.stringify(name.slice(0, 20))} for no name`, () => {
      assert.equal(read(withName(serverName(name)))?.serverName, null);
    });
  }

  for (
    const [name, legacyVersion, list, isSpoken] of [
      ["1.3 and 1.2", 0x0303, [0x0304, 0x0303], true],
      ["1.3 alone", 0x0303, [0x0304], true],
      ["1.2 alone", 0x0303, [0x0303], true],
      ["1.2 without the extension", 0x0303, null, true],
      ["a later one without the extension", 0x0305, null, true],
      ["1.1 and 1.0", 0x0303, [0x0302, 0x0301], false],
      ["1.1 without the extension", 0x0302, null, false],
      ["SSL 3", 0x0300, null, false],
      ["versions that nobody knows", 0x0303, [0x0a0a, 0x7f17], false],
    ] as const
  ) {
    it(`${isSpoken ? "takes" : "refuses"} a client of ${name}`, () => {
      const extensions = list === null ? [] : [supportedVersions(...list)];
      const bytes = recordsOf(helloMessage({ legacyVersion, extensions }));
      if (isSpoken) assert.notEqual(read(bytes), null);
      else assert.equal(refusal(bytes).alert, 70);
    });
  }

  const truncated = helloMessage().slice(0, -3);
  truncated[3] -= 3;
  const malformed: [what: string, bytes: Uint8Array, alert: number | null][] = [
    ["ends before its last extension", recordsOf(truncated), 50],
    ["has bytes behind its extensions", recordsOf(helloMessage({ behind: Uint8Array.of(0) })), 50],
    ["has no ciphers", recordsOf(helloMessage({ ciphers: [] })), 50],
    ["has no compressions", recordsOf(helloMessage({ compressions: [] })), 50],
    ["has a session id of 33 bytes", recordsOf(helloMessage({ sessionId: new Uint8Array(33) })), 50],
    ["has two host names", withName(serverName("a.test", "b.test")), 50],
    ["has an empty host name", withName(serverName("")), 50],
    ["has an empty list of names", withName([0, block(2)]), 50],
    ["has its name twice", recordsOf(helloMessage({ extensions: [serverName("a.test"), serverName("a.test")] })), 50],
    ["has a name longer than its list", withName([0, block(2, [0], u16(9), bytesOf("a.test"))]), 50],
    ["has an empty protocol", withName(protocolNames("h2", "")), 50],
    ["has an empty list of protocols", withName(protocolNames()), 50],
    ["has bytes behind its protocols", withName([16, joined(protocolNames("h2")[1], [0])]), 50],
    ["has half a version", recordsOf(helloMessage({ extensions: [[43, block(1, [3])]] })), 50],
    ["has no versions in their list", recordsOf(helloMessage({ extensions: [supportedVersions()] })), 50],
    ["has an empty record", joined([0x16, 3, 1, 0, 0], usual), 50],
    ["has a record of 16,385 bytes", joined([0x16, 3, 1], u16(16_385)), 50],
    ["says that it has more than 16 KiB", joined([0x16, 3, 1, 0, 4, 1, 0, 0x40, 1]), 50],
    ["begins with another message", joined([0x16, 3, 1, 0, 4, 2]), 10],
    ["begins with application data", joined([0x17]), 10],
    ["has records of another protocol", joined([0x16, 2]), 70],
    ["is an alert", joined([0x15, 3, 1, 0, 2, 1, 0]), null],
    ["is one of SSL 2", joined([0x80, 0x2e, 1]), null],
    ["is noise", joined([0]), null],
  ];
  for (const [what, bytes, alert] of malformed) {
    it(`refuses a hello that ${what}`, () => {
      const error = refusal(bytes);
      assert.equal(error.alert, alert, error.message);
      assert.equal(error.isText, false);
    });
  }

  it("tells a request without TLS from other noise", () => {
    for (const request of ["GET / HTTP/1.1\r\n", `POST / HTTP/1.1\r\n\r\n${"x".repeat(20_000)}`]) {
      const error = refusal(bytesOf(request));
      assert.equal(error.isText, true);
      assert.equal(error.alert, null);
    }
  });

  it("refuses a hello that is not whole within 16 KiB, and takes one that just is", () => {
    const padded = (bytes: number) => {
      const empty = recordsOf(helloMessage({ extensions: [[21, new Uint8Array(0)], versions] })).length;
      return recordsOf(helloMessage({ extensions: [[21, new Uint8Array(bytes - empty)], versions] }));
    };
    assert.equal(padded(MAX_HELLO_BYTES).length, MAX_HELLO_BYTES);
    assert.notEqual(read(padded(MAX_HELLO_BYTES)), null);
    const long = recordsOf(padded(MAX_HELLO_BYTES).subarray(5), 1_000);
    const reader = new ClientHelloReader();
    assert.throws(() => {
      for (let at = 0; at < long.length; at++) reader.read(long.subarray(at, at + 1));
    }, (error) => error instanceof HelloError && error.alert === 50);
    assert.equal(reader.bytes.length, MAX_HELLO_BYTES);
  });

  it("throws nothing but its own error when bytes are changed or missing", () => {
    const change = fc.tuple(fc.nat(usual.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(change, { maxLength: 4 }), fc.nat(usual.length), (changes, length) => {
        const bytes = usual.slice(0, length);
        for (const [at, value] of changes) bytes[at % Math.max(1, length)] = value;
        try {
          read(bytes);
        } catch (error) {
          assert.ok(error instanceof HelloError, String(error));
        }
      }),
      { numRuns: 2_000 },
    );
  });
});
