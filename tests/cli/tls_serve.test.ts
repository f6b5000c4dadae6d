/** `edge serve` with TLS on its own listeners, and agents that trust it. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import { agentProgram } from "../../src/cli/agent.ts";
import { edgeProgram } from "../../src/cli/edge.ts";
import { dial, pinPattern } from "../../src/net/mod.ts";
import { type Issued, TestAuthority } from "../support/issued.ts";
import { bytesOf, eventually, latin1, SocketReader } from "../support/net.ts";
import { withScratch } from "../support/scratch.ts";
import { visitWith } from "../support/tls_edge.ts";
import { protocols } from "../support/tunnel.ts";
import { withUpstream } from "./operated_edge.ts";
import { type Event, ProgramRun, runToEnd } from "./program_run.ts";

const token = "a-token-of-the-tests";
const https = ["--listen", "https://127.0.0.1:0"];
const otherPin = `sha256/${"A".repeat(43)}=`;

interface RunningEdge {
  readonly ready: Event;
  readonly run: ProgramRun;
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  readonly data: string;
}

/** Runs `act` with an edge that has a data folder of its own, and ends it. */
function withEdge(args: readonly string[], act: (edge: RunningEdge) => Promise<void>, data?: string): Promise<void> {
  if (data === undefined) return withScratch((folder) => withEdge(args, act, folder));
  return runEdge(args, act, data);
}

async function runEdge(args: readonly string[], act: (edge: RunningEdge) => Promise<void>, data: string) {
  const words = ["serve", "--json", "--token", token, "--data", data, "--log-level", "info", ...args];
  const run = new ProgramRun(edgeProgram, words);
  try {
    const ready = await run.event("ready");
    await act({ ready, run, url: String((ready.listeners as string[])[0]), data });
  } finally {
    assert.equal(await run.stop(), 0, run.stderr);
    assert.equal(run.subscriptions, 0);
  }
}

