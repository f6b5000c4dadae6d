import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AddressBlock } from "../../src/net/mod.ts";

describe("AddressBlock", () => {
  const cases: [block: string, within: string[], beyond: string[]][] = [
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.2.3", "::ffff:a01:203"], ["9.255.255.255", "11.0.0.0"]],
    ["10.1.2.3/8", ["10.0.0.1"], ["11.1.2.3"]],
    ["127.0.0.1", ["127.0.0.1", "::ffff:127.0.0.1", "0:0:0:0:0:FFFF:7f00:1"], ["127.0.0.2", "::1", "::7f00:1"]],
    ["127.0.0.1/32", ["127.0.0.1"], ["127.0.0.0"]],
    ["0.0.0.0/0", ["1.2.3.4", "::ffff:1.2.3.4"], ["::1", "2001:db8::1"]],
    ["fd00::/8", ["fd00::1", "fdff:ffff::", "FD12::", "fd00::1%eth0"], ["fc00::1", "fe00::", "10.0.0.1"]],
    ["::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1"]],
    ["fe80::/10", ["fe80::1%lo", "febf::"], ["fec0::"]],
    ["::/0", ["::1", "2001:db8::1"], ["10.0.0.1", "::ffff:10.0.0.1"]],
    ["::ffff:10.0.0.0/104", ["10.2.3.4", "::ffff:10.2.3.4"], ["11.0.0.0"]],
  ];
  for (const [text, within, beyond] of cases) {
    it(`contains what belongs to ${text}, and nothing else`, () => {
      const block = AddressBlock.parse(text)!;
      for (const address of within) assert.equal(block.contains(address), true, address);
      for (const address of [...beyond, "", "localhost", "10.0.0", "10.0.0.1/32"]) {
        assert.equal(block.contains(address), false, address);
      }
    });
  }

  for (
    const text of [
      ...["", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8/8", "10.0.0/8", "0x7f.1", "127.1", "::/129"],
      ...["::ffff:10.0.0.0/95", "fe80::1%eth0", "[::1]", "localhost", "localhost/8", "10.0.0.0/8x", " 10.0.0.0/8"],
    ]
  ) {
    it(`is not made of ${JSON.stringify(text)}`, () => assert.equal(AddressBlock.parse(text), null));
  }
});
