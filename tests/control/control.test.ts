import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, it } from "node:test";
import {
  Control,
  ControlError,
  Directory,
  matchesPattern,
  type NewTunnel,
  parseHostname,
  TokenEnds,
  WallClock,
} from "../../src/control/mod.ts";
import { openSqliteStore, type Store } from "../../src/store/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";

interface Stage {
  control: Control;
  /** Another program's view of the same store. */
  other(): Promise<Control>;
  store: Store;
  clock: FakeClock;
}

function onStage(use: (stage: Stage) => Promise<void>, maxRecords?: number): Promise<void> {
  return withScratch(async (folder) => {
    const store = await openSqliteStore({ path: join(folder, "store.db") });
    const clock = new FakeClock();
    const open = () => Control.open({ store, domain: "Example.com", clock: new WallClock(clock, 1e12), maxRecords });
    try {
      await use({ control: await open(), other: open, store, clock });
    } finally {
      await store.close();
    }
  });
}

function newTunnel(name: string, init: Partial<NewTunnel> = {}): NewTunnel {
  const upstream = "http://127.0.0.1:3000";
  const rest = { port: null, requires: [], project: null, settings: {} };
  return { name, kind: "http", nodes: ["web-1"], upstream, hostnames: [], ...rest, ...init };
}

const refusal = (code: string, message: RegExp | string) => (error: unknown) => {
  assert.ok(error instanceof ControlError, String(error));
  assert.equal(error.code, code);
  if (typeof message === "string") assert.equal(error.message, message);
  else assert.match(error.message, message);
  return true;
};

