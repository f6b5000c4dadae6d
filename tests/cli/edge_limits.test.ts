/** The limits of `edge serve`: what its flags mean, and that the program keeps to them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { edgeProgram } from "../../src/cli/edge.ts";
import { limitsOf } from "../../src/cli/edge_serve/visitor_limits.ts";
import { edgeServeOptions } from "../../src/config/mod.ts";
import { resolveOptions } from "../../src/config/resolve.ts";
import { VisitorLimits } from "../../src/limits/mod.ts";
import { dial } from "../../src/net/mod.ts";
import { SocketReader } from "../support/net.ts";
import { assertProblem } from "../support/public_client.ts";
import { exchange } from "../support/tunnel.ts";
import { ProgramRun, runToEnd } from "./program_run.ts";

function valuesOf(flags: Record<string, string>) {
  const given = new Map(Object.entries(flags).map(([name, text]) => [name, [text]]));
  return resolveOptions(edgeServeOptions, { flags: given, environment: () => undefined }).values;
}

const limitsBy = (flags: Record<string, string>) => limitsOf(valuesOf(flags));

const nobody = "nobody.localhost";

/** Runs `use` with a program that has these flags. */
async function withEdge(
  flags: readonly string[],
  use: (ask: (request: string) => Promise<string>, run: ProgramRun) => Promise<void>,
): Promise<void> {
  const args = ["serve", "--listen", "127.0.0.1:0", "--json", "--token", "a-token-of-the-tests", ...flags];
  const run = new ProgramRun(edgeProgram, args, { environment: { RUNNEL_LOG_LEVEL: "warn" } });
  try {
    const port = Number(String((await run.event("ready")).listen).split(":").at(-1));
    const connect = async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
    await use((request) => exchange({ connect }, request), run);
  } finally {
    assert.equal(await run.stop(), 0, run.stderr);
  }
}

const request = (more: string, target = "/") =>
  `GET ${target} HTTP/1.1\r\nHost: ${nobody}\r\nConnection: close\r\n${more}\r\n`;
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);

