/**
 * How the strings of a frame stand for the bytes of a head. Everywhere else in Runnel a head's texts are strings of
 * bytes, one code point a byte (src/base/latin1.ts). An agent or edge that announces any feature writes its frames so,
 * too, and loses no byte. One that announces none is of other people, and means text: its strings are UTF-8.
 */
import { Buffer } from "node:buffer";

export interface HeadText {
  /** The string for a frame. @param bytes one code point a byte */
  write(bytes: string): string;
  /** The bytes of a frame's string, one code point a byte. */
  read(text: string): string;
}

/** @param features what the other side announced */
export function headTextOf(features: readonly string[]): HeadText {
  return features.length === 0 ? utf8Text : latin1Text;
}

const latin1Text: HeadText = {
  write: (bytes) => bytes,
  // One with a code point above 0xFF cannot be bytes: its UTF-8 is taken.
  read: (text) => hasAbove(text, 0xff) ? utf8BytesOf(text) : text,
};

const utf8Text: HeadText = {
  write: (bytes) => hasAbove(bytes, 0x7f) ? textOfUtf8(bytes) : bytes,
  read: (text) => hasAbove(text, 0x7f) ? utf8BytesOf(text) : text,
};

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** No text has bytes that are not UTF-8: they are taken for Latin-1. */
function textOfUtf8(bytes: string): string {
  try {
    return utf8.decode(Buffer.from(bytes, "latin1"));
  } catch {
    return bytes;
  }
}

function utf8BytesOf(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function hasAbove(text: string, limit: number): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > limit) return true;
  return false;
}