describe("Nodes", () => {
  it("have a token that is known from then on, by no other store entry than its hash", () =>
    onStage(async ({ control, other, store }) => {
      const { node, token } = await control.addNode("web-1", { site: "fra" }, "admin");
      assert.deepEqual([node.name, node.labels, node.createdAt], [
        "web-1",
        { site: "fra" },
        "2001-09-09T01:46:40.000Z",
      ]);
      assert.match(token, /^rnl_node_[a-z2-9]{16}_[\w-]{43}$/);
      assert.equal(control.directory.tokenOf(token)?.node, "web-1");
      assert.equal((await other()).directory.tokenOf(token)?.node, "web-1");
      const wrong = token.slice(0, -1) + (token.endsWith("A") ? "B" : "A");
      for (const text of [wrong, "", "token", token.toUpperCase(), `${token} `]) {
        assert.equal(control.directory.tokenOf(text), null);
      }
      const stored = JSON.stringify([await store.list("token"), await store.audit()]);
      assert.ok(!stored.includes(token.slice(-43)));
    }));

  it("are added once, under a name that can be one", () =>
    onStage(async ({ control }) => {
      await control.addNode("admin", {}, "admin");
      await assert.rejects(control.addNode("admin", {}, "x"), refusal("name_taken", "There is a node admin already"));
      for (const name of ["", "Web", "a.b", "-a", "a-", "a".repeat(64), "a\nb"]) {
        await assert.rejects(
          control.addNode(name, {}, "x"),
          refusal("bad_name", /^The node name ".*" must be 1 to 63/),
        );
      }
      const both = await Promise.allSettled([control.addNode("b", {}, "x"), control.addNode("b", {}, "y")]);
      assert.deepEqual(both.map(({ status }) => status), ["fulfilled", "rejected"]);
      assert.ok(refusal("conflict", /exists already: try again/)((both[1] as PromiseRejectedResult).reason));
    }));

  it("that rotate lose the old token at once, or at the end of the grace", () =>
    onStage(async ({ control, clock }) => {
      const { token: first } = await control.addNode("web-1", {}, "admin");
      const { token: second } = await control.rotateNode("web-1", 0, "admin");
      const known = (...tokens: string[]) => tokens.map((token) => control.directory.tokenOf(token) !== null);
      assert.deepEqual(known(first, second), [false, true]);
      const { token: third } = await control.rotateNode("web-1", 60_000, "admin");
      const { token: fourth } = await control.rotateNode("web-1", 600_000, "admin");
      clock.advance(59_999);
      assert.deepEqual(known(second, third, fourth), [true, true, true]);
      clock.advance(1);
      assert.deepEqual(known(second, third, fourth), [false, true, true]);
      clock.advance(540_000);
      assert.deepEqual(known(third, fourth), [false, true]);
      await assert.rejects(control.rotateNode("web-2", 0, "x"), refusal("node_not_found", "There is no node web-2"));
    }));

  it("have at most ten tokens, and one of two rotations at once is refused", () =>
    onStage(async ({ control, store }) => {
      await control.addNode("web-1", {}, "admin");
      for (let count = 1; count < 10; count++) await control.rotateNode("web-1", 60_000, "admin");
      await assert.rejects(
        control.rotateNode("web-1", 60_000, "admin"),
        refusal("too_many", "The node web-1 has 10 tokens: rotate without a grace"),
      );
      const both = await Promise.allSettled([control.rotateNode("web-1", 0, "x"), control.rotateNode("web-1", 0, "y")]);
      assert.deepEqual(both.map(({ status }) => status), ["fulfilled", "rejected"]);
      assert.equal((await store.list("token")).length, 1);
    }));

  it("never get a token back that was removed while they rotate", () =>
    onStage(async ({ control }) => {
      const { token } = await control.addNode("web-1", {}, "admin");
      const [id] = control.directory.tokens.keys();
      const both = await Promise.allSettled([
        control.removeToken(id!, "admin"),
        control.rotateNode("web-1", 60_000, "admin"),
      ]);
      assert.deepEqual(both.map(({ status }) => status), ["fulfilled", "rejected"]);
      assert.ok(
        refusal("conflict", /^The token \S+ was changed meanwhile: try again$/)(
          (both[1] as PromiseRejectedResult).reason,
        ),
      );
      assert.equal(control.directory.tokenOf(token), null);
    }));

  it("that are removed take their tokens along, and leave their tunnels declared", () =>
    onStage(async ({ control }) => {
      const { token } = await control.addNode("web-1", {}, "admin");
      await control.addNode("web-2", {}, "admin");
      await control.addTunnel(newTunnel("one"), "admin");
      await control.addTunnel(newTunnel("two", { nodes: ["web-1", "web-2"] }), "admin");
      assert.deepEqual(await control.removeNode("web-1", "admin"), ["one"]);
      assert.equal(control.directory.tokenOf(token), null);
      assert.deepEqual([...control.directory.tunnels.values()].map(({ value }) => value.nodes), [[], ["web-2"]]);
      await assert.rejects(control.removeNode("web-1", "x"), refusal("node_not_found", "There is no node web-1"));
    }));
});

describe("Tokens of names", () => {
  it("have a pattern, and end when they expire or are removed", () =>
    onStage(async ({ control, clock }) => {
      const { token, record } = await control.addToken("pr-*", 1_000, "admin");
      assert.match(token, /^rnl_name_/);
      assert.equal(control.directory.tokenOf(token)?.names, "pr-*");
      clock.advance(1_000);
      assert.equal(control.directory.tokenOf(token), null);
      await control.removeToken(record.id, "admin");
      await assert.rejects(control.removeToken(record.id, "x"), refusal("token_not_found", /^There is no token /));
      for (const pattern of ["", "P*", "a*b", "**"]) {
        await assert.rejects(control.addToken(pattern, null, "x"), refusal("bad_name", /^The pattern ".*" /));
      }
    }));

  it("match names by their beginning, or whole", () => {
    const cases = [["pr-*", "pr-1", true], ["pr-*", "pr-", true], ["pr-*", "p", false], ["*", "a", true]] as const;
    for (const [pattern, name, matches] of cases) {
      assert.equal(matchesPattern(pattern, name), matches, `${pattern} ${name}`);
    }
    assert.deepEqual([matchesPattern("shop", "shop"), matchesPattern("shop", "shop2")], [true, false]);
  });
});

