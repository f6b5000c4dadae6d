import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { AllowedUpstreams } from "../../src/agent/mod.ts";
import { parseAllowedUpstream } from "../../src/config/mod.ts";
import { dial, type DialOptions, type DialTarget, SocketError } from "../../src/net/mod.ts";
import { missingIPv6, startTcpServer } from "../support/net.ts";

const listed = (...texts: string[]) => new AllowedUpstreams(texts.map(parseAllowedUpstream));
const tcp = (host: string, port = 80): DialTarget => ({ kind: "tcp", host, port });
const isRefusal = (reason: RegExp) => (error: unknown) => {
  assert.ok(error instanceof SocketError, String(error));
  assert.deepEqual([error.code, error.initiator, error.retryable], ["address_not_allowed", "user", false]);
  assert.match(error.reason, reason);
  return true;
};

describe("AllowedUpstreams", () => {
  const verdicts: [list: string[] | undefined, target: DialTarget, isForbidden: boolean][] = [
    [undefined, tcp("127.0.0.1", 1), false],
    [undefined, tcp("127.9.9.9"), false],
    [undefined, tcp("::1"), false],
    [undefined, tcp("::ffff:127.0.0.1"), false],
    [undefined, tcp("localhost"), false],
    [undefined, tcp("10.0.0.1"), true],
    [undefined, tcp("169.254.169.254"), true],
    [undefined, tcp("::ffff:169.254.169.254"), true],
    [undefined, tcp("0.0.0.0"), true],
    // Where it leads is known at the dial only.
    [undefined, tcp("app.internal"), false],
    [undefined, { kind: "unix", path: "/run/docker.sock" }, true],
    [["10.0.0.0/8:5432"], tcp("10.1.1.1", 5432), false],
    [["10.0.0.0/8:5432"], tcp("10.1.1.1", 5433), true],
    [["10.0.0.0/8:5432"], tcp("127.0.0.1", 5432), true],
    [["10.0.0.0/8:5432"], tcp("localhost", 5432), true],
    [["10.0.0.0/8:5432"], tcp("db.internal", 80), true],
    [["db.internal:80"], tcp("DB.Internal."), false],
    [["db.internal:80"], tcp("other.internal"), true],
    [["[::1]:80"], tcp("localhost"), false],
    [[], tcp("127.0.0.1"), true],
  ];
  for (const [list, target, isForbidden] of verdicts) {
    const shown = target.kind === "unix" ? target.path : `${target.host} port ${target.port}`;
    it(`${isForbidden ? "forbids" : "does not forbid"} ${shown} when the list is ${list ?? "the default"}`, () => {
      const allowed = list === undefined ? new AllowedUpstreams() : listed(...list);
      assert.equal(allowed.forbids(target), isForbidden);
    });
  }

  it("asks at each dial where a name leads, also when it has led to an allowed address before", async () => {
    let addresses = ["10.0.0.7"];
    const asked: boolean[][] = [];
    const dialer = listed("10.0.0.0/8:80", "other.internal:*").dialer((_, { isAllowed }: DialOptions) => {
      asked.push(addresses.map((address) => isAllowed!(address)));
      return Promise.reject(new Error("no network"));
    });
    const ask = (target: DialTarget) => assert.rejects(dialer(target, {}), /no network/);
    await ask(tcp("app.internal"));
    addresses = ["169.254.169.254", "::ffff:169.254.169.254", "10.0.0.8", "::ffff:10.0.0.8"];
    await ask(tcp("app.internal"));
    await ask(tcp("app.internal", 81));
    // A name of the list is trusted, wherever it leads.
    await ask(tcp("other.internal", 81));
    assert.deepEqual(asked, [[true], [false, false, true, true], [false, false, false, false], [
      true,
      true,
      true,
      true,
    ]]);
  });

  it("passes the dial's own options on", async () => {
    const seen: DialOptions[] = [];
    const dialer = new AllowedUpstreams().dialer((_, options) => {
      seen.push(options);
      return Promise.reject(new Error("no network"));
    });
    await assert.rejects(dialer(tcp("127.0.0.1"), { timeoutMs: 5, tcpTimeoutMs: 7 }));
    assert.deepEqual([seen[0].timeoutMs, seen[0].tcpTimeoutMs], [5, 7]);
  });

  it("dials this machine, and no unix socket, when it has no list", async () => {
    const server = await startTcpServer();
    const dialer = new AllowedUpstreams().dialer();
    for (const host of ["127.0.0.1", "localhost", "::ffff:127.0.0.1"]) {
      if (host.includes(":") && missingIPv6 !== false) continue;
      (await dialer(tcp(host, server.port), {})).reset();
    }
    await assert.rejects(
      dialer({ kind: "unix", path: "/run/docker.sock" }, {}),
      isRefusal(/^Cannot connect to unix:\/run\/docker\.sock: unix sockets are not allowed$/),
    );
    await assert.rejects(
      dialer(tcp("192.0.2.1"), {}),
      isRefusal(/^Cannot connect to 192\.0\.2\.1:80: 192\.0\.2\.1 is not allowed$/),
    );
    await server.close();
  });
});

describe("dial with a list of addresses", () => {
  // The system's resolver knows other spellings of an address, so that no network is needed.
  const spellings = ["127.1", "2130706433", "0x7f000001"];
  for (const host of [...spellings, "localhost", "app.localhost", "127.0.0.1"]) {
    it(`dials ${host} when its address is allowed, and does not when it is not`, async () => {
      const server = await startTcpServer();
      const target = tcp(host, server.port);
      const asked: string[] = [];
      const isAllowed = (address: string) => asked.push(address) > 0 && address === "127.0.0.1";
      (await dial(target, { isAllowed })).reset();
      assert.ok(asked.includes("127.0.0.1"), asked.join());
      const refuse = { isAllowed: (address: string) => address === "192.0.2.1" };
      await assert.rejects(dial(target, refuse), isRefusal(/127\.0\.0\.1(, ::1)? is (not )?allowed$/));
      await server.close();
    });
  }

  it("dials none but the allowed addresses of a name", { skip: missingIPv6 }, async () => {
    const server = await startTcpServer();
    // The server is on 127.0.0.1 alone.
    const onlyIPv6 = { isAllowed: (address: string) => address === "::1" };
    await assert.rejects(dial(tcp("localhost", server.port), onlyIPv6), { code: "connection_refused" });
    await server.close();
  });

  it("leaves nothing behind when it refuses, however often", async () => {
    const nothing = { isAllowed: () => false };
    for (let count = 0; count < 200; count++) {
      await assert.rejects(dial(tcp(count % 2 === 0 ? "localhost" : "127.0.0.1"), nothing), isRefusal(/allowed$/));
    }
    const server = await startTcpServer();
    (await dial(tcp("127.0.0.1", server.port))).reset();
    await server.close();
  });
});
