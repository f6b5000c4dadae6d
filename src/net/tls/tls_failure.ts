/** Why the certificate of the other end is not trusted, in words that lead to the remedy. */
import type * as tls from "node:tls";
import { escapeText } from "../../base/mod.ts";
import type { TlsFault } from "../socket.ts";
import { pinOf } from "./certificate_pair.ts";

export const UNKNOWN_AUTHORITY = "its certificate is signed by an unknown authority";
/** By OpenSSL's codes (openssl-verification-options(1)), which both runtimes use. */
const meanings: ReadonlyMap<string, string> = new Map([
  ["DEPTH_ZERO_SELF_SIGNED_CERT", "its certificate is self-signed"],
  ["SELF_SIGNED_CERT_IN_CHAIN", UNKNOWN_AUTHORITY],
  ["UNABLE_TO_GET_ISSUER_CERT", UNKNOWN_AUTHORITY],
  ["UNABLE_TO_GET_ISSUER_CERT_LOCALLY", UNKNOWN_AUTHORITY],
  ["UNABLE_TO_VERIFY_LEAF_SIGNATURE", UNKNOWN_AUTHORITY],
  ["CERT_UNTRUSTED", UNKNOWN_AUTHORITY],
  ["CERT_REVOKED", "its certificate was revoked"],
  ["CERT_HAS_EXPIRED", "its certificate has expired"],
  ["CERT_NOT_YET_VALID", "its certificate is not valid yet"],
  ["INVALID_PURPOSE", "its certificate is for another purpose"],
]);

export interface Distrust {
  readonly reason: string;
  readonly fault: TlsFault;
}

/** Returns why the certificate is not trusted for `name`; null where it is. */
export function distrust(engine: tls.TLSSocket, name: string): Distrust | null {
  if (engine.authorized) return null;
  const certificate = engine.getPeerX509Certificate();
  const code = codeOf(engine.authorizationError);
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    const reason = `its certificate is not for ${name}, but for ${namesOf(certificate?.subjectAltName)}`;
    return { reason, fault: "certificate_name" };
  }
  // Deno has the same code for an expired certificate and for an unknown authority.
  const outdated = validity(certificate?.validFrom, certificate?.validTo);
  if (outdated !== null) return { reason: outdated, fault: "certificate_dates" };
  return { reason: meanings.get(code) ?? `its certificate is bad: ${code}`, fault: "certificate" };
}

/** Returns why the key of the certificate is not trusted; null where it is one of `pins`. */
export function distrustKey(engine: tls.TLSSocket, pins: readonly string[]): Distrust | null {
  const certificate = engine.getPeerX509Certificate();
  const pin = certificate === undefined ? "no key" : pinOf(certificate);
  if (pins.includes(pin)) return null;
  return { reason: `its certificate has another key than the pinned one: ${pin}`, fault: "certificate_pin" };
}

/** What the runtime's error says of a certificate; null where it says nothing of one. */
export function certificateFault(error: unknown): string | null {
  return meanings.get(codeOf(error)) ?? null;
}

function codeOf(error: unknown): string {
  if (typeof error === "string") return error;
  const { code, message } = error as { code?: string; message?: string };
  return code ?? message ?? String(error);
}

/** Some certificates have a hundred names. */
const MAX_NAMES_LENGTH = 200;

/** `DNS:a.test, IP Address:::1` as `a.test, ::1`. */
function namesOf(alternatives: string | undefined): string {
  if (alternatives === undefined) return "no name";
  const names = escapeText(alternatives.replaceAll(/(?:DNS|IP Address):/g, ""));
  return names.length > MAX_NAMES_LENGTH ? `${names.slice(0, MAX_NAMES_LENGTH)}…` : names;
}

/** Why the certificate is not valid now, by the wall clock; null where it is. */
export function validity(from: string | undefined, to: string | undefined): string | null {
  if (from === undefined || to === undefined) return null;
  const now = Date.now();
  if (now > Date.parse(to)) return `its certificate expired on ${day(to)}`;
  return now < Date.parse(from) ? `its certificate is not valid before ${day(from)}` : null;
}

function day(date: string): string {
  return new Date(date).toISOString().slice(0, 10);
}
