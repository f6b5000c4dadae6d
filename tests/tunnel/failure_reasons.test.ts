/** Why a request failed: what the agent's `request` event says of it, and that the visitor sees nothing but the code. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { after, describe, it } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import type { AddressInfo } from "node:net";
import type { ClientOptions } from "../../src/http1/client/options.ts";
import { HttpClient } from "../../src/http1/client/client.ts";
import { observeExchanges, type RequestReport } from "../../src/http/observer.ts";
import { dial, type DialOptions, type DialTarget, SocketError } from "../../src/net/mod.ts";
import { FakeClock } from "../support/clock.ts";
import { JsonAgent } from "../support/json_agent.ts";
import { bytesOf, eventually, latin1, removeTemporaryFolders, SocketReader, temporaryPath } from "../support/net.ts";
import { assertProblem, get, getRequest, readUntilReset, send } from "../support/public_client.ts";
import { type Script, ScriptedServer } from "../support/scripted_server.ts";
import { type CertificateName, pem, serverKey, startTlsServer, trusted } from "../support/tls.ts";
import { exchange, protocols, startTestEdge, startTunnel, type Tunnel, type TunnelOptions } from "../support/tunnel.ts";

type Act = (tunnel: Tunnel, reports: readonly RequestReport[]) => Promise<void>;

interface Options extends TunnelOptions {
  client?: Partial<ClientOptions>;
}

/** Runs `act` with a tunnel to `target`, whose agent reports each exchange. */
async function withReports(target: DialTarget, options: Options, act: Act): Promise<void> {
  const client = new HttpClient({ target, ...options.client });
  const reports: RequestReport[] = [];
  const tunnel = await startTunnel(observeExchanges(client.request, (report) => void reports.push(report)), options);
  try {
    await act(tunnel, reports);
  } finally {
    await tunnel.close();
    client.close();
  }
}

async function withUpstream(
  script: Script,
  options: Options,
  act: (tunnel: Tunnel, reports: readonly RequestReport[], upstream: ScriptedServer) => Promise<void>,
): Promise<void> {
  const upstream = await ScriptedServer.start(script);
  try {
    await withReports(upstream.target, options, (tunnel, reports) => act(tunnel, reports, upstream));
  } finally {
    await upstream.close();
  }
}

/** Sends `bytes` in answer to each request's head, and ends the connection. */
const answering = (bytes: string): Script => async (peer) => {
  await peer.readHead();
  await peer.send(bytes);
  peer.end();
};
const hang: Script = async (peer) => {
  await peer.readHead();
  await peer.gone();
};

async function onlyReport(reports: readonly RequestReport[]): Promise<RequestReport> {
  await eventually(() => reports.length > 0);
  assert.equal(reports.length, 1);
  return reports[0]!;
}

/** Asks once; the visitor gets the problem, and nothing of its cause. */
async function assertFailure(
  tunnel: Tunnel,
  reports: readonly RequestReport[],
  status: number,
  code: string,
  reason: RegExp | string,
): Promise<void> {
  const answer = await get(tunnel, "/private?token=S3CRET");
  assertProblem(answer, status, code);
  const report = await onlyReport(reports);
  assert.deepEqual([report.status, report.code, report.path], [status, code, "/private"]);
  if (typeof reason === "string") assert.equal(report.reason, reason);
  else assert.match(report.reason ?? "", reason);
  assert.doesNotMatch(report.reason!, /S3CRET/);
  assert.match(report.reason!, /^[\x20-\x7e]+$/);
  const { detail, title } = JSON.parse(answer.slice(answer.indexOf("\r\n\r\n")));
  const texts = [title, "The upstream closed before its answer was whole"];
  assert.ok(texts.includes(detail), `the visitor sees ${detail}`);
}

const gonePort = async (): Promise<number> => {
  const server = await ScriptedServer.start(() => {});
  await server.close();
  return server.port;
};

after(removeTemporaryFolders);

