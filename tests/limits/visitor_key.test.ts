import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { visitorKey } from "../../src/limits/visitor_key.ts";

describe("visitorKey", () => {
  const table: readonly [address: string, key: string][] = [
    ["192.0.2.7", "192.0.2.7"],
    ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
    ["2001:0DB8:0001:0002:ffff::", "2001:db8:1:2::/64"],
    ["2001:db8:1:2::", "2001:db8:1:2::/64"],
    ["2001:db8:1:3::1", "2001:db8:1:3::/64"],
    ["2001:db8::1", "2001:db8:0:0::/64"],
    ["fe80::1%eth0", "fe80:0:0:0::/64"],
    ["::1", "0:0:0:0::/64"],
    ["::", "0:0:0:0::/64"],
    ["1:2:3:4:5:6:7::", "1:2:3:4::/64"],
    ["::2:3:4:5:6:7:8", "0:2:3:4::/64"],
    ["1::4:5:6:7:8", "1:0:0:4::/64"],
    ["::FFFF:192.0.2.7%eth0", "192.0.2.7"],
    ["::192.0.2.7", "0:0:0:0::/64"],
    ["64:ff9b::192.0.2.7", "64:ff9b:0:0::/64"],
    ["::ffff:192.0.2.7", "192.0.2.7"],
    ["::ffff:c000:207", "192.0.2.7"],
    ["", ""],
    ["unknown", "unknown"],
    ["not:an:address", "not:an:address"],
  ];
  for (const [address, key] of table) {
    it(`is ${JSON.stringify(key)} when the address is ${JSON.stringify(address)}`, () => {
      assert.equal(visitorKey(address), key);
      // The second time from memory.
      assert.equal(visitorKey(address), key);
    });
  }
});
