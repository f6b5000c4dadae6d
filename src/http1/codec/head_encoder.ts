/**
 * Encodes heads: text becomes bytes and is checked in the same pass. A head is begun, written and taken before the next
 * one is begun. One that is not taken, because a check failed, has no effect.
 */
import { showText } from "../../base/mod.ts";
import { COLON, CR, type Fields, LF, SP, tokenBytes, valueBytes } from "../../http/mod.ts";
import { BumpAllocator } from "../../memory/mod.ts";
import { HttpWriteError } from "./errors.ts";

/** Enough for what the writer itself adds to a head: start line, framing, Connection. */
const OVERHEAD_BYTES = 256;

export class HeadEncoder {
  readonly #allocator = new BumpAllocator();
  /** The allocator's block, and the offset of the next byte in it. */
  #block: Uint8Array = this.#allocator.block;
  #at = 0;

  /**
   * Begins a head with space for `fields` and `extra` more characters.
   *
   * @throws {HttpWriteError} where a name has no value
   */
  begin(extra: number, fields: Fields): void {
    if (fields.length % 2 !== 0) throw new HttpWriteError("The last field has a name and no value");
    let size = OVERHEAD_BYTES + extra;
    for (let i = 0; i < fields.length; i += 2) size += fields[i].length + fields[i + 1].length + 4;
    this.#allocator.ensure(size);
    this.#block = this.#allocator.block;
    this.#at = this.#allocator.position;
  }

  /** Text that needs no check, because it is our own. */
  literal(text: string): void {
    const block = this.#block;
    let at = this.#at;
    for (let i = 0; i < text.length; i++) block[at++] = text.charCodeAt(i);
    this.#at = at;
  }

  /**
   * Text of others, which must not be empty, and of which all characters must be in `allowed`.
   *
   * @throws {HttpWriteError} with `what` in its reason
   */
  checked(text: string, allowed: Uint8Array, what: string): void {
    if (text === "" || !this.#put(text, allowed)) {
      throw new HttpWriteError(`The ${what} ${showText(text.split("?", 1)[0])} cannot be written`);
    }
  }

  /**
   * A field line.
   *
   * @throws {HttpWriteError} for a name that is no token, or a value with a CTL or a character over 0xFF
   */
  field(name: string, value: string): void {
    if (name === "" || !this.#put(name, tokenBytes)) {
      throw new HttpWriteError(`The field name ${showText(name)} is no token`);
    }
    this.#block[this.#at++] = COLON;
    this.#block[this.#at++] = SP;
    if (!this.#put(value, valueBytes)) {
      // Without the value, which may be secret.
      throw new HttpWriteError(`The value of the field ${name} cannot be written`);
    }
    this.#block[this.#at++] = CR;
    this.#block[this.#at++] = LF;
  }

  /** Bytes, which must be in the `extra` of `begin()`. */
  append(bytes: Uint8Array): void {
    this.#block.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  /** The bytes since `begin()`, which are not used again. */
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
