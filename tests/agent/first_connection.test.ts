/** What an agent says of an edge that it cannot reach, and whether it goes on trying: real sockets, scripted edges. */
import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import { Agent } from "../../src/agent/agent.ts";
import { edgeFailure } from "../../src/agent/edge_failure.ts";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import type { AgentError } from "../../src/agent/errors.ts";
import { openJsonTunnel } from "../../src/agent/json_dial.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import type { Dial } from "../../src/http1/mod.ts";
import { SocketError } from "../../src/net/mod.ts";
import { acceptFor } from "../../src/websocket/handshake.ts";
import { FakeClock } from "../support/clock.ts";
import { eventually } from "../support/net.ts";
import { ScriptedServer } from "../support/scripted_server.ts";
import { type CertificateName, pem, startTlsServer } from "../support/tls.ts";
import { type Protocol, protocols, startTestEdge, token } from "../support/tunnel.ts";

/** An edge that is there already. */
interface ScriptedEdge {
  readonly url: string;
  close(): Promise<void>;
}

const cleanUps: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

interface Trial {
  protocol: Protocol;
  url: string;
  ca?: string;
  dial?: Dial;
  version?: string;
  isForever?: boolean;
}

/** An agent that dials `url` on a clock that stands still: without the test, it tries once. */
function start({ protocol, url, ca, dial, version = "0.0.0", isForever = false }: Trial) {
  const clock = new FakeClock();
  const causes: AgentError[] = [];
  let onCause = () => {};
  const edge = parseEdgeUrl(url, false, ca);
  const upstream = () => Promise.reject(new Error("not asked"));
  const agent = new Agent({
    open: (signal) => {
      const options = { edge, token, name: "shop", upstream, clock, dial };
      return protocol === "json" ? openJsonTunnel(options, signal) : openV2Tunnel({ ...options, version }, signal);
    },
    connectTimeoutMs: isForever ? Infinity : 10_000,
    events: {
      onConnecting: (_attempt, _inMs, because) => {
        causes.push(because);
        onCause();
      },
    },
    clock,
  });
  cleanUps.push(() => agent.close());
  let isOver = false;
  const run = agent.run().finally(() => {
    isOver = true;
    onCause();
  });
  run.catch(() => {});
  return {
    agent,
    clock,
    run,
    causes,
    /** Resolves once an attempt has failed after which another one follows. */
    async cause(count = 1): Promise<AgentError> {
      while (causes.length < count) {
        if (isOver) return assert.fail(`it ended after ${causes.length} attempts: ${await run.catch(String)}`);
        await new Promise<void>((resolve) => onCause = resolve);
      }
      return causes[count - 1];
    },
    async failure(): Promise<AgentError> {
      const error = await run.then(() => null, (error) => error);
      assert.notEqual(error, null, "it ended in order");
      return error;
    },
  };
}

/** A server that answers each head with these bytes, and ends the connection. */
async function answering(answer: string): Promise<ScriptedEdge> {
  const server = await ScriptedServer.start(async (peer) => {
    await peer.readHead();
    await peer.send(answer);
    peer.end();
  });
  return { url: `http://127.0.0.1:${server.port}`, close: () => server.close() };
}

/** One that says this as soon as it is dialed, as servers of other protocols do. */
async function greeting(text: string): Promise<ScriptedEdge> {
  const server = await ScriptedServer.start(async (peer) => {
    await peer.send(text);
    await peer.gone();
    peer.end();
  });
  return { url: `http://127.0.0.1:${server.port}`, close: () => server.close() };
}

/** One that opens the WebSocket, with these further fields, and then sends `frames`. */
async function webSocket(fields: string, frames = ""): Promise<ScriptedEdge> {
  const server = await ScriptedServer.start(async (peer) => {
    const head = await peer.readHead();
    const accept = acceptFor(/^Sec-WebSocket-Key: (.*)\r$/m.exec(head)![1]);
    const answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
    await peer.send(`${answer}Sec-WebSocket-Accept: ${accept}\r\n${fields}\r\n${frames}`);
    await peer.gone();
    peer.end();
  });
  return { url: `http://127.0.0.1:${server.port}`, close: () => server.close() };
}

