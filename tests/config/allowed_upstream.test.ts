import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseAllowedUpstream } from "../../src/config/mod.ts";

describe("parseAllowedUpstream", () => {
  const entries: [text: string, name: string | null, port: number | null, within: string[], beyond: string[]][] = [
    ["10.0.0.0/8:5432", null, 5432, ["10.1.2.3"], ["11.0.0.1"]],
    ["127.0.0.1:*", null, null, ["127.0.0.1"], ["127.0.0.2"]],
    ["[fd00::/8]:443", null, 443, ["fd12::1"], ["fe80::1"]],
    ["[::1]:80", null, 80, ["::1"], ["::2", "127.0.0.1"]],
    ["localhost:3000", null, 3000, ["127.0.0.1", "::1"], ["127.0.0.2"]],
    ["LocalHost.:3000", null, 3000, ["127.0.0.1", "::1"], ["127.0.0.2"]],
    ["DB.internal:5432", "db.internal", 5432, [], ["10.0.0.1"]],
    ["db_1.internal.:*", "db_1.internal", null, [], ["10.0.0.1"]],
    ["[::ffff:10.0.0.0/104]:1", null, 1, ["10.9.9.9"], ["11.0.0.1"]],
  ];
  for (const [text, name, port, within, beyond] of entries) {
    it(`reads ${text}`, () => {
      const entry = parseAllowedUpstream(text);
      assert.deepEqual([entry.name, entry.port], [name, port]);
      const contains = (address: string) => entry.blocks.some((block) => block.contains(address));
      for (const address of within) assert.equal(contains(address), true, address);
      for (const address of beyond) assert.equal(contains(address), false, address);
    });
  }

  const faults: [text: string, fault: RegExp][] = [
    ["", /is none of HOST:PORT/],
    ["3000", /is none of HOST:PORT/],
    ["db.internal", /is none of HOST:PORT/],
    [":3000", /is none of HOST:PORT/],
    ["*:3000", /is none of HOST:PORT/],
    ["http://db:80", /is none of HOST:PORT/],
    ["unix:/run/docker.sock", /is none of HOST:PORT/],
    ["::1:80", /is none of HOST:PORT.*\[IPV6\]:PORT/],
    ["127.1:80", /is none of HOST:PORT/],
    ["2130706433:80", /is none of HOST:PORT/],
    ["user@db:80", /is none of HOST:PORT/],
    ["db:0", /port that is not 1 to 65535/],
    ["db:65536", /port that is not 1 to 65535/],
    ["10.0.0.0/33:80", /no block of addresses such as 10\.0\.0\.0\/8/],
    ["db.internal/8:80", /no block of addresses/],
    ["[10.0.0.0/8]:80", /no block of addresses/],
    ["[db.internal]:80", /no block of addresses/],
  ];
  for (const [text, fault] of faults) {
    it(`says what is wrong when the text is ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseAllowedUpstream(text), { message: fault });
    });
  }
});