describe("Expired tokens", () => {
  it("make room where there is none left, and not before", () =>
    onStage(async ({ control, clock }) => {
      const lasting = await control.addToken("a", null, "admin");
      const short = await control.addToken("b", 1_000, "admin");
      const full = refusal("too_many", "The edge has 2 tokens, which is the most that it takes");
      await assert.rejects(control.addToken("c", null, "x"), full);
      clock.advance(1_000);
      assert.ok(control.directory.tokens.has(short.record.id));
      const third = await control.addToken("c", null, "admin");
      assert.deepEqual([...control.directory.tokens.keys()].sort(), [lasting.record.id, third.record.id].sort());
      await assert.rejects(control.addToken("d", null, "x"), full);
      // Those of nodes have room of their own.
      await control.addNode("web-1", {}, "admin");
    }, 2));
});

describe("TokenEnds", () => {
  /** Every end that is told, as `id: reason`. */
  const told = ({ control, clock }: Stage) => {
    const ends: string[] = [];
    const wallClock = new WallClock(clock, 1e12 + clock.now());
    const tokenEnds = new TokenEnds(control.directory, wallClock, (id, reason) => ends.push(`${id}: ${reason}`), clock);
    return { ends, close: () => tokenEnds.close() };
  };

  it("tells of a grace that was over before it was stored", () =>
    onStage(async (stage) => {
      const { control, clock } = stage;
      await control.addNode("web-1", {}, "admin");
      const [old] = control.directory.tokens.keys();
      const { ends } = told(stage);
      const rotated = control.rotateNode("web-1", 1, "admin");
      clock.advance(1);
      await rotated;
      assert.deepEqual(ends, [`${old}: The token has expired`]);
    }));

  it("tells of ends that are months away, once each, and of none behind its own", () =>
    onStage(async (stage) => {
      const { control, clock } = stage;
      const { ends, close } = told(stage);
      const yearMs = 365 * 24 * 3_600_000;
      const [first, second] = [await control.addToken("a", yearMs, "x"), await control.addToken("b", 2 * yearMs, "x")];
      clock.advance(yearMs - 1);
      assert.deepEqual(ends, []);
      clock.advance(1);
      assert.deepEqual(ends, [`${first.record.id}: The token has expired`]);
      close();
      clock.advance(2 * yearMs);
      await control.removeToken(second.record.id, "x");
      assert.equal(ends.length, 1);
    }));
});

describe("A step of the system's clock", () => {
  it("ends no token early", () =>
    onStage(async ({ store }) => {
      const systemNow = Date.now;
      const control = await Control.open({ store, domain: "example.com" });
      const { token } = await control.addToken("a", 3_600_000, "admin");
      try {
        for (const stepMs of [86_400_000, -86_400_000]) {
          Date.now = () => systemNow() + stepMs;
          assert.equal(control.directory.tokenOf(token)?.names, "a");
          const { token: other } = await control.addToken("b", 3_600_000, "admin");
          assert.equal(control.directory.tokenOf(other)?.names, "b");
          Date.now = systemNow;
          assert.equal(control.directory.tokenOf(other)?.names, "b");
        }
      } finally {
        Date.now = systemNow;
      }
    }));

  it("back ends none early that was made before it, and keeps none for ever", () =>
    onStage(async ({ store, clock }) => {
      let stepMs = 0;
      const wallClock = new WallClock(clock, () => 1e12 + clock.now() + stepMs);
      const control = await Control.open({ store, domain: "example.com", clock: wallClock });
      const { token, record } = await control.addToken("a", 60_000, "admin");
      const ends: string[] = [];
      const tokenEnds = new TokenEnds(control.directory, wallClock, (id) => ends.push(id), clock);
      // The machine had started with a clock that was ahead.
      stepMs = -30_000;
      clock.advance(60_000);
      assert.equal(control.directory.tokenOf(token)?.names, "a");
      clock.advance(29_000);
      assert.deepEqual(ends, []);
      clock.advance(1_000);
      assert.deepEqual(ends, [record.id]);
      assert.equal(control.directory.tokenOf(token), null);
      tokenEnds.close();
    }));
});