async function tls(certificate: CertificateName): Promise<ScriptedEdge> {
  const server = await startTlsServer(undefined, { certificate });
  return { url: `https://127.0.0.1:${server.port}`, close: () => server.close() };
}

async function secure(plain: Promise<ScriptedEdge>): Promise<ScriptedEdge> {
  const edge = await plain;
  return { ...edge, url: edge.url.replace("http:", "https:") };
}

const page = (status: string, fields = "", body = "<h1>Hello</h1>") =>
  `HTTP/1.1 ${status}\r\n${fields}Content-Type: text/html\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
const problem = (status: string, code: string) =>
  page(status, `X-Runnel-Error: ${code}\r\n`, JSON.stringify({ code, detail: "It says why" }));
const v2Fields = "Sec-WebSocket-Protocol: runnel.v2\r\n";

interface Case {
  readonly name: string;
  readonly edge: (protocol: Protocol) => Promise<ScriptedEdge>;
  readonly ca?: string;
  readonly reason: RegExp;
  readonly remedy: RegExp;
  /** Default both. */
  readonly protocols?: readonly Protocol[];
  /** Default `edge_unreachable`. */
  readonly code?: string;
}

const sameHost = (url: string) => url.replace("http:", "https:");

/** They do not pass by themselves. */
const lasting: readonly Case[] = [
  {
    name: "a page of another program",
    edge: () => answering(page("200 OK")),
    reason: /answered \/agent with 200/,
    remedy: /--edge/,
  },
  {
    name: "404",
    edge: () => answering(page("404 Not Found")),
    reason: /with 404/,
    remedy: /proxy.*\/agent/,
  },
  { name: "403", edge: () => answering(page("403 Forbidden")), reason: /with 403$/, remedy: /\/agent.*sign-in/ },
  {
    name: "403 of a proxy that says what it is",
    edge: () => answering(page("403 Forbidden", "Server: Some\u009bProxy/1\r\n")),
    reason: /answered \/agent with 403 \(Server: "Some\\u009bProxy\/1"\)$/,
    remedy: /\/agent.*sign-in/,
  },
  {
    name: "401 of a proxy",
    edge: () => answering(page("401 Unauthorized", "Server: nginx\r\nWWW-Authenticate: Basic\r\n")),
    reason: /answered \/agent with 401 \(Server: "nginx"\)$/,
    remedy: /\/agent.*sign-in/,
  },
  {
    name: "401 of a proxy with problem details of its own",
    edge: () => answering(page("401 Unauthorized", "", JSON.stringify({ code: "E17", detail: "Sign\u001b[2J in" }))),
    reason: /answered \/agent with 401: "Sign\\u001b\[2J in"$/,
    remedy: /\/agent.*sign-in/,
  },
  {
    name: "407 of a proxy that nobody named",
    edge: () => answering(page("407 Proxy Authentication Required")),
    reason: /with 407$/,
    remedy: /\/agent.*sign-in/,
  },
  { name: "501", edge: () => answering(page("501 Not Implemented")), reason: /with 501/, remedy: /\/agent/ },
  {
    name: "a redirect to https",
    edge: async () => {
      const port = { current: 0 };
      const server = await ScriptedServer.start(async (peer) => {
        await peer.readHead();
        const location = `https://127.0.0.1:${port.current}/agent?secret=1`;
        await peer.send(page("301 Moved Permanently", `Location: ${location}\r\n`));
        peer.end();
      });
      port.current = server.port;
      return { url: `http://127.0.0.1:${server.port}`, close: () => server.close() };
    },
    reason: /with 30[12]: a redirect to https:\/\/127\.0\.0\.1:\d+$/,
    remedy: /https:\/\//,
  },
  {
    name: "a redirect to another host",
    edge: () => answering(page("302 Found", "Location: https://login.example.com/?back=secret\r\n")),
    reason: /with 30[12]: a redirect to https:\/\/login\.example\.com$/,
    remedy: /--edge.*\/agent/,
  },
  {
    name: "a redirect that does not say where to",
    edge: () => answering(page("307 Temporary Redirect")),
    reason: /with 307: a redirect that does not say where to$/,
    remedy: /without a redirect/,
  },
  ...["/login?secret", "login", "?secret=1"].map((location): Case => ({
    name: `a redirect to ${location}`,
    edge: () => answering(page("302 Found", `Location: ${location}\r\n`)),
    reason: /with 302: a redirect to another path there$/,
    remedy: /without a redirect/,
  })),
  {
    name: "a redirect to another host in the scheme of the request",
    edge: () => answering(page("302 Found", "Location: //login.example.com/secret\r\n")),
    reason: /with 302: a redirect to http:\/\/login\.example\.com$/,
    remedy: /without a redirect/,
  },
  ...["ftp://example.com/secret", "http://[secret", "mailto:secret"].map((location): Case => ({
    name: `a redirect to ${location}`,
    edge: () => answering(page("308 Permanent Redirect", `Location: ${location}\r\n`)),
    reason: /with 308: a redirect to no address of HTTP$/,
    remedy: /without a redirect/,
  })),
  { name: "304", edge: () => answering("HTTP/1.1 304 Not Modified\r\n\r\n"), reason: /with 304$/, remedy: /--edge/ },
  {
    name: "an HTTPS port of nginx",
    edge: () => answering(page("400 Bad Request", "", "The plain HTTP request was sent to HTTPS port")),
    reason: /speaks TLS/,
    remedy: /https:\/\//,
  },
  {
    name: "an HTTPS port of Go",
    edge: () => answering("HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"),
    reason: /speaks TLS/,
    remedy: /https:\/\//,
  },
  {
    name: "a TLS alert",
    edge: () => greeting("\x15\x03\x01\x00\x02\x02\x46"),
    reason: /speaks TLS/,
    remedy: /https:\/\//,
  },
  { name: "SSH", edge: () => greeting("SSH-2.0-OpenSSH_9.2\r\n"), reason: /no HTTP.*SSH-2\.0/, remedy: /--edge/ },
  {
    name: "bytes without a line end",
    edge: () => greeting("\x4a\x00\x00\x00\x0a8.0.36\x00"),
    reason: /no HTTP/,
    remedy: /--edge/,
  },
  {
    name: "an edge to which a proxy does not pass the upgrade",
    edge: () => answering(problem("426 Upgrade Required", "upgrade_required")),
    reason: /It says why/,
    remedy: /proxy.*Upgrade/,
  },
  ...["404 Not Found,tunnel_not_found", "503 Service Unavailable,tunnel_offline", "404 Not Found,not_found"].map(
    (text): Case => {
      const [status, code] = text.split(",") as [string, string];
      return {
        name: `an edge that has no agents at this host (${code})`,
        edge: () => answering(problem(status, code)),
        reason: /It says why/,
        remedy: /domain itself/,
      };
    },
  ),
  {
    name: "a WebSocket without the subprotocol",
    edge: () => webSocket(""),
    reason: /runnel\.v2/,
    remedy: /--edge/,
    protocols: ["v2"],
  },
  {
    name: "a WebSocket that was not asked for",
    edge: () => answering("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    reason: /Sec-WebSocket-Accept/,
    remedy: /--edge/,
  },
  {
    name: "another protocol on the WebSocket",
    edge: (protocol) => webSocket(protocol === "v2" ? v2Fields : "", "\x82\x03abc"),
    reason: /does not speak/,
    remedy: /version/,
    code: "protocol_mismatch",
    protocols: ["v2"],
  },
  {
    name: "another protocol on the WebSocket",
    edge: () => webSocket("", "\x81\x05hello"),
    reason: /does not speak/,
    remedy: /version/,
    code: "protocol_mismatch",
    protocols: ["json"],
  },
  {
    name: "https to a plain port",
    edge: () => secure(greeting(page("400 Bad Request"))),
    reason: /does not speak TLS/,
    remedy: /http:\/\//,
  },
  { name: "a self-signed certificate", edge: () => tls("self_signed"), reason: /self-signed$/, remedy: /--edge-ca/ },
  {
    name: "a certificate of an unknown authority",
    edge: () => tls("server"),
    reason: /unknown authority$/,
    remedy: /--edge-ca/,
  },
  {
    name: "a certificate that has expired",
    edge: () => tls("expired"),
    ca: pem("authority"),
    reason: /expired on/,
    remedy: /clock/,
  },
  {
    name: "a certificate for another name",
    edge: () => tls("other_name"),
    ca: pem("authority"),
    reason: /not for 127\.0\.0\.1/,
    remedy: /name.*--edge/,
  },
];

