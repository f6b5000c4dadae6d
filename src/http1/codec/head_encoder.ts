/**
 * Text into bytes, checked on the way in one pass over the characters. One head is begun, written and taken in one go.
 * What was begun and not taken leaves no trace.
 */
import { showText } from "../../base/mod.ts";
import { COLON, CR, type Fields, LF, SP, tokenBytes, valueBytes } from "../../http/mod.ts";
import { BumpAllocator } from "../../memory/mod.ts";
import { HttpWriteError } from "./errors.ts";

/** What a head holds beside its fields and the texts of its caller: start line, framing, Connection. */
const FRAME_BYTES = 256;

export class HeadEncoder {
  readonly #allocator = new BumpAllocator();
  /** The allocator's block, and where the next byte goes in it. */
  #block: Uint8Array = this.#allocator.block;
  #at = 0;

  /**
   * Begins a head that has room for `fields` and `extra` characters more.
   *
   * @throws {HttpWriteError} where a name is without a value.
   */
  begin(extra: number, fields: Fields): void {
    if (fields.length % 2 !== 0) throw new HttpWriteError("The last field has a name and no value");
    let size = FRAME_BYTES + extra;
    for (let i = 0; i < fields.length; i += 2) size += fields[i].length + fields[i + 1].length + 4;
    this.#allocator.ensure(size);
    this.#block = this.#allocator.block;
    this.#at = this.#allocator.position;
  }

  /** Text of our own, known to be right. */
  literal(text: string): void {
    const block = this.#block;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) block[at++] = text.charCodeAt(i);
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
    this.#block[this.#at++] = COLON;
    this.#block[this.#at++] = SP;
    if (!this.#put(value, valueBytes)) {
      throw new HttpWriteError(`The value ${showText(value)} of the field ${name} cannot be written`);
    }
    this.#block[this.#at++] = CR;
    this.#block[this.#at++] = LF;
  }

  /** Bytes that are no text; `begin()` must have counted them as extra. */
  append(bytes: Uint8Array): void {
    this.#block.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** The bytes since `begin()`. They are never written again. */
  take(): Uint8Array {
    return this.#allocator.take(this.#at - this.#allocator.position);
  }

  #put(text: string, allowed: Uint8Array): boolean {
    const block = this.#block;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      if (code > 0xff || allowed[code] === 0) return false;
      block[at++] = code;
    }
    this.#at = at;
    return true;
  }
}