for (const protocol of protocols) {
  describe(`the reason of a request that failed at the upstream, over ${protocol}`, () => {
    it("names the address that refused", async () => {
      const port = await gonePort();
      await withReports({ kind: "tcp", host: "127.0.0.1", port }, { protocol }, async (tunnel, reports) => {
        const reason = `Cannot connect to 127.0.0.1:${port}: connection refused; ` +
          "start the service, or check the port in TARGET";
        await assertFailure(tunnel, reports, 502, "upstream_refused", reason);
      });
    });

    it("names the host that is not known", async () => {
      const target = { kind: "tcp", host: "no-such-host.invalid", port: 80 } as const;
      await withReports(target, { protocol, client: { connectTimeoutMs: 30_000 } }, async (tunnel, reports) => {
        // Without a network the resolver may say that it cannot tell now.
        const reason =
          /^Cannot connect to no-such-host\.invalid:80: (no such host|the name could not be resolved now); check the host/;
        await assertFailure(tunnel, reports, 502, "upstream_refused", reason);
      });
    });

    it("names the socket file that is missing, and the one that nobody listens on", async () => {
      const path = await temporaryPath("app.sock");
      const remedy = "start the service, or check the path behind unix: in TARGET";
      for (const detail of ["no such socket file", "connection refused"]) {
        await withReports({ kind: "unix", path }, { protocol }, async (tunnel, reports) => {
          const reason = `Cannot connect to unix:${path}: ${detail}; ${remedy}`;
          await assertFailure(tunnel, reports, 502, "upstream_refused", reason);
        });
        await writeFile(path, "");
      }
    });

    it("says what is wrong with a path that has a file for a folder, and with one that is too long", async () => {
      const file = await temporaryPath("file");
      await writeFile(file, "");
      const long = `/${"a".repeat(120)}`;
      const faults: [path: string, detail: RegExp][] = [
        // Bun does not tell the two apart.
        [
          `${file}/app.sock`,
          /(no such socket file|connection refused); start the service, or check the path behind unix:/,
        ],
        [long, /invalid argument; use a path of at most 107 bytes behind unix: in TARGET$/],
      ];
      for (const [path, detail] of faults) {
        await withReports({ kind: "unix", path }, { protocol }, async (tunnel, reports) => {
          await assertFailure(tunnel, reports, 502, "upstream_refused", detail);
        });
      }
    });

    const insecure = "or take any certificate with --upstream-insecure";
    const certificates: [certificate: CertificateName, isTrusted: boolean, detail: RegExp, remedy: string][] = [
      ["self_signed", false, /its certificate is self-signed/, "trust its authority with --upstream-ca FILE, "],
      [
        "server",
        false,
        /its certificate is signed by an unknown authority/,
        "trust its authority with --upstream-ca FILE, ",
      ],
      [
        "expired",
        true,
        /its certificate expired on \d{4}-\d\d-\d\d/,
        "renew it, check this machine's clock, ",
      ],
      [
        "other_name",
        true,
        /its certificate is not for 127\.0\.0\.1, but for [a-z.]+/,
        "use a name that it is for in TARGET, ",
      ],
    ];
    for (const [certificate, isTrusted, detail, remedy] of certificates) {
      it(`says why the certificate ${certificate} is not trusted, and what would help`, async () => {
        const server = await startTlsServer(() => {}, { certificate });
        const target = { ...server.target, tls: isTrusted ? trusted : {} };
        await withReports(target, { protocol }, async (tunnel, reports) => {
          const end = remedy + insecure;
          const reason = new RegExp(`^Cannot connect to 127.0.0.1:${server.port}: ${detail.source}; ${end}$`);
          await assertFailure(tunnel, reports, 502, "upstream_refused", reason);
        });
        await server.close();
      });
    }

    it("says that an https:// upstream may need http:// when it is silent in the handshake", async () => {
      const clock = new FakeClock();
      const upstream = await ScriptedServer.start((peer) => peer.gone());
      const target = { kind: "tcp", host: "127.0.0.1", port: upstream.port, tls: trusted } as const;
      const client = { connectTimeoutMs: 7, dial: (to: DialTarget, options: DialOptions) => dial(to, options, clock) };
      await withReports(target, { protocol, client }, async (tunnel, reports) => {
        const reason = `Cannot connect to 127.0.0.1:${upstream.port}: the TLS handshake had no answer within 7 ms; ` +
          "check that it speaks TLS, or ask it with http:// in TARGET";
        const failed = assertFailure(tunnel, reports, 504, "upstream_timeout", reason);
        const peer = await upstream.peer(0);
        await peer.waitFor(() => peer.received !== "");
        clock.advance(7);
        await failed;
      });
      await upstream.close();
    });

    it("says that an https:// upstream does not speak TLS", async () => {
      const upstream = await ScriptedServer.start(async (peer) => {
        await peer.waitFor(() => peer.received !== "");
        await peer.send("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
        peer.end();
      });
      const target = { kind: "tcp", host: "127.0.0.1", port: upstream.port, tls: trusted } as const;
      await withReports(target, { protocol }, async (tunnel, reports) => {
        const reason = /: the other end does not speak TLS; ask it with http:\/\/ in TARGET$/;
        await assertFailure(tunnel, reports, 502, "upstream_refused", reason);
      });
      await upstream.close();
    });

    it("says that an https:// upstream closed in the handshake", async () => {
      const upstream = await ScriptedServer.start(async (peer) => {
        await peer.waitFor(() => peer.received !== "");
        peer.end();
      });
      const target = { kind: "tcp", host: "127.0.0.1", port: upstream.port, tls: trusted } as const;
      await withReports(target, { protocol }, async (tunnel, reports) => {
        const reason = /: the connection ended in the TLS handshake; check that it speaks TLS: TARGET says https:\/\/$/;
        await assertFailure(tunnel, reports, 502, "upstream_refused", reason);
      });
      await upstream.close();
    });

    it("says that an http:// upstream speaks TLS", async () => {
      // An alert, "unexpected_message".
      await withUpstream(answering("\x15\x03\x01\x00\x02\x02\x0a"), { protocol }, async (tunnel, reports) => {
        const reason = "The upstream speaks TLS; ask it with https:// in TARGET";
        await assertFailure(tunnel, reports, 502, "upstream_invalid", reason);
      });
    });

    it("leads to https:// when a real server with TLS is asked without it", async () => {
      const server = createTlsServer({ cert: pem("server"), key: serverKey });
      server.on("tlsClientError", () => {});
      await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
      const { port } = server.address() as AddressInfo;
      await withReports({ kind: "tcp", host: "127.0.0.1", port }, { protocol }, async (tunnel, reports) => {
        await get(tunnel);
        assert.match((await onlyReport(reports)).reason!, /https:\/\//);
      });
      await new Promise((resolve) => server.close(resolve));
    });

    it("says that an upstream speaks HTTP/2", async () => {
      const settings = "\0\0\x12\x04\0\0\0\0\0" + "\0".repeat(18);
      await withUpstream(answering(settings), { protocol }, async (tunnel, reports) => {
        const reason = "The upstream speaks HTTP/2 only; let it take HTTP/1.1";
        await assertFailure(tunnel, reports, 502, "upstream_invalid", reason);
      });
    });

    const head = (fields: string) => `HTTP/1.1 200 OK\r\n${fields}\r\n`;
    const malformed: [what: string, answer: string, reason: RegExp][] = [
      [
        "a status line that is none",
        "SSH-2.0-OpenSSH_9.9\r\n",
        /The status line is not "HTTP\/1\.1 STATUS", .*"SSH-\.\.\."$/,
      ],
      ["a status without a blank", "HTTP/1.1 302moved /cb?code=S3CRET\r\n", /in the line "HTTP\/1\.1 302\.\.\."$/],
      ["a status line without a status", "HTTP/1.1 S3CRET\r\n", /in the line "HTTP\/1\.1\.\.\."$/],
      ["the request in it", "GET /p?token=S3CRET HTTP/1.1\r\n", /in the line "GET \.\.\."$/],
      ["a page without a head", "<html>password S3CRET?</html>\r\n", /in the line "<htm\.\.\."$/],
      ["a reason phrase with a control character", "HTTP/1.1 200 S3CRET\0\r\n", /in the line "HTTP\/1\.1 200\.\.\."$/],
      ["a line without a colon", head("Traceback of 10\r\n"), /in the line "Trac\.\.\."$/],
      ["an assignment", head("password=S3CRET\r\n"), /in the line "pass\.\.\."$/],
      ["words before a colon", head("A S3CRET: 1\r\n"), /in the line "A S3\.\.\."$/],
      ["a name that is a secret with more behind it", head("my-S3CRET it: 1\r\n"), /in the line "my-S\.\.\."$/],
      ["a line that is short", head("(a)\r\n"), /in the line "\(a\)"$/],
      ["a control character", head("X-A: S3CRET\0b\x1b[31m\r\n"), /0x00.*in the line "X-A: \.\.\."$/],
      ["bytes beyond ASCII", head("X\xff: S3CRET\x9b\r\n"), /in the line "X\\u00ff: \.\.\."$/],
      ["a long name", head(`${"x".repeat(200)} : 1\r\n`), /in the line "x{64}\.\.\."$/],
      ["a secret value", head("Set-Cookie: S3CRET\0\r\n"), /in the line "Set-Cookie: \.\.\."$/],
      ["a token", head("X-Api-Key : S3CRET\r\n"), /in the line "X-Api-Key : \.\.\."$/],
      ["a value in a field of any name", head("X-Jwt : S3CRET\r\n"), /in the line "X-Jwt : \.\.\."$/],
      ["a query", head("Location: /a?token=S3CRET\0\r\n"), /in the line "Location: \.\.\."$/],
      ["a fragment", head("Location: http://x/cb#access_token=S3CRET\0\r\n"), /in the line "Location: \.\.\."$/],
      ["a password in a URL", head("Link: <http://u:S3CRET@x/>\0\r\n"), /in the line "Link: \.\.\."$/],
      ["a secret that goes on", head("Set-Cookie: a\r\n S3CRET\r\n"), /in the line " \.\.\."$/],
      ["a field of the framing", head("content-length : 12\r\n"), /in the line "content-length : 12"$/],
      ["a field behind a bare CR", head("Server: a\rSet-Cookie: S3CRET\r\n"), /in the line "Server: a\.\.\."$/],
      [
        "a length that is no number",
        head("Content-Length: ten\r\n"),
        /The Content-Length "ten" is not one number of bytes$/,
      ],
      [
        "two lengths",
        head("Content-Length: 2\r\nContent-Length: 3\r\n"),
        /Content-Length "3" is not one number of bytes$/,
      ],
      ["another coding", head("Transfer-Encoding: gzip\r\n"), /Transfer-Encoding is "gzip"/],
      [
        "an unasked 101",
        "HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: \x9bx\r\n\r\n",
        /^The upstream switched to /,
      ],
    ];
    for (const [what, answer, reason] of malformed) {
      it(`shows what is malformed when the answer has ${what}`, async () => {
        await withUpstream(answering(answer), { protocol }, async (tunnel, reports) => {
          await assertFailure(tunnel, reports, 502, "upstream_invalid", reason);
        });
      });
    }

    it("shows the line behind an interim head", async () => {
      const answer = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nX-One bad: 1\r\n\r\n";
      await withUpstream(answering(answer), { protocol }, async (tunnel, reports) => {
        await get(tunnel);
        assert.match((await onlyReport(reports)).reason!, /in the line "X-On\.\.\."$/);
      });
    });

    it("shows the line when a head comes in pieces", async () => {
      const script: Script = async (peer) => {
        await peer.readHead();
        await peer.send("HTTP/1.1 200 OK\r\nX-On");
        await goOn;
        await peer.send("e bad: 1\r\n\r\n");
      };
      let release = () => {};
      const goOn = new Promise<void>((resolve) => release = resolve);
      await withUpstream(script, { protocol }, async (tunnel, reports, upstream) => {
        const failed = assertFailure(tunnel, reports, 502, "upstream_invalid", /in the line "X-On\.\.\."$/);
        const peer = await upstream.peer(0);
        await eventually(() => peer.sentBytes > 0);
        release();
        await failed;
      });
    });

    it("says that a dial took too long", async () => {
      const dial = (_target: DialTarget, { timeoutMs }: { timeoutMs?: number }) => {
        const reason = `Cannot connect to 10.0.0.7:80: no answer within ${timeoutMs} ms`;
        return Promise.reject(new SocketError({ code: "connect_timeout", reason, initiator: "remote" }));
      };
      const client = { dial, connectTimeoutMs: 7 };
      await withReports({ kind: "tcp", host: "10.0.0.7", port: 80 }, { protocol, client }, async (tunnel, reports) => {
        const reason = "Cannot connect to 10.0.0.7:80: no answer within 7 ms; " +
          "check TARGET, and that no firewall is on the way";
        await assertFailure(tunnel, reports, 504, "upstream_timeout", reason);
      });
    });

    const closed: [what: string, script: Script, reason: RegExp][] = [
      [
        "ends before its answer",
        answering(""),
        /^The upstream closed before its answer; if it speaks TLS, TARGET needs/,
      ],
      ["ends within its head", answering("HTTP/1.1 200 OK\r\nX-A"), /^The upstream closed within its answer's head$/],
      [
        "is reset before its answer",
        async (peer) => {
          await peer.readHead();
          peer.abort();
        },
        /^The upstream closed before its answer: Connection with 127\.0\.0\.1:\d+ failed: connection reset by the other end;/,
      ],
    ];
    for (const [what, script, reason] of closed) {
      it(`says so when the upstream ${what}`, async () => {
        await withUpstream(script, { protocol }, async (tunnel, reports) => {
          await assertFailure(tunnel, reports, 502, "upstream_closed", reason);
        });
      });
    }

    const broken: [
      what: string,
      begin: string,
      code: string,
      reason: RegExp,
      end: (peer: Peer) => Promise<void> | void,
    ][] = [
      [
        "ends short of its Content-Length",
        head("Content-Length: 99999\r\n") + "abc",
        "upstream_closed",
        /^The upstream ended its answer early: The connection ended 99996 bytes before the body's end$/,
        (peer) => peer.end(),
      ],
      [
        "ends short of its last chunk",
        head("Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n",
        "upstream_closed",
        /^The upstream ended its answer early: The connection ended before the last chunk's end$/,
        (peer) => peer.end(),
      ],
      [
        "is reset in the middle",
        head("Content-Length: 99999\r\n") + "abc",
        "upstream_failed",
        /^The upstream broke off its answer: Connection with 127\.0\.0\.1:\d+ failed: connection reset by the other end$/,
        (peer) => peer.abort(),
      ],
      [
        "sends a chunk of no size",
        head("Transfer-Encoding: chunked\r\n") + "3\r\nabc\r\n",
        "upstream_invalid",
        /^Malformed answer of the upstream: A chunk's size begins with "z"$/,
        (peer) => peer.send("zz\r\n"),
      ],
    ];
    type Peer = Parameters<Script>[0];
    for (const [what, begin, code, reason, end] of broken) {
      it(`says so when the upstream's answer ${what}`, async () => {
        const script: Script = async (peer) => {
          await peer.readHead();
          await peer.send(begin);
          await peer.gone();
        };
        await withUpstream(script, { protocol }, async (tunnel, reports, upstream) => {
          const client = await send(tunnel, getRequest(tunnel));
          await client.readUntil("abc");
          await end(await upstream.peer(0));
          await readUntilReset(client);
          const report = await onlyReport(reports);
          assert.deepEqual([report.status, report.code, report.bytesOut], [200, code, 3]);
          assert.match(report.reason!, reason);
        });
      });
    }
  });

  describe(`the reason of a request that the edge gave up, over ${protocol}`, () => {
    const timeouts = { firstByteMs: 4_000, idleMs: 6_000, streamIdleMs: 7_000 };

    it("is the first-byte timeout, with 504, when no answer began", async () => {
      const clock = new FakeClock();
      await withUpstream(hang, { protocol, edge: { clock, timeouts } }, async (tunnel, reports, upstream) => {
        const answer = get(tunnel);
        const peer = await upstream.peer(0);
        await eventually(() => peer.received.endsWith("\r\n\r\n"));
        clock.advance(4_000);
        assertProblem(await answer, 504, "upstream_timeout");
        const report = await onlyReport(reports);
        assert.deepEqual([report.status, report.code, report.firstByteMs], [504, "upstream_timeout", null]);
        assert.match(
          report.reason!,
          /within the edge's first-byte timeout; raise it with the agent's --first-byte-timeout, and with the edge's --max-first-byte-timeout where that is less$/,
        );
      });
    });

    for (const [fields, idleMs] of [["Content-Length: 99999", 6_000], ["Transfer-Encoding: chunked", 7_000]] as const) {
      it(`is the idle timeout, with the answer's status, when an answer with ${fields} fell silent`, async () => {
        const clock = new FakeClock();
        const script: Script = async (peer) => {
          await peer.readHead();
          await peer.send(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\n3\r\nabc\r\n`);
          await peer.gone();
        };
        await withUpstream(script, { protocol, edge: { clock, timeouts } }, async (tunnel, reports) => {
          const client = await send(tunnel, getRequest(tunnel));
          await client.readUntil("abc\r\n");
          clock.advance(idleMs);
          await readUntilReset(client);
          const report = await onlyReport(reports);
          assert.deepEqual([report.status, report.code], [200, "upstream_timeout"]);
          assert.match(report.reason!, /^Nothing moved for the edge's idle timeout.*--idle-timeout at the edge$/);
        });
      });
    }

    it("is the visitor, and canceled, when the visitor left before and in the answer", async () => {
      const script: Script = async (peer) => {
        if ((await peer.readHead()).startsWith("GET /begin")) {
          await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\nabc");
        }
        await peer.gone();
      };
      await withUpstream(script, { protocol }, async (tunnel, reports, upstream) => {
        const early = await send(tunnel, getRequest(tunnel));
        const peer = await upstream.peer(0);
        await eventually(() => peer.received.endsWith("\r\n\r\n"));
        early.socket.reset();
        await eventually(() => reports.length === 1);
        const late = await send(tunnel, getRequest(tunnel, "/begin"));
        await late.readUntil("abc");
        late.socket.reset();
        await eventually(() => reports.length === 2);
        const told = reports.map(({ status, code, reason }) => [status, code, reason]);
        assert.deepEqual(told, [[0, "canceled", "The visitor left"], [200, "canceled", "The visitor left"]]);
      });
    });

    it("is the lost link when that broke", async () => {
      await withUpstream(hang, { protocol, edge: { resumeTimeoutMs: 0 } }, async (tunnel, reports, upstream) => {
        const answer = get(tunnel);
        const peer = await upstream.peer(0);
        await eventually(() => peer.received.endsWith("\r\n\r\n"));
        tunnel.relay.cut();
        assertProblem(await answer, 502, "agent_lost");
        const report = await onlyReport(reports);
        assert.deepEqual([report.status, report.code], [502, "agent_lost"]);
        assert.match(report.reason!, /^The connection to the edge was lost: /);
      });
    });
  });
}

describe("what a visitor sees of an agent that leaves or sends what is malformed", () => {
  it("has nothing of the agent's own words", async () => {
    const edge = await startTestEdge();
    const { port } = edge.address;
    const connect = async () => new SocketReader(await dial({ kind: "tcp", host: "127.0.0.1", port }));
    const visit = () => get({ host: "old.localhost", connect });
    for (
      const end of [
        (agent: JsonAgent) => agent.link.close(1011, "10.0.0.7 broke"),
        (agent: JsonAgent, id: unknown) =>
          agent.send({ type: "http_response_abort", request_id: id, message: "10.0.0.7" }),
        (agent: JsonAgent, id: unknown) =>
          agent.send({ type: "http_response_abort", request_id: id, code: "10.0.0.7" }),
        (agent: JsonAgent, id: unknown) => agent.send({ type: "http_response", request_id: id, status: "10.0.0.7" }),
      ]
    ) {
      const agent = await JsonAgent.register(edge, "old", { force: true });
      const answer = visit();
      const { request_id } = await agent.next();
      end(agent, request_id);
      assert.match(await answer, /^HTTP\/1\.1 502 /);
      assert.doesNotMatch(await answer, /10\.0\.0\.7/);
    }
    await edge.close();
  });
});

describe("the reason of a request that the edge gave up, over v2", () => {
  it("is the request's own timeout, with 408, when its body stopped coming", async () => {
    const edge = { http: { bodyIdleMs: 100 } };
    await withUpstream(hang, { protocol: "v2", edge }, async (tunnel, reports) => {
      const post = `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 10\r\n\r\nabc`;
      assertProblem(await exchange(tunnel, post), 408, "request_timeout");
      const report = await onlyReport(reports);
      assert.deepEqual([report.status, report.code], [408, "request_timeout"]);
      assert.match(report.reason!, /^The visitor sent nothing of its request/);
    });
  });

  it("is the request's own timeout, too, where the time until the answer's head is as long", async () => {
    const clock = new FakeClock();
    const edge = { clock, timeouts: { firstByteMs: 5_000 }, http: { bodyIdleMs: 5_000 } };
    await withUpstream(hang, { protocol: "v2", edge }, async (tunnel, reports, upstream) => {
      const client = await send(tunnel, `POST / HTTP/1.1\r\nHost: ${tunnel.host}\r\nContent-Length: 10\r\n\r\n`);
      const peer = await upstream.peer(0);
      await eventually(() => peer.received.endsWith("\r\n\r\n"));
      clock.advance(4_999);
      client.socket.write(bytesOf("abc"));
      await eventually(() => peer.received.endsWith("abc"));
      clock.advance(5_000);
      assertProblem(latin1(await client.readAll()), 408, "request_timeout");
      assert.equal((await onlyReport(reports)).code, "request_timeout");
    });
  });

  it("is the edge's memory, and not a timeout, when two visitors that do not read made it short", async () => {
    const flood: Script = async (peer) => {
      await peer.readHead();
      await peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${64 * 1024 * 1024}\r\n\r\n`);
      for (let sent = -1; sent < peer.sentBytes && !peer.closed;) {
        sent = peer.sentBytes;
        await peer.send(new Uint8Array(64 * 1024));
      }
    };
    await withUpstream(flood, { protocol: "v2", edge: { maxHeldBytes: 100_000 } }, async (tunnel, reports) => {
      const clients = [];
      for (let index = 0; index < 2; index++) {
        const client = await send(tunnel, getRequest(tunnel));
        client.socket.pause();
        clients.push(client);
      }
      await eventually(() => reports.length > 0);
      assert.deepEqual([reports[0]!.status, reports[0]!.code], [200, "overloaded"]);
      assert.match(reports[0]!.reason!, /^The edge held too many bytes/);
      for (const client of clients) client.socket.reset();
    });
  });
});