describe("Directory", () => {
  it("shows all of a commit to those who are told of a part", () =>
    onStage(async ({ control }) => {
      await control.addNode("web-1", {}, "admin");
      const seen: unknown[] = [];
      control.directory.onChange((kind) => seen.push([kind, control.directory.tunnelOfHost("a.test")?.name]));
      await control.addTunnel(newTunnel("a", { hostnames: ["a.test"] }), "admin");
      await control.removeTunnel("a", "admin");
      // The node is written with its tunnel.
      const kinds = ["tunnel", "hostname", "node"];
      assert.deepEqual(seen, ["a", undefined].flatMap((name) => kinds.map((kind) => [kind, name])));
    }));

  it("knows the tunnels of a node", () =>
    onStage(async ({ control }) => {
      for (const name of ["web-1", "web-2"]) await control.addNode(name, {}, "admin");
      await control.addTunnel(newTunnel("b", { nodes: ["web-1", "web-2"] }), "admin");
      await control.addTunnel(newTunnel("a"), "admin");
      const { directory } = control;
      assert.deepEqual([directory.tunnelsOf("web-1"), directory.tunnelsOf("web-2")], [["a", "b"], ["b"]]);
      await control.removeNode("web-1", "admin");
      assert.deepEqual([directory.tunnelsOf("web-1"), directory.tunnelsOf("web-2")], [[], ["b"]]);
      await control.removeTunnel("b", "admin");
      assert.deepEqual(directory.tunnelsOf("web-2"), []);
    }));

  it("follows another program, also over commits that were missed", () =>
    withScratch(async (folder) => {
      const clock = new FakeClock();
      const open = (clock?: FakeClock) => openSqliteStore({ path: join(folder, "store.db"), clock, keptRevisions: 5 });
      const [mine, others] = [await open(clock), await open()];
      const directory = await Directory.load(mine, new WallClock(clock, 1e12));
      const control = await Control.open({ store: others, domain: "example.com" });
      const changes: string[] = [];
      directory.onChange((kind, before, after) => {
        changes.push(`${before === null ? "+" : after === null ? "-" : "~"}${kind}`);
      });
      const { token } = await control.addNode("web-1", {}, "admin");
      const removed = await control.addNode("web-2", {}, "admin");
      clock.advance(1_000);
      await eventually(() => directory.revision === 2);
      assert.equal(directory.tokenOf(token)?.node, "web-1");
      assert.deepEqual(changes.splice(0), ["+node", "+token", "+node", "+token"]);
      await control.removeNode("web-2", "admin");
      for (let count = 0; count < 10; count++) await control.rotateNode("web-1", 0, "admin");
      clock.advance(1_000);
      await eventually(() => directory.revision === 13);
      assert.deepEqual(changes.splice(0).sort(), ["+token", "-node", "-token", "-token", "~node"]);
      assert.deepEqual([directory.tokenOf(token), directory.tokenOf(removed.token)], [null, null]);
      assert.deepEqual([...directory.nodes.keys()], ["web-1"]);
      assert.deepEqual([...directory.tokens.keys()], [...control.directory.tokens.keys()]);
      await Promise.all([mine.close(), others.close()]);
    }));
});