describe("the limits of edge serve", () => {
  it("limit no visitor and no tunnel by default", () => {
    const { limits, http } = limitsBy({});
    assert.equal(VisitorLimits.of(limits?.visitors), null);
    assert.deepEqual(limits?.connections, {
      maxConnections: 65_536,
      maxPerAddress: Infinity,
      handshakes: { perSecond: 1_000, burst: 2_000 },
      handshakesPerAddress: { perSecond: 100, burst: 200 },
    });
    assert.deepEqual([http?.maxRequestsPerConnection, http?.maxConnectionAgeMs], [Infinity, Infinity]);
  });

  it("are what the flags say", () => {
    const { limits, http } = limitsBy({
      ...{ "visitor-rate": "600/m", "visitor-burst": "30", "visitor-concurrency": "8", "visitor-websockets": "2" },
      ...{ "visitor-bandwidth": "1MiB/s", "tunnel-rate": "36000/h", "tunnel-concurrency": "100" },
      ...{ "tunnel-websockets": "50", "tunnel-bandwidth": "8MiB/s", "body-limit": "10MiB" },
      ...{ "max-connections": "1000", "connections-per-address": "32" },
      ...{ "handshake-rate": "off", "address-handshake-rate": "5/s" },
      ...{ "line-limit": "4KiB", "head-limit": "16KiB", "field-limit": "64", "trailer-limit": "2KiB" },
      ...{ "head-timeout": "5s", "body-timeout": "20s", "keep-alive-timeout": "30s" },
      ...{ "requests-per-connection": "1000", "connection-age": "1h" },
    });
    assert.deepEqual(limits, {
      visitors: {
        visitor: {
          requests: { perSecond: 10, burst: 30 },
          concurrent: 8,
          upgraded: 2,
          bytesPerSecond: 1024 * 1024,
        },
        tunnel: {
          requests: { perSecond: 10, burst: 50 },
          concurrent: 100,
          upgraded: 50,
          bytesPerSecond: 8 * 1024 * 1024,
        },
        bodyBytes: 10 * 1024 * 1024,
      },
      connections: {
        maxConnections: 1_000,
        maxPerAddress: 32,
        handshakes: null,
        handshakesPerAddress: { perSecond: 5, burst: 10 },
      },
    });
    assert.deepEqual(http, {
      limits: { headBytes: 16_384, fieldCount: 64, requestLineBytes: 4_096, trailerBytes: 2_048 },
      headTimeoutMs: 5_000,
      bodyIdleMs: 20_000,
      keepAliveMs: 30_000,
      maxRequestsPerConnection: 1_000,
      maxConnectionAgeMs: 3_600_000,
    });
  });

  it("let ten requests come at once where a rate is low and nobody says how many", () => {
    assert.deepEqual(limitsBy({ "visitor-rate": "1/h" }).limits?.visitors?.visitor?.requests, {
      perSecond: 1 / 3_600,
      burst: 10,
    });
  });

  const faults: readonly [flag: string, text: string, fault: string][] = [
    ["visitor-rate", "20", "is neither off nor a rate such as 20/s, 600/m, 1000/h"],
    ["visitor-rate", "0/s", "is neither off nor a rate"],
    ["tunnel-rate", "1/d", "is neither off nor a rate"],
    ["handshake-rate", "-1/s", "is neither off nor a rate"],
    ["visitor-concurrency", "0", "is neither off nor a whole number from 1"],
    ["tunnel-websockets", "many", "is neither off nor a whole number from 1"],
    ["visitor-bandwidth", "1MiB", "is neither off nor bytes a second such as 512KiB/s, 4MiB/s"],
    ["tunnel-bandwidth", "1KiB/s", "is less than 16KiB/s"],
    ["body-limit", "10", "is neither off nor a size such as 64KiB, 4MiB"],
    ["line-limit", "128KiB", "is not between 1KiB and 64KiB"],
    ["trailer-limit", "1B", "is not between 1KiB and 64KiB"],
    ["head-timeout", "1ms", "is not between 100ms and 1h"],
    ["keep-alive-timeout", "1d", "is not between 100ms and 1h"],
    ["connection-age", "0s", "is neither off nor a duration over 0"],
    ["max-connections", "0", "is not between 1 and 1000000"],
  ];
  for (const [flag, text, fault] of faults) {
    it(`name the flag when --${flag} is ${text}`, () => {
      assert.throws(() => valuesOf({ [flag]: text }), (error) => {
        assert.ok(String(error).includes(`--${flag} "${text}" ${fault}`), String(error));
        return true;
      });
    });
  }

  it("end a call with 2 whose limits do not go together", async () => {
    for (
      const [args, message] of [
        [["--line-limit", "16KiB", "--head-limit", "8KiB"], /--line-limit is more than --head-limit/],
        [["--visitor-burst", "5"], /--visitor-burst says nothing without --visitor-rate/],
        [["--tunnel-burst", "5"], /--tunnel-burst says nothing without --tunnel-rate/],
      ] as const
    ) {
      const { exitCode, stderr } = await runToEnd(edgeProgram, ["serve", "--listen", "127.0.0.1:0", ...args]);
      assert.equal(exitCode, 2);
      assert.match(stderr, message);
    }
  });

  it("answer 414 to a line, and 431 to a head or fields, that are longer than they say", async () => {
    const flags = ["--line-limit", "1KiB", "--head-limit", "8KiB", "--field-limit", "16"];
    await withEdge(flags, async (ask) => {
      // The line has a method, a version, two spaces and CRLF beside its target.
      const target = (bytes: number) => `/${"x".repeat(bytes - "GET / HTTP/1.1\r\n".length)}`;
      assert.equal(statusOf(await ask(request("", target(1_024)))), 404);
      assert.equal(statusOf(await ask(request("", target(1_025)))), 414);
      const head = (bytes: number) => {
        const rest = bytes - request("X: \r\n").length;
        return request(`X: ${"x".repeat(rest)}\r\n`);
      };
      assert.equal(statusOf(await ask(head(8_192))), 404);
      assert.equal(statusOf(await ask(head(8_193))), 431);
      const fields = (count: number) => request("X: y\r\n".repeat(count - 2));
      assert.equal(statusOf(await ask(fields(16))), 404);
      assert.equal(statusOf(await ask(fields(17))), 431);
    });
  });

  it("answer 429 to a visitor past --visitor-rate, and the log names the flag", async () => {
    await withEdge(["--visitor-rate", "1/h", "--visitor-burst", "2"], async (ask, run) => {
      assert.equal(statusOf(await ask(request(""))), 404);
      assert.equal(statusOf(await ask(request(""))), 404);
      assertProblem(await ask(request("")), 429, "too_many_requests");
      await run.waitFor(() => /Limited "?127\.0\.0\.1"?: "?more than --visitor-rate lets/.test(run.stderr));
    });
  });

  it("end a connection behind as many requests as --requests-per-connection says", async () => {
    await withEdge(["--requests-per-connection", "2"], async (ask) => {
      const answers = await ask(`GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n`.repeat(3));
      assert.equal(answers.match(/HTTP\/1\.1 200 /g)?.length, 2);
      assert.match(answers, /\r\nConnection: close\r\n/);
    });
  });
});
