/** Base64 (RFC 4648 §4) of bodies in JSON frames. */
import { Buffer } from "node:buffer";
import { FrameError } from "./frames.ts";

export function encodeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** @throws {FrameError} for anything but base64; `Buffer` alone skips what it does not know. */
export function decodeBase64(text: string, key: string): Uint8Array {
  const padding = text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0;
  const bytes = Buffer.from(text, "base64");
  if (bytes.length !== Math.floor(((text.length - padding) * 3) / 4) || text.length % 4 === 1) {
    throw new FrameError(`\`${key}\` is not base64`);
  }
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
