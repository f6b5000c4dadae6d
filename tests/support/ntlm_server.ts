/**
 * An upstream that authenticates connections, as IIS does with NTLM: a challenge, then two more requests on the same
 * connection, and every later one on it is that user's.
 */
import type { Script, ScriptedPeer } from "./scripted_server.ts";

const CHALLENGE = "TlRMTVNTUAACAAAA";
const PROOF = "NTLMSSP\0\x03";

/** The values of Authorization for the two steps of a user's handshake. */
export const ntlmHello = "NTLM TlRMTVNTUAABAAAA";
export const ntlmProof = (user: string): string => `NTLM ${Buffer.from(PROOF + user).toString("base64")}`;

/** Answers each request with what `answer` makes of its head, until the other side ends the connection. */
export function answeringEach(answer: (head: string, peer: ScriptedPeer) => string): Script {
  return async (peer) => {
    // Behind a FIN it ends its direction, too, so that the connection closes in order.
    void peer.gone().then(() => peer.end());
    for (;;) {
      const head = await peer.readHead();
      await peer.read(Number(/^content-length: (\d+)\r$/im.exec(head)?.[1] ?? 0));
      peer.send(answer(head, peer));
    }
  };
}

/** Says in each answer on which connection it came, and as whom: `1 as alice`, or `1 as nobody` with 401. */
export const ntlmServer: Script = (peer) => {
  let user: string | null = null;
  let isChallenged = false;
  const challengesFor = (head: string): string[] => {
    const token = /^authorization: NTLM (\S+)\r$/im.exec(head)?.[1];
    if (token === undefined) return user === null ? ["Negotiate", "NTLM"] : [];
    const message = Buffer.from(token, "base64").toString("latin1");
    if (message.startsWith(PROOF) && isChallenged) user = message.slice(PROOF.length);
    isChallenged = true;
    return user === null ? [`NTLM ${CHALLENGE}`] : [];
  };
  return answeringEach((head) => {
    const fields = challengesFor(head).map((challenge) => `WWW-Authenticate: ${challenge}\r\n`).join("");
    const text = `${peer.index} as ${user ?? "nobody"}`;
    const status = user === null ? "401 Unauthorized" : "200 OK";
    return `HTTP/1.1 ${status}\r\n${fields}Content-Length: ${text.length}\r\n\r\n${text}`;
  })(peer);
};
