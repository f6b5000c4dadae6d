/** An edge with listeners of several kinds: TLS, plain HTTP that sends visitors there, and plain HTTP. */
import { request } from "node:https";
import { openJsonTunnel } from "../../src/agent/json_dial.ts";
import { parseEdgeUrl } from "../../src/agent/edge_url.ts";
import type { OpenTunnel } from "../../src/agent/open_tunnel.ts";
import { openV2Tunnel } from "../../src/agent/v2_dial.ts";
import type { Edge, EdgeOptions } from "../../src/edge/edge.ts";
import type { Handler } from "../../src/http/message.ts";
import { dial, readCertificatePair, type TlsAcceptorOptions } from "../../src/net/mod.ts";
import { never } from "./client_requests.ts";
import { bytesOf, latin1, SocketReader } from "./net.ts";
import { pem, serverKey } from "./tls.ts";
import { type Protocol, startTestEdge, token } from "./tunnel.ts";

/** What the edge shows: for `localhost` and `edge.test`, and to all others. */
export const edgeCertificate = readCertificatePair(pem("server"), serverKey);
const { certificate, pin } = edgeCertificate;
const any = { kind: "tcp", host: "127.0.0.1", port: 0 } as const;

export interface TlsEdge {
  readonly edge: Edge;
  /** The ports of the listeners: with TLS, plain beside it, plain for all. */
  readonly ports: { readonly secure: number; readonly redirecting: number; readonly plain: number };
  /** The answer to a request on a connection of its own. The first `HOST` stands for the tunnel's host. */
  ask(kind: "secure" | "redirecting" | "plain", request: string, serverName?: string): Promise<string>;
  close(): Promise<void>;
}

export async function startTlsEdge(
  options: Partial<EdgeOptions> = {},
  tls: Partial<TlsAcceptorOptions> = {},
): Promise<TlsEdge> {
  const edge = await startTestEdge({
    listen: [
      { target: any, tls: { certificates: { certificateFor: () => certificate }, ...tls } },
      { target: any, redirectPort: 0 },
      { target: any },
    ],
    ...options,
  });
  const [secure, redirecting, plain] = edge.addresses.map(({ port }) => port) as [number, number, number];
  const ports = { secure, redirecting, plain };
  return {
    edge,
    ports,
    async ask(kind, request, serverName = "shop.localhost") {
      const target = { kind: "tcp", host: "127.0.0.1", port: ports[kind] } as const;
      const socket = await dial(kind === "secure" ? { ...target, tls: { serverName, pins: [pin] } } : target);
      const reader = new SocketReader(socket);
      socket.write(bytesOf(request.replace("HOST", "shop.localhost")));
      const answer = latin1(await reader.readAll());
      socket.end();
      return answer;
    },
    close: () => edge.close(),
  };
}

/** Opens the tunnel `shop` on the listener at `port`. */
export function openTunnel(port: number, protocol: Protocol, upstream: Handler, scheme = "https"): Promise<OpenTunnel> {
  const pins = scheme === "https" ? [pin] : [];
  const edge = parseEdgeUrl(`${scheme}://127.0.0.1:${port}`, false, undefined, pins);
  const options = { edge, token, name: "shop", upstream };
  return protocol === "json" ? openJsonTunnel(options, never) : openV2Tunnel({ ...options, version: "0.0.0" }, never);
}

/** One GET with a client's certificate, by a client of others. */
export function visitWith(
  port: number,
  servername: string,
  host: string,
  shown?: { chain: string; key: string },
): Promise<{ status: number | undefined; body: string }> {
  return new Promise((resolve, reject) => {
    const pair = shown === undefined ? {} : { cert: shown.chain, key: shown.key };
    const options = { host: "127.0.0.1", port, servername, headers: { host }, rejectUnauthorized: false, agent: false };
    const asking = request({ ...options, ...pair } as object, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (text) => body += text);
      answer.on("end", () => resolve({ status: answer.statusCode, body }));
      answer.on("error", reject);
    });
    asking.on("error", reject).end();
  });
}