/** They may pass: an agent may start before its edge. */
const passing: readonly Case[] = [
  {
    name: "a refused connection",
    edge: async () => {
      const edge = await answering("");
      await edge.close();
      return { ...edge, close: () => Promise.resolve() };
    },
    reason: /connection refused$/,
    remedy: /Start the edge.*--edge/,
  },
  ...["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout", "500 Internal Server Error"].map(
    (status): Case => ({
      name: status,
      edge: () => answering(page(status)),
      reason: new RegExp(`with ${status.slice(0, 3)}`),
      remedy: /edge behind it/,
    }),
  ),
  {
    name: "a connection that ends at once",
    edge: async () => {
      const server = await ScriptedServer.start((peer) => peer.end());
      return { url: `http://127.0.0.1:${server.port}`, close: () => server.close() };
    },
    reason: /ended/,
    remedy: /https:\/\//,
  },
  {
    name: "429",
    edge: () => answering(problem("429 Too Many Requests", "too_many_attempts")),
    reason: /It says why/,
    remedy: /./,
    code: "too_many_attempts",
  },
  ...["408 Request Timeout", "425 Too Early"].map(
    (status): Case => ({
      name: status,
      edge: () => answering(page(status)),
      reason: new RegExp(`with ${status.slice(0, 3)}$`),
      remedy: /edge behind it/,
    }),
  ),
  {
    name: "429 of a proxy",
    edge: () => answering(page("429 Too Many Requests", "Server: cloudflare\r\n")),
    reason: /answered \/agent with 429 \(Server: "cloudflare"\)$/,
    remedy: /limits/,
  },
];