describe("Tunnels", () => {
  it("are found by their own hostnames, an exact one before a wildcard", () =>
    onStage(async ({ control, other }) => {
      await control.addNode("web-1", {}, "admin");
      await control.addTunnel(newTunnel("wild", { hostnames: ["*.Shop.test."] }), "admin");
      await control.addTunnel(
        newTunnel("exact", { hostnames: ["a.shop.test", "bücher.test", "a.shop.test"] }),
        "admin",
      );
      for (const { directory } of [control, await other()]) {
        const nameOf = (host: string) => directory.tunnelOfHost(host)?.name;
        assert.deepEqual(
          ["a.shop.test", "b.shop.test", "shop.test", "x.b.shop.test", "xn--bcher-kva.test", "test"].map(nameOf),
          ["exact", "wild", undefined, undefined, "exact", undefined],
        );
      }
      await control.removeTunnel("exact", "admin");
      assert.equal(control.directory.tunnelOfHost("a.shop.test")?.name, "wild");
      await control.addTunnel(newTunnel("third", { hostnames: ["a.shop.test"] }), "admin");
    }));

  it("cannot have a hostname, a port, a name or a node that is not to be had", () =>
    onStage(async ({ control }) => {
      await control.addNode("web-1", {}, "admin");
      await control.addTunnel(newTunnel("first", { hostnames: ["shop.test"], upstream: "http://10.1.2.3:9" }), "admin");
      await control.addTunnel(newTunnel("db", { kind: "tcp", port: 20_001, upstream: "10.1.2.3:9" }), "admin");
      const add = (name: string, init: Partial<NewTunnel>) => control.addTunnel(newTunnel(name, init), "x");
      const holder = "The hostname shop.test belongs to the tunnel first of web-1";
      await assert.rejects(add("b", { hostnames: ["SHOP.test"] }), refusal("hostname_taken", holder));
      await assert.rejects(
        add("b", { kind: "tcp", port: 20_001 }),
        refusal("port_taken", "The port 20001 belongs to the tunnel db"),
      );
      await assert.rejects(add("first", {}), refusal("name_taken", "There is a tunnel first already"));
      await assert.rejects(
        add("www", {}),
        refusal("bad_name", "The name www is reserved: edge serve --reserved-name=-www frees it"),
      );
      await assert.rejects(add("b", { nodes: ["web-9"] }), refusal("node_not_found", "There is no node web-9"));
      await assert.rejects(control.removeTunnel("b", "x"), refusal("tunnel_not_found", "There is no tunnel b"));
      await assert.rejects(
        add("b", { port: 20_002 }),
        refusal("bad_request", "A port is for tcp tunnels, and this one is http: leave out port 20002"),
      );
      await assert.rejects(
        add("b", { kind: "tcp", hostnames: ["b.test"] }),
        refusal("bad_request", "A tcp tunnel is reached by its port: leave out its hostnames"),
      );
      const many = Array.from({ length: 101 }, (_, index) => `h${index}.test`);
      await assert.rejects(
        add("b", { hostnames: many }),
        refusal("bad_request", /at most 100 hostnames, and not 101$/),
      );
    }));

  it("never take the edge's own names", () =>
    onStage(async ({ control }) => {
      await control.addNode("web-1", {}, "admin");
      const faults = {
        "example.com": "is the edge's own domain",
        "*.EXAMPLE.com": "would take all names of the edge's domain",
        "blog.example.com": "is that of the tunnel named blog: name the tunnel so",
        "www.example.com": "is reserved: no tunnel has it",
      };
      for (const [hostname, fault] of Object.entries(faults)) {
        const message = `The hostname ${JSON.stringify(hostname)} ${fault}`;
        await assert.rejects(
          control.addTunnel(newTunnel("a", { hostnames: [hostname] }), "x"),
          refusal("bad_request", message),
        );
      }
      await control.addTunnel(newTunnel("a", { hostnames: ["*.a.example.com", "myexample.com"] }), "admin");
    }));

  it("name each of their nodes once", () =>
    onStage(async ({ control }) => {
      await control.addNode("web-1", {}, "admin");
      const { nodes } = await control.addTunnel(newTunnel("a", { nodes: ["web-1", "web-1"] }), "admin");
      assert.deepEqual(nodes, ["web-1"]);
    }));

  it("that are set anew keep their id, and only what differs is written", () =>
    onStage(async ({ control, store }) => {
      await control.addNode("web-1", {}, "admin");
      const first = await control.setTunnel(newTunnel("a", { hostnames: ["a.test", "b.test"] }), "admin");
      const second = await control.setTunnel(newTunnel("a", { hostnames: ["b.test", "c.test"] }), "admin");
      assert.equal(second.id, first.id);
      assert.deepEqual([...control.directory.hostnames.keys()].sort(), ["b.test", "c.test"]);
      const revision = await store.revision();
      await control.setTunnel(newTunnel("a", { hostnames: ["C.test", "b.test", "c.test"].reverse() }), "admin");
      assert.equal(await store.revision(), revision + 1);
      await control.setTunnel(newTunnel("a", { hostnames: ["c.test", "b.test"] }), "admin");
      assert.equal(await store.revision(), revision + 1);
      await control.setTunnel(newTunnel("kept", { project: "eu" }), "admin");
      await assert.rejects(
        control.setTunnel(newTunnel("kept"), "x"),
        refusal("name_taken", "The tunnel kept belongs to the project eu: change it there, or remove it first"),
      );
      await assert.rejects(
        control.setTunnel(newTunnel("a", { project: "eu" }), "x"),
        refusal("name_taken", "The tunnel a was declared alone: change it there, or remove it first"),
      );
    }));

  it("are limited in their hostnames, all together", () =>
    onStage(async ({ control }) => {
      await control.addNode("web-1", {}, "admin");
      await control.addTunnel(newTunnel("a", { hostnames: ["a.test", "b.test"] }), "admin");
      const full = refusal("too_many", "The edge takes 3 hostnames, and these would make 4");
      await assert.rejects(control.addTunnel(newTunnel("b", { hostnames: ["c.test", "d.test"] }), "x"), full);
      await control.setTunnel(newTunnel("a", { hostnames: ["c.test", "d.test", "e.test"] }), "admin");
      await assert.rejects(control.addTunnel(newTunnel("b", { hostnames: ["f.test"] }), "x"), full);
    }, 3));

  it("are limited in number, as nodes and tokens are", () =>
    onStage(async ({ control }) => {
      await control.addNode("web-1", {}, "admin");
      await control.addTunnel(newTunnel("a"), "admin");
      const full = (what: string) => refusal("too_many", `The edge has 1 ${what}, which is the most that it takes`);
      await assert.rejects(control.addTunnel(newTunnel("b"), "x"), full("tunnels"));
      await assert.rejects(control.addNode("web-2", {}, "x"), full("nodes"));
      await control.addToken("*", null, "admin");
      await assert.rejects(control.addToken("*", null, "x"), full("tokens"));
    }, 1));
});

