/** The server's half of the opening handshake (RFC 6455 §4.2). The client's half uses parts of it. */
import { createHash } from "node:crypto";
import { showText } from "../base/mod.ts";
import {
  type Fields,
  fieldValues,
  isAsked,
  isToken,
  listMembers,
  type RequestHead,
  upgradeContentLength,
} from "../http/mod.ts";

export const WEBSOCKET_VERSION = "13";
/** RFC 6455 §1.3. */
const KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
/** Sixteen bytes in base64. */
const keyForm = /^[A-Za-z0-9+/]{22}==$/;

export interface UpgradeOptions {
  /**
   * The subprotocols that the server speaks. A client that offers only others is refused. Default none: offers are
   * ignored.
   */
  protocols?: readonly string[];
}

/** For an `Answer` of status 101 with `upgrade: "websocket"` and `takeSocket`. */
export interface AcceptedUpgrade {
  readonly accepted: true;
  readonly fields: Fields;
  /** The client's first offer that the server speaks; `null` where it offers none. */
  readonly protocol: string | null;
}

/** For an `Answer` that says why. With status 426 it also needs `Upgrade: websocket` (RFC 9110 §15.5.22). */
export interface RefusedUpgrade {
  readonly accepted: false;
  readonly status: 400 | 426;
  readonly reason: string;
  readonly fields: Fields;
}

/** Checks a request that asks, or should ask, for a WebSocket. Extensions are never accepted. */
export function checkUpgrade(head: RequestHead, options: UpgradeOptions = {}): AcceptedUpgrade | RefusedUpgrade {
  if (head.upgrade === undefined || !isAsked(head.upgrade, "websocket")) {
    return refused(426, "The request does not ask for a WebSocket");
  }
  if (head.method !== "GET") return refused(400, `The WebSocket handshake has the method ${head.method}`);
  if (upgradeContentLength(head) > 0) return refused(400, "The WebSocket handshake has a body");
  const versions = fieldValues(head.fields, "sec-websocket-version");
  if (versions.length !== 1) return refused(400, `Sec-WebSocket-Version stands ${versions.length} times`);
  if (versions[0] !== WEBSOCKET_VERSION) {
    return refused(426, `The WebSocket version ${showText(versions[0])} is not supported`);
  }
  const keys = fieldValues(head.fields, "sec-websocket-key");
  if (keys.length !== 1) return refused(400, `Sec-WebSocket-Key stands ${keys.length} times`);
  if (!keyForm.test(keys[0])) return refused(400, "Sec-WebSocket-Key is not 16 bytes in base64");
  return chooseProtocol(head.fields, options.protocols ?? [], acceptFor(keys[0]));
}

/** The value of Sec-WebSocket-Accept for a Sec-WebSocket-Key. */
export function acceptFor(key: string): string {
  return createHash("sha1").update(key + KEY_SUFFIX).digest("base64");
}

function chooseProtocol(
  fields: Fields,
  supported: readonly string[],
  accept: string,
): AcceptedUpgrade | RefusedUpgrade {
  const accepted = ["Sec-WebSocket-Accept", accept];
  const offered = offeredProtocols(fields);
  if (offered === null) return refused(400, "Sec-WebSocket-Protocol is not a list of different tokens");
  if (offered.length === 0 || supported.length === 0) return { accepted: true, fields: accepted, protocol: null };
  const protocol = offered.find((offer) => supported.includes(offer));
  if (protocol === undefined) {
    const offers = showText(offered.join(", "));
    return refused(400, `Sec-WebSocket-Protocol offers ${offers}, supported is ${showText(supported.join(", "))}`);
  }
  accepted.push("Sec-WebSocket-Protocol", protocol);
  return { accepted: true, fields: accepted, protocol };
}

/** The client's offers in its order; `null` where they are malformed. */
function offeredProtocols(fields: Fields): string[] | null {
  const offered = fieldValues(fields, "sec-websocket-protocol").flatMap(listMembers);
  return offered.every(isToken) && new Set(offered).size === offered.length ? offered : null;
}

function refused(status: 400 | 426, reason: string): RefusedUpgrade {
  const fields = status === 426 ? ["Sec-WebSocket-Version", WEBSOCKET_VERSION] : [];
  return { accepted: false, status, reason, fields };
}
