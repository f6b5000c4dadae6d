/**
 * Text into bytes, checked on the way: one pass over the characters, into a slab from which many heads are cut. One
 * head is begun, written and taken in one go; what was begun and not taken leaves no trace.
 */
import { unfilled } from "../slab.ts";
import { COLON, CR, emptyBytes, LF, SP, tokenBytes, valueBytes } from "./bytes.ts";
import { HttpWriteError, showText } from "./errors.ts";
import type { Fields } from "./message.ts";

/** Enough for some dozens of heads; a head that still waits to be sent keeps no more than this in memory. */
const slabBytes = 16 * 1024;

/** What a head holds beside its fields and the texts of its caller: start line, framing, Connection. */
const frameBytes = 256;

export class HeadEncoder {
  #slab: Uint8Array = emptyBytes;
  #from = 0;
  #at = 0;

  /**
   * Begins a head that has room for `fields` and `extra` characters more.
   *
   * @throws {HttpWriteError} where a name is without a value.
   */
  begin(extra: number, fields: Fields): void {
    if (fields.length % 2 !== 0) throw new HttpWriteError("The last field has a name and no value");
    let size = frameBytes + extra;
    for (let i = 0; i < fields.length; i += 2) size += fields[i].length + fields[i + 1].length + 4;
    if (size > this.#slab.length - this.#from) {
      this.#slab = unfilled(Math.max(size, slabBytes));
      this.#from = 0;
    }
    this.#at = this.#from;
  }

  /** Text of our own, known to be right. */
  literal(text: string): void {
    const slab = this.#slab;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) slab[at++] = text.charCodeAt(i);
    this.#at = at;
  }

  /**
   * Text of others, not empty, whose characters must all be in `allowed`.
   *
   * @throws {HttpWriteError} with `what` in its reason.
   */
  checked(text: string, allowed: Uint8Array, what: string): void {
    if (text === "" || !this.#put(text, allowed)) {
      throw new HttpWriteError(`The ${what} ${showText(text)} cannot be written`);
    }
  }

  /** A field line. @throws {HttpWriteError} for a name that is no token and a value with a CTL or above 0xFF. */
  field(name: string, value: string): void {
    if (name === "" || !this.#put(name, tokenBytes)) {
      throw new HttpWriteError(`The field name ${showText(name)} is no token`);
    }
    this.#slab[this.#at++] = COLON;
    this.#slab[this.#at++] = SP;
    if (!this.#put(value, valueBytes)) {
      throw new HttpWriteError(`The value ${showText(value)} of the field ${name} cannot be written`);
    }
    this.#slab[this.#at++] = CR;
    this.#slab[this.#at++] = LF;
  }

  /** Bytes that are no text; `begin()` must have counted them as extra. */
  append(bytes: Uint8Array): void {
    this.#slab.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** The bytes since `begin()`; the slab will not touch them again. */
  take(): Uint8Array {
    const head = this.#slab.subarray(this.#from, this.#at);
    this.#from = this.#at;
    return head;
  }

  #put(text: string, allowed: Uint8Array): boolean {
    const slab = this.#slab;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0xff || allowed[code] === 0) return false;
      slab[at++] = code;
    }
    this.#at = at;
    return true;
  }
}