describe("parseHostname", () => {
  it("refuses what is no hostname, with the reason", () => {
    const notOne = "is no hostname such as shop.example.com";
    const cases: Record<string, string> = {
      "": notOne,
      "a..b": notOne,
      ".a.b": notOne,
      "a b.test": notOne,
      "a.test:80": notOne,
      "a.test/x": notOne,
      "u@a.test": notOne,
      "-a.test": notOne,
      "xn--a.test": notOne,
      [`${"a".repeat(64)}.test`]: notOne,
      [`${"a.".repeat(130)}test`]: "has over 253 characters",
      "shop": "has one label: a tunnel's own NAME is served at NAME.DOMAIN",
      "*.test": "has one label: a tunnel's own NAME is served at NAME.DOMAIN",
      "*": "has a * that is not its whole first label",
      "a.*.test": "has a * that is not its whole first label",
      "*.*.test": "has a * that is not its whole first label",
      "a*.b.test": "has a * that is not its whole first label",
      "127.0.0.1": "is an address, or ends as one does",
      "0x7f.1": "is an address, or ends as one does",
      "[::1]": notOne,
    };
    for (const [text, fault] of Object.entries(cases)) assert.deepEqual(parseHostname(text), { fault }, text);
  });
});

describe("The audit log", () => {
  it("says who changed what, and holds no secret", () =>
    onStage(async ({ control, store }) => {
      const { token } = await control.addNode("web-1", { site: "fra" }, "admin");
      await control.addTunnel(newTunnel("a"), "key-7");
      await control.removeTunnel("a", "key-7");
      const entries = await store.audit();
      assert.deepEqual(entries.map(({ actor, action, subject }) => [actor, action, subject]), [
        ["key-7", "tunnel.remove", "a"],
        ["key-7", "tunnel.add", "a"],
        ["admin", "node.add", "web-1"],
      ]);
      assert.ok(!JSON.stringify(entries).includes(token.slice(-43)));
    }));

  it("says from where, if that is known", () =>
    onStage(async ({ control, store }) => {
      await control.addNode("a", {}, { id: "admin", address: "127.0.0.1" });
      await control.addNode("b", {}, { id: "admin", address: "" });
      const entries = await store.audit();
      assert.deepEqual(entries.map(({ actor, address }) => [actor, address]), [["admin", undefined], [
        "admin",
        "127.0.0.1",
      ]]);
    }));
});
