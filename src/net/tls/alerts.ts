/** Alerts of TLS (RFC 8446 §6): why a peer was refused. */

/** `AlertDescription`, as far as a server sends them by itself. The rest is the runtime's. */
export const Alert = {
  UNEXPECTED_MESSAGE: 10,
  HANDSHAKE_FAILURE: 40,
  DECODE_ERROR: 50,
  PROTOCOL_VERSION: 70,
  INTERNAL_ERROR: 80,
  UNRECOGNIZED_NAME: 112,
  NO_APPLICATION_PROTOCOL: 120,
} as const;
export type Alert = typeof Alert[keyof typeof Alert];

const CONTENT_ALERT = 0x15;
const FATAL = 2;

/** The record of a fatal alert, without encryption: for a peer with which no keys were agreed. */
export function alertRecord(alert: Alert): Uint8Array {
  return Uint8Array.of(CONTENT_ALERT, 0x03, 0x03, 0x00, 0x02, FATAL, alert);
}