for (const protocol of protocols) {
  describe(`an agent's first connection (${protocol})`, () => {
    for (const { name, edge: open, ca, reason, remedy, code, protocols = [protocol] } of lasting) {
      if (!protocols.includes(protocol)) continue;
      it(`ends at once with the cause and its remedy when it meets ${name}`, async () => {
        const edge = await open(protocol);
        cleanUps.push(() => edge.close());
        const trial = start({ protocol, url: edge.url, ca });
        const error = await trial.failure();
        assert.equal(error.code, code ?? "edge_unreachable");
        assert.match(error.reason, reason);
        assert.ok(error.reason.includes(sameHost(edge.url)) || error.reason.includes(edge.url), error.reason);
        assert.doesNotMatch(error.reason, /secret/);
        if (error.remedy !== null) assert.match(error.remedy, remedy);
        else assert.equal(error.code, "protocol_mismatch");
        assert.deepEqual(trial.causes, []);
        await edge.close();
        await eventually(() => trial.clock.pending === 0);
      });

      it(`goes on with --connect-timeout off when it meets ${name}`, async () => {
        const edge = await open(protocol);
        cleanUps.push(() => edge.close());
        const trial = start({ protocol, url: edge.url, ca, isForever: true });
        assert.match((await trial.cause()).reason, reason);
        trial.clock.advance(30_000);
        assert.match((await trial.cause(2)).reason, reason);
      });
    }

    for (const { name, edge: open, reason, remedy, code = "edge_unreachable" } of passing) {
      it(`is tried again, and ends with that cause, when it meets ${name}`, async () => {
        const edge = await open(protocol);
        cleanUps.push(() => edge.close());
        const trial = start({ protocol, url: edge.url });
        const cause = await trial.cause();
        assert.match(cause.reason, reason);
        if (cause.remedy !== null) assert.match(cause.remedy, remedy);
        else assert.equal(cause.code, "too_many_attempts");
        trial.clock.advance(250);
        await trial.cause(2);
        trial.clock.advance(10_000);
        const error = await trial.failure();
        assert.equal(error.code, code);
        assert.equal(error.reason, cause.reason);
        assert.equal(trial.clock.pending, 0);
      });
    }

    const refusals: readonly [what: string, answer: string][] = [
      ["the field X-Runnel-Error", page("401 Unauthorized", "X-Runnel-Error: unauthorized\r\n")],
      ["a problem of the edge's", page("401 Unauthorized", "", '{"code":"unauthorized","detail":"It says why"}')],
    ];
    for (const [what, answer] of refusals) {
      it(`ends with unauthorized when a 401 has ${what}`, async () => {
        const edge = await answering(answer);
        cleanUps.push(() => edge.close());
        const error = await start({ protocol, url: edge.url }).failure();
        assert.deepEqual([error.code, error.remedy], ["unauthorized", null]);
      });
    }

    it("is tried again when the name of the edge is not known", async () => {
      const reason = "Cannot connect to edge.test:443: no such host";
      const dial: Dial = () => Promise.reject(new SocketError({ code: "host_not_found", reason, initiator: "user" }));
      const trial = start({ protocol, url: "https://edge.test", dial });
      const cause = await trial.cause();
      assert.ok(cause.reason.endsWith(reason));
      assert.match(cause.remedy!, /DNS/);
      trial.clock.advance(10_000);
      assert.equal((await trial.failure()).reason, cause.reason);
    });

    it("says at which step nothing was answered when that was so for the whole time", async () => {
      const silent = await greeting("");
      cleanUps.push(() => silent.close());
      const trial = start({ protocol, url: silent.url });
      await new Promise((resolve) => setImmediate(resolve));
      const server = start({ protocol, url: "http://127.0.0.1:9", dial: hangs });
      trial.clock.advance(9_999);
      trial.clock.advance(1);
      server.clock.advance(10_000);
      const [mute, absent] = [await trial.failure(), await server.failure()];
      assert.match(mute.reason, /no answer within 10000 ms$/);
      assert.match(absent.reason, /Cannot connect to 127\.0\.0\.1:9: no answer within 10000 ms$/);
      assert.notEqual(mute.remedy, null);
    });

    it("tells of the last cause, and not of the attempt that its end has cut short", async () => {
      let isThere = true;
      const server = await ScriptedServer.start(async (peer) => {
        await peer.readHead();
        if (isThere) await peer.send(page("502 Bad Gateway"));
        await peer.gone();
        peer.end();
      });
      cleanUps.push(() => server.close());
      const trial = start({ protocol, url: `http://127.0.0.1:${server.port}` });
      await trial.cause();
      isThere = false;
      trial.clock.advance(250);
      await (await server.peer(1)).readUntil("\r\n\r\n").catch(() => {});
      trial.clock.advance(10_000);
      assert.match((await trial.failure()).reason, /with 502/);
    });

    it("goes on for ever with --connect-timeout off when the token is refused, and serves when it is not", async () => {
      const edge = await startTestEdge({ token: "another" });
      cleanUps.push(() => edge.close());
      const trial = start({ protocol, url: `http://127.0.0.1:${edge.address.port}`, isForever: true });
      for (let count = 1; count < 4; count++) {
        assert.equal((await trial.cause(count)).code, "unauthorized");
        if (count < 3) trial.clock.advance(30_000);
      }
      const { port } = edge.address;
      await edge.close();
      const repaired = await startTestEdge({ listen: { kind: "tcp", host: "127.0.0.1", port } });
      cleanUps.push(() => repaired.close());
      trial.clock.advance(30_000);
      await eventually(() => trial.agent.tunnel !== null);
    });
  });
}

const someEdge = parseEdgeUrl("http://127.0.0.1:8080");

describe("edgeFailure", () => {
  it("names the edge and says why when a dial failed, and throws any other error again", () => {
    const cause = new SocketError({ code: "connection_refused", reason: "Nothing listens", initiator: "remote" });
    const error = edgeFailure(someEdge, cause);
    assert.deepEqual([error.code, error.cause, error.retryable], ["edge_unreachable", cause, true]);
    assert.equal(error.reason, "Cannot reach the edge http://127.0.0.1:8080: Nothing listens");
    const bug = new TypeError("a bug");
    assert.throws(() => edgeFailure(someEdge, bug), bug);
  });
});

/** A dial that has no end but its signal's. */
const hangs: Dial = ({ ...target }, { signal }) =>
  new Promise((_, reject) => {
    const { host, port } = target as { host: string; port: number };
    const fail = () => {
      const reason = `Cannot connect to ${host}:${port}: aborted`;
      reject(new SocketError({ code: "aborted", reason, initiator: "user" }));
    };
    signal?.addEventListener("abort", fail);
  });