/** The answer to `GET /` of `host`, over TLS that trusts `tls`. */
async function visit(url: string, host: string, tls: { ca?: string; pins?: readonly string[] }): Promise<string> {
  const { port } = new URL(url);
  const socket = await dial({ kind: "tcp", host: "127.0.0.1", port: Number(port), tls: { serverName: host, ...tls } });
  const reader = new SocketReader(socket);
  socket.write(bytesOf(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
  const answer = latin1(await reader.readAll());
  socket.end();
  return answer;
}

describe("edge serve --tls-self-signed", () => {
  it("tells its pin and where it listens, and how to connect an agent", () =>
    withScratch(async (data) => {
      const args = ["serve", "--token", token, "--data", data, ...https, "--tls-self-signed"];
      const run = new ProgramRun(edgeProgram, args);
      await run.waitFor(() => /^Pin .*\n/m.test(run.stdout));
      assert.equal(await run.stop(), 0);
      const [, pin = ""] = /^Pin {9}(\S+)$/m.exec(run.stdout) ?? [];
      assert.match(pin, pinPattern);
      const listening =
        /^Listening {3}https:\/\/127\.0\.0\.1:(\d+), and serving tunnels at https:\/\/NAME\.localhost:(\d+)$/m;
      const [, port, printed] = listening.exec(run.stdout) ?? [];
      assert.ok(port !== undefined && port === printed, run.stdout);
      const connect = `agent http 3000 --edge https://127.0.0.1:${port} --edge-pin ${pin} --token-file FILE`;
      assert.ok(run.stdout.includes(`Connect     ${connect}\n`), run.stdout);
    }));

  it("has the same pin after a restart, and another one in another folder", () =>
    withScratch((data) =>
      withEdge([...https, "--tls-self-signed"], async (first) => {
        await withEdge([...https, "--tls-self-signed"], (second) => {
          assert.equal(second.ready.pin, first.ready.pin);
          return Promise.resolve();
        }, data);
        await withEdge([...https, "--tls-self-signed"], (other) => {
          assert.notEqual(other.ready.pin, first.ready.pin);
          return Promise.resolve();
        });
      }, data)
    ));

  for (const protocol of protocols) {
    it(`serves a tunnel whose agent has the pin (${protocol})`, () =>
      withEdge([...https, "--tls-self-signed"], ({ ready, url, data }) =>
        withUpstream(async ({ port }) => {
          const pin = String(ready.pin);
          const call = [
            "http",
            String(port),
            "--edge",
            url,
            "--token",
            token,
            "--name",
            "shop",
            "--protocol",
            protocol,
          ];
          const agent = new ProgramRun(agentProgram, [...call, "--json", "--edge-pin", otherPin, "--edge-pin", pin]);
          const opened = await agent.event("ready");
          assert.equal(opened.url, `https://shop.localhost:${new URL(url).port}`);
          assert.match(await visit(url, "shop.localhost", { pins: [pin] }), /^HTTP\/1\.1 200 /);
          assert.equal(await agent.stop(), 0);
          const refused = await runToEnd(agentProgram, [...call, "--edge-pin", otherPin]);
          assert.equal(refused.exitCode, 4);
          assert.ok(refused.stderr.includes(`another key than the pinned one: ${pin}\n`), refused.stderr);
          assert.match(refused.stderr, /\nGive --edge-pin what the edge prints at its start/);
          // It can also be trusted as what it is: its own authority.
          const ca = (await readFile(join(data, "self-signed.pem"), "utf8")).split("-----BEGIN PRIVATE KEY")[0];
          for (const host of ["localhost", "127.0.0.1"]) {
            assert.match(await visit(url, host, { ca }), /^HTTP\/1\.1 404 /, host);
          }
          const unpinned = await runToEnd(agentProgram, call);
          assert.equal(unpinned.exitCode, 4);
          assert.match(unpinned.stderr, /its certificate is self-signed\nTrust .* with --edge-pin/);
        })));
  }

  it("serves an agent run that has the pin, and no other one", () =>
    withEdge([...https, "--tls-self-signed"], ({ ready, url, data }) =>
      withUpstream(async ({ port }) => {
        const file = join(data, "tunnels.yaml");
        await writeFile(file, `tunnels: { shop: { upstream: "${port}" } }`);
        const run = (pin: string) =>
          new ProgramRun(agentProgram, [
            ...["run", "--config", file, "--edge", url, "--token", token, "--json", "--edge-pin", pin],
          ], { environment: { RUNNEL_LOG_LEVEL: "warn" } });
        const pin = String(ready.pin);
        const agent = run(pin);
        await agent.event("ready");
        assert.match(await visit(url, "shop.localhost", { pins: [pin] }), /^HTTP\/1\.1 200 /);
        assert.equal(await agent.stop(), 0);
        const other = run(otherPin);
        await other.waitFor(() => other.stderr.includes(`another key than the pinned one: ${pin}`));
        assert.equal(await other.stop(), 0);
      })));

  it("is logged in to with a pin, which is kept for that edge alone", () =>
    withScratch((home) =>
      withEdge([...https, "--tls-self-signed"], async ({ ready, url }) => {
        const pin = String(ready.pin);
        const login = (...args: string[]) =>
          runToEnd(agentProgram, ["login", url, "--token", token, ...args], { home });
        assert.equal((await login("--edge-pin", otherPin)).exitCode, 4);
        const { exitCode, stderr } = await login("--edge-pin", pin);
        assert.equal(exitCode, 0, stderr);
        const file = join(home, ".config/runnel/agent.yaml");
        assert.equal(await readFile(file, "utf8"), `edge: ${url}\ntoken: ${token}\nedgePin:\n  - ${pin}\n`);
        const agent = new ProgramRun(agentProgram, ["http", "3000", "--json"], { home });
        await agent.event("ready");
        assert.equal(await agent.stop(), 0);
        // Another edge is not held to it, and gets no token either.
        const elsewhere = ["http", "3000", "--edge", "http://127.0.0.1:1"];
        assert.match((await runToEnd(agentProgram, elsewhere, { home })).stderr, /^error: No token for http:\/\/127/);
        const unreachable = [...elsewhere, "--token", token, "--connect-timeout", "10ms"];
        assert.equal((await runToEnd(agentProgram, unreachable, { home })).exitCode, 4);
        assert.equal((await login("--no-check")).exitCode, 0);
        assert.doesNotMatch(await readFile(file, "utf8"), /edgePin/);
      })
    ));

  it("ends with 2 when the pin has no use", async () => {
    const calls: [args: string[], reason: RegExp][] = [
      [["--edge", "http://127.0.0.1:1", "--edge-pin", otherPin], /not encrypted, and so has no key to pin/],
      [["--edge-pin", "sha256/abc"], /--edge-pin "sha256\/abc" is no pin/],
      [
        ["--edge", "https://a.test", "--edge-ca", "x", "--edge-pin", otherPin],
        /are both given, and only one can count/,
      ],
    ];
    for (const [args, reason] of calls) {
      const { exitCode, stderr } = await runToEnd(agentProgram, ["http", "3000", "--token", token, ...args]);
      assert.equal(exitCode, 2, args.join(" "));
      assert.match(stderr, reason);
    }
  });
});

describe("edge serve --tls-cert", () => {
  let authority: TestAuthority;
  before(async () => void (authority = await TestAuthority.create()));

  async function write(folder: string, name: string, { chain, key }: Issued): Promise<string[]> {
    const [cert, keyPath] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
    await writeFile(cert, chain);
    await writeFile(keyPath, key);
    return ["--tls-cert", cert, "--tls-key", keyPath];
  }

  it("shows each client the certificate of its name, and the first one, or a refusal, to others", () =>
    withScratch(async (folder) => {
      const domain = await write(folder, "domain", await authority.issue({ names: ["example.com", "*.example.com"] }));
      const other = await write(folder, "other", await authority.issue({ names: ["shop.test"] }));
      const args = ["--domain", "example.com", ...https, ...domain, ...other];
      await withEdge(args, async ({ ready, url }) => {
        assert.equal(ready.publicUrl, `https://example.com:${new URL(url).port}`);
        assert.equal(ready.pin, undefined);
        for (const host of ["shop.example.com", "shop.test", "example.com"]) {
          assert.match(await visit(url, host, { ca: authority.pem }), /^HTTP\/1\.1 404 /, host);
        }
        await assert.rejects(visit(url, "elsewhere.test", { ca: authority.pem }), /is not for elsewhere\.test/);
      });
      await withEdge([...args, "--tls-unknown-name", "refuse"], async ({ url }) => {
        assert.match(await visit(url, "shop.test", { ca: authority.pem }), /^HTTP\/1\.1 404 /);
        await assert.rejects(visit(url, "elsewhere.test", { ca: authority.pem }), (error: Error) => {
          assert.doesNotMatch(error.message, /is not for/);
          return true;
        });
      });
    }));

  it("takes a renewed pair at SIGHUP, for new connections", () =>
    withScratch(async (folder) => {
      const names = ["shop.test"];
      const pair = await write(folder, "site", await authority.issue({ names }));
      await withEdge([...https, ...pair], async ({ url, run }) => {
        const before = await visit(url, "shop.test", { ca: authority.pem });
        const successor = await TestAuthority.create("successor");
        await write(folder, "site", await successor.issue({ names }));
        run.signal("SIGHUP");
        await eventually(async () =>
          await visit(url, "shop.test", { ca: successor.pem }).then((answer) => answer.length === before.length, () =>
            false)
        );
        await assert.rejects(visit(url, "shop.test", { ca: authority.pem }), /unknown authority/);
      });
    }));

  it("goes beside a self-signed one, which answers for the domain", () =>
    withScratch(async (folder) => {
      const pair = await write(folder, "site", await authority.issue({ names: ["shop.test"] }));
      await withEdge([...https, ...pair, "--tls-self-signed"], async ({ ready, url }) => {
        const pins = [String(ready.pin)];
        assert.match(await visit(url, "shop.test", { ca: authority.pem }), /^HTTP\/1\.1 404 /);
        assert.match(await visit(url, "blog.localhost", { pins }), /^HTTP\/1\.1 404 /);
        await assert.rejects(visit(url, "elsewhere.test", { pins }), /another key/);
      });
    }));

  it("asks visitors for a certificate of --client-ca, and agents for none", () =>
    withScratch(async (folder) => {
      const ca = join(folder, "ca.pem");
      await writeFile(ca, authority.pem);
      const [visitor, rogue] = [await authority.issue({ isForClient: true }), await TestAuthority.create()];
      await withEdge([...https, "--tls-self-signed", "--client-ca", ca], ({ ready, url }) =>
        withUpstream(async (upstream) => {
          const pinned = ["--edge", url, "--edge-pin", String(ready.pin), "--token", token, "--name", "shop"];
          const agent = new ProgramRun(agentProgram, ["http", String(upstream.port), ...pinned, "--json"]);
          await agent.event("ready");
          const port = Number(new URL(url).port);
          const name = "shop.localhost";
          assert.deepEqual(await visitWith(port, name, name, visitor), { status: 200, body: "hello" });
          await assert.rejects(visitWith(port, name, name));
          await assert.rejects(visitWith(port, name, name, await rogue.issue({ isForClient: true })));
          assert.equal((await visitWith(port, "localhost", name)).status, 421);
          assert.equal(await agent.stop(), 0);
        }));
    }));

  it("asks visitors of one tunnel for a certificate of its own --client-ca, by each of its hosts", () =>
    withScratch(async (folder) => {
      const other = await TestAuthority.create("of shop alone");
      const [all, own] = [join(folder, "ca.pem"), join(folder, "shop.pem")];
      await Promise.all([writeFile(all, authority.pem), writeFile(own, other.pem)]);
      const [visitor, shopper] = [
        await authority.issue({ isForClient: true }),
        await other.issue({ isForClient: true }),
      ];
      const rules = ["--client-ca", all, "--client-ca", `Shop=${own}`, "--admin-listen", "127.0.0.1:0"];
      await withEdge([...https, "--tls-self-signed", ...rules], async ({ ready, url, data }) => {
        const adminToken = (await readFile(join(data, "admin-token"), "utf8")).trim();
        const post = async (path: string, body: object) => {
          const answer = await fetch(`http://${ready.admin}/api/v1/${path}`, {
            method: "POST",
            headers: { Authorization: `Bearer ${adminToken}`, "Content-Type": "application/json" },
            body: JSON.stringify(body),
          });
          assert.ok(answer.ok, await answer.text());
        };
        const port = Number(new URL(url).port);
        const [shop, blog, customer] = ["shop.localhost", "blog.localhost", "shop.customer.test"] as const;
        const status = async (name: string, host: string, shown?: Issued) =>
          (await visitWith(port, name, host, shown)).status;
        assert.equal(await status(shop, shop, shopper), 404);
        await assert.rejects(visitWith(port, shop, shop, visitor));
        await assert.rejects(visitWith(port, shop, shop));
        assert.equal(await status(blog, blog, visitor), 404);
        await assert.rejects(visitWith(port, blog, blog, shopper));
        assert.equal(await status(shop, blog, shopper), 421);
        assert.equal(await status(blog, shop, visitor), 421);
        assert.equal(await status("localhost", shop), 421);
        // A hostname has the policy of all tunnels until one has it as its own.
        assert.equal(await status(customer, customer, visitor), 404);
        await post("nodes", { name: "web-1" });
        const upstream = "http://127.0.0.1:3000";
        await post("tunnels", { name: "shop", nodes: ["web-1"], upstream, hostnames: [customer] });
        assert.equal(await status(customer, customer, shopper), 503);
        assert.equal(await status(shop, customer, shopper), 503);
        assert.equal(await status(blog, customer, visitor), 421);
        await assert.rejects(visitWith(port, customer, customer, visitor));
      });
    }));

  it("sends visitors of http:// to https://, but for --plain-http, and says --hsts there", () =>
    withScratch(async (folder) => {
      const pair = await write(folder, "site", await authority.issue({ names: ["localhost"] }));
      const args = [...https, "--listen", "http://127.0.0.1:0", "--listen", "127.0.0.1:0", ...pair];
      args.push("--hsts", "180d", "--plain-http", "127.0.0.1");
      await withEdge(args, async ({ ready, url }) => {
        const [secure, redirecting, plain] = ready.listeners as [string, string, string];
        assert.equal(secure, url);
        assert.equal(secure, `https://${ready.listen}`);
        assert.match(redirecting, /^http:\/\/127\.0\.0\.1:\d+$/);
        assert.match(plain, /^127\.0\.0\.1:\d+$/);
        const ask = async (address: string, host: string) => {
          const port = Number(address.split(":").at(-1));
          const reader = new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
          reader.socket.write(bytesOf(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`));
          const answer = latin1(await reader.readAll());
          reader.socket.end();
          return answer;
        };
        const moved = await ask(redirecting, "localhost");
        assert.ok(moved.startsWith("HTTP/1.1 308 "), moved);
        assert.ok(moved.includes(`\r\nLocation: https://localhost:${new URL(url).port}/\r\n`), moved);
        assert.match(await ask(plain, "localhost"), /^HTTP\/1\.1 404 /);
        assert.match(await ask(redirecting, "127.0.0.1"), /^HTTP\/1\.1 404 /);
        const strict = await visit(url, "localhost", { ca: authority.pem });
        assert.ok(strict.includes("\r\nStrict-Transport-Security: max-age=15552000\r\n"), strict);
      });
    }));
});

describe("edge serve", () => {
  const pair = ["--tls-cert", "a.pem", "--tls-key", "a.key"];
  const wrong: [args: string[], reason: RegExp][] = [
    [
      ["--listen", "https://127.0.0.1:0"],
      /^error: --listen https:\/\/ needs a certificate\n.*--tls-self-signed.*proxy/,
    ],
    [["--listen", "127.0.0.1:0", ...pair], /^error: --tls-cert is for a listener with TLS, and there is none\n/],
    [["--listen", "127.0.0.1:0", "--tls-self-signed"], /^error: --tls-self-signed is for a listener with TLS/],
    [["--client-ca", "ca.pem"], /^error: --client-ca is for a listener with TLS/],
    [[...https, "--tls-cert", "a.pem"], /^error: There are 1 of --tls-cert, and 0 of --tls-key\n/],
    [[...https, "--tls-self-signed", "--tls-key", "a.key"], /^error: There are 0 of --tls-cert, and 1 of --tls-key\n/],
    [[...https, ...pair], /^error: --tls-cert a\.pem with --tls-key a\.key cannot be used: .*ENOENT/],
    [["--plain-http", "a.test"], /^error: --plain-http is for a listener that sends visitors to https/],
    [["--plain-http", "a_b"], /^error: --plain-http "a_b" is no host/],
    [["--hsts", "long"], /^error: --hsts "long" does not begin with a duration/],
    [["--tls-unknown-name", "drop"], /^error: --tls-unknown-name "drop" is none of default, refuse/],
    [
      [...https, "--tls-self-signed", "--client-ca", "ca.pem", "--default-tunnel", "shop"],
      /^error: --client-ca "ca\.pem" leaves the domain itself open.* --default-tunnel shop .*\n.*one of them out/,
    ],
    [
      [...https, "--tls-self-signed", "--client-ca", "shop=ca.pem", "--default-tunnel", "shop"],
      /^error: --client-ca "shop=ca\.pem" leaves the domain itself open.* --default-tunnel shop .*\n.*one of them out/,
    ],
    [
      [...https, "--tls-self-signed", "--client-ca", "blog=missing.pem", "--default-tunnel", "shop"],
      /^error: --client-ca "blog=missing\.pem" holds no cert/,
    ],
    [
      [...https, "--tls-self-signed", "--client-ca", "missing.pem"],
      /^error: --client-ca "missing\.pem" holds no cert.*ENOENT.*\n.*authorities in PEM/,
    ],
    [
      [...https, "--tls-self-signed", "--client-ca", "shop=missing.pem"],
      /^error: --client-ca "shop=missing\.pem" holds no cert.*ENOENT.*\n.*authorities in PEM/,
    ],
    [[...https, "--tls-self-signed", "--client-ca", ""], /^error: --client-ca "" names no file/],
    [[...https, "--tls-self-signed", "--client-ca", "shop="], /^error: --client-ca "shop=" names no file/],
    [
      [...https, "--tls-self-signed", "--client-ca", "shop.example.com=ca.pem"],
      /^error: --client-ca "shop\.example\.com=ca\.pem" is for no tunnel.* \.\/shop\.example\.com=ca\.pem/,
    ],
    [[...https, "--tls-self-signed", "--client-ca", "=ca.pem"], /^error: --client-ca "=ca\.pem" is for no tunnel/],
    [
      [...https, "--tls-self-signed", "--client-ca", "shop=a.pem", "--client-ca", "SHOP=b.pem"],
      /^error: --client-ca "shop=b\.pem" is the second one for the tunnel shop\n.*one file/,
    ],
    [
      [...https, "--tls-self-signed", "--client-ca", "a.pem", "--client-ca", "./b=c.pem"],
      /^error: --client-ca "\.\/b=c\.pem" is the second one for all tunnels\n.*one file/,
    ],
  ];
  for (const [args, reason] of wrong) {
    it(`ends with 2 for ${args.join(" ")}`, () =>
      withScratch(async (data) => {
        const { exitCode, stderr } = await runToEnd(edgeProgram, ["serve", "--token", token, "--data", data, ...args]);
        assert.equal(exitCode, 2, stderr);
        assert.match(stderr, reason);
      }));
  }
});
