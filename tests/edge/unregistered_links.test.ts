import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { networkOf, UnregisteredLinks, type UnregisteredLinksOptions } from "../../src/edge/unregistered_links.ts";
import type { WebSocketConnection } from "../../src/websocket/mod.ts";

/** Links that are names, each of the address before its hyphen. What had to go is removed, as its owner does. */
function stage(options: UnregisteredLinksOptions) {
  const links = new UnregisteredLinks(options);
  const canceled: string[] = [];
  const asLink = (name: string) => name as unknown as WebSocketConnection;
  return {
    links,
    canceled,
    add(name: string): string | null {
      const timer = { cancel: () => void canceled.push(name) };
      const gone = links.add(asLink(name), name.split("-")[0] as string, timer);
      if (gone !== null) links.remove(gone);
      return gone as string | null;
    },
    remove: (name: string) => links.remove(asLink(name)),
  };
}

describe("UnregisteredLinks", () => {
  it("lets the oldest of an address go past its share", () => {
    const { add, canceled, links } = stage({ maxLinksPerAddress: 2 });
    assert.deepEqual(["a-1", "a-2", "b-1", "a-3", "b-2", "a-4"].map(add), [null, null, null, "a-1", null, "a-2"]);
    assert.deepEqual(canceled, ["a-1", "a-2"]);
    assert.equal(links.list().length, 4);
  });

  it("lets the oldest of the address that has the most go past the limit of all", () => {
    const { add, remove } = stage({ maxLinks: 4 });
    for (const name of ["honest-1", "a-1", "a-2", "b-1"]) assert.equal(add(name), null);
    assert.equal(add("c-1"), "a-1");
    remove("b-1");
    assert.deepEqual(["c-2", "c-3", "c-4"].map(add), [null, "c-1", "c-2"]);
  });

  it("takes the one that began first where all addresses have as many", () => {
    const { add } = stage({ maxLinks: 3 });
    assert.deepEqual(["a-1", "b-1", "c-1", "d-1", "e-1"].map(add), [null, null, null, "a-1", "b-1"]);
  });

  it("gives unknown addresses no share of their own", () => {
    const { add } = stage({ maxLinks: 3, maxLinksPerAddress: 1 });
    assert.deepEqual(["-1", "-2", "-3", "-4"].map(add), [null, null, null, "-1"]);
  });
});

describe("networkOf", () => {
  for (
    const [address, network] of [
      ["192.0.2.1", "192.0.2.1"],
      ["", ""],
      ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2"],
      ["2001:db8:1:2::6", "2001:db8:1:2"],
      ["2001:db8::6", "2001:db8:0:0"],
      ["::1", "0:0:0:0"],
      ["fe80::1%eth0", "fe80:0:0:0"],
      ["64:ff9b::192.0.2.1", "64:ff9b:0:0"],
      ["2001:db8::", "2001:db8:0:0"],
    ] as const
  ) {
    it(`is ${network} of ${address}`, () => assert.equal(networkOf(address), network));
  }
});
