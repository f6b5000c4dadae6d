/** Writes one chunk of a chunked body (RFC 9112 §7.1) on a socket. */
import { release } from "../memory/mod.ts";
import type { Socket } from "../net/mod.ts";
import { chunkEnd, chunkHeader } from "./codec/mod.ts";

/** Up to here header, content and CRLF are copied into one buffer, which is cheaper than three writes. */
const COPIED_BYTES = 4 * 1024;

/** Writes `content`, which must not be empty. Returns as `Socket.write` does. */
export function writeChunk(socket: Socket, content: Uint8Array): boolean {
  const header = chunkHeader(content.length);
  if (content.length > COPIED_BYTES) {
    socket.write(header);
    socket.write(content);
    return socket.write(chunkEnd);
  }
  const chunk = new Uint8Array(header.length + content.length + chunkEnd.length);
  chunk.set(header);
  chunk.set(content, header.length);
  chunk.set(chunkEnd, header.length + content.length);
  release(content);
  return socket.write(chunk);
}
