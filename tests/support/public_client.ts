/** A public client's questions to a whole tunnel, as bytes on a fresh connection. */
import assert from "node:assert/strict";
import { bytesOf, latin1, type SocketReader } from "./net.ts";
import { exchange, type Tunnel } from "./tunnel.ts";

/** The text of a GET of the tunnel; `more` are further field lines, each with its CRLF. */
export function getRequest(tunnel: Pick<PublicTunnel, "host">, target = "/", more = ""): string {
  return `GET ${target} HTTP/1.1\r\nHost: ${tunnel.host}\r\n${more}\r\n`;
}

/** A tunnel as the public sees it, whatever it is made of. */
export type PublicTunnel = Pick<Tunnel, "host" | "connect">;

/** The whole answer to one GET, on a connection of its own. */
export function get(tunnel: PublicTunnel, target = "/", more = ""): Promise<string> {
  return exchange(tunnel, getRequest(tunnel, target, `Connection: close\r\n${more}`));
}

/** A connection on which `request` was sent. */
export async function send(tunnel: PublicTunnel, request: string): Promise<SocketReader> {
  const client = await tunnel.connect();
  client.socket.write(bytesOf(request));
  return client;
}

/** Asserts that the answer is the edge's own problem, in all its parts. */
export function assertProblem(answer: string, status: number, code: string): void {
  const [head, body] = [answer.slice(0, answer.indexOf("\r\n\r\n")), answer.slice(answer.indexOf("\r\n\r\n") + 4)];
  assert.match(head, new RegExp(`^HTTP/1\\.1 ${status} `), answer);
  assert.match(head, new RegExp(`^X-Runnel-Error: ${code}\r?$`, "m"));
  assert.match(head, /^Content-Type: application\/problem\+json\r?$/m);
  const problem = JSON.parse(body);
  assert.deepEqual([problem.status, problem.code], [status, code]);
}

/** What came until the connection was reset; fails where it ended cleanly, or with a chunked body's last chunk. */
export async function readUntilReset(client: SocketReader): Promise<string> {
  const already = client.receivedBytes;
  await client.closed;
  assert.equal(client.sawEnd, false, "the answer ended cleanly");
  const rest = latin1(await client.read(client.receivedBytes - already));
  assert.ok(!rest.endsWith("0\r\n\r\n"), "the answer's last chunk came");
  return rest;
}
