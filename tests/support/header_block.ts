/** Header blocks of `runnel.v2` that no encoder has checked, for peers that break the rules. */
import { bytesOf } from "./net.ts";

/** The block of these names and values (Latin-1), whatever they are. */
export function uncheckedBlock(fields: readonly string[]): Uint8Array {
  const bytes: number[] = [0, fields.length / 2];
  for (let index = 0; index < fields.length; index += 2) {
    const [name, value] = [bytesOf(fields[index]), bytesOf(fields[index + 1])];
    bytes.push(name.length >> 8, name.length & 0xff, ...name);
    bytes.push(0, 0, value.length >> 8, value.length & 0xff, ...value);
  }
  return Uint8Array.from(bytes);
}
