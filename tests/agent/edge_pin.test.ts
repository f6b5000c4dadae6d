/** `--edge-pin`: an edge that is known by its key. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { EdgeUrlError, parseEdgeUrl } from "../../src/agent/edge_url.ts";
import { AgentError } from "../../src/agent/errors.ts";
import { expose } from "../../src/agent/expose.ts";
import { openJsonTunnel } from "../../src/agent/json_dial.ts";
import { dialThrough } from "../../src/agent/proxy_dial.ts";
import { proxyFor } from "../../src/agent/proxy.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import { version } from "../../src/config/mod.ts";
import type { Dial } from "../../src/http1/client/options.ts";
import { readCertificatePair } from "../../src/net/mod.ts";
import { never } from "../support/client_requests.ts";
import { startConnectProxy } from "../support/connect_proxy.ts";
import { SocketReader } from "../support/net.ts";
import { type CertificateName, pem, serverKey, startTlsServer } from "../support/tls.ts";
import { startTlsTerminator } from "../support/tls_terminator.ts";
import { type Protocol, protocols, startTestEdge, token } from "../support/tunnel.ts";

const { pin } = readCertificatePair(pem("server"), serverKey);
const otherPin = `sha256/${"A".repeat(43)}=`;

function open(url: string, protocol: Protocol, pins: readonly string[], dial?: Dial) {
  const edge = parseEdgeUrl(url, false, undefined, pins);
  const upstream = () => Promise.resolve({ status: 204, fields: [], body: null });
  const options = { edge, token, name: "shop", upstream, dial };
  return protocol === "json" ? openJsonTunnel(options, never) : openV2Tunnel({ ...options, version: "0.0.0" }, never);
}

describe("parseEdgeUrl with pins", () => {
  it("trusts keys, and neither an authority nor any certificate beside them", () => {
    const { target } = parseEdgeUrl("https://edge.test", true, pem("authority"), [pin, otherPin]);
    assert.deepEqual(target.tls, { pins: [pin, otherPin] });
  });

  for (const url of ["http://127.0.0.1:8080", "127.0.0.1:8080", "8080"]) {
    it(`throws for ${url}, which has no key`, () => {
      assert.throws(() => parseEdgeUrl(url, true, undefined, [pin]), (error) => {
        assert.ok(error instanceof EdgeUrlError);
        assert.match(error.reason, /is not encrypted, and so has no key to pin: write https:\/\/127\.0\.0\.1:8080$/);
        return true;
      });
    });
  }

  it("throws when a pin has another form", () => {
    for (const text of ["", "sha256/abc", `sha1/${"A".repeat(43)}=`, pin.slice(0, -1)]) {
      assert.throws(() => parseEdgeUrl("https://edge.test", false, undefined, [text]), EdgeUrlError);
    }
  });
});

describe("expose with pins", () => {
  it("serves through an edge that has one of the keys, and rejects for another one", async () => {
    const edge = await startTestEdge({ version });
    const terminator = await startTlsTerminator(edge.address.port, { certificate: "self_signed" });
    const options = { edge: `https://127.0.0.1:${terminator.port}`, token, fetch: () => new Response(null) };
    await assert.rejects(expose({ ...options, edgePins: [otherPin] }), /another key than the pinned one/);
    const exposed = await expose({ ...options, edgePins: [pin] });
    exposed.close();
    assert.equal(await exposed.closed, null);
    await terminator.close();
    await edge.close();
  });
});

for (const protocol of protocols) {
  describe(`An agent with a pin (${protocol})`, () => {
    for (const certificate of ["server", "self_signed", "expired", "other_name"] as CertificateName[]) {
      it(`opens its tunnel when the key is the pinned one, and the certificate ${certificate}`, async () => {
        const edge = await startTestEdge();
        const terminator = await startTlsTerminator(edge.address.port, { certificate });
        const tunnel = await open(`https://127.0.0.1:${terminator.port}`, protocol, [otherPin, pin]);
        assert.equal(tunnel.name, "shop");
        tunnel.session.close("done");
        await tunnel.session.closed;
        await terminator.close();
        await edge.close();
      });
    }

    it("rejects, shows the pin of the key, and sends nothing when it is another one", async () => {
      const received: Promise<number>[] = [];
      const server = await startTlsServer((socket) => {
        const reader = new SocketReader(socket);
        received.push(reader.closed.then(() => reader.receivedBytes));
      });
      const error = await open(`https://127.0.0.1:${server.port}`, protocol, [otherPin]).then(
        () => null,
        (error) => error,
      );
      assert.ok(error instanceof AgentError);
      assert.equal(error.code, "edge_unreachable");
      assert.equal(error.retryable, false);
      assert.ok(error.reason.endsWith(`its certificate has another key than the pinned one: ${pin}`), error.reason);
      assert.match(error.remedy ?? "", /--edge-pin/);
      await server.close();
      for (const bytes of await Promise.all(received)) assert.equal(bytes, 0);
    });

    it("checks the key behind a proxy, too", async () => {
      const edge = await startTestEdge({ domain: "edge.test" });
      const terminator = await startTlsTerminator(edge.address.port, { certificate: "self_signed" });
      const proxy = await startConnectProxy({ routes: { "edge.test:443": terminator.port } });
      const flag = `http://127.0.0.1:${proxy.port}`;
      const target = proxyFor(parseEdgeUrl("https://edge.test"), { flag, environment: () => undefined });
      const dial = dialThrough(target!);
      await assert.rejects(open("https://edge.test", protocol, [otherPin], dial), /another key than the pinned one/);
      const tunnel = await open("https://edge.test", protocol, [pin], dial);
      tunnel.session.close("done");
      await tunnel.session.closed;
      await proxy.close();
      await terminator.close();
      await edge.close();
    });
  });
}
