/** Agents in other languages are written from docs/protocol.md: its samples and tables must agree with the codec. */
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import assert from "node:assert/strict";
import {
  DEFAULT_FIELDS,
  DEFAULT_HEADER_BLOCK_BYTES,
  ErrorCode,
  errorCodeName,
  Feature,
  FrameType,
  MAX_DATA_BYTES,
  MAX_FIELDS,
  MAX_HEADER_BLOCK_BYTES,
  MAX_MESSAGE_BYTES,
  MAX_REASON_BYTES,
  MAX_SETTINGS,
  ProtocolError,
  SettingId,
} from "../../../src/httpstream/wire/mod.ts";
import { recordFrames } from "../../support/frame_recorder.ts";
import { hex, unhex } from "../../support/hex.ts";
import { annotate, type Line } from "./annotate.ts";

const page = readFileSync(new URL("../../../docs/protocol.md", import.meta.url), "utf8");

interface Sample {
  /** What stands after ```hex: `edge to agent`, or `refused CODE`. */
  readonly title: string;
  readonly lines: readonly Line[];
  readonly message: Uint8Array;
}

const samples: readonly Sample[] = [...page.matchAll(/^```hex (.+)\n([^`]+)^```$/gm)].map(([, title, body]) => {
  const lines = body!.trimEnd().split("\n").map((line) => {
    const [bytes, says = ""] = line.split("; ", 2) as [string, string?];
    return { hex: hex(unhex(bytes)), says: line.includes("; ") ? line.slice(line.indexOf("; ") + 2) : says };
  });
  return { title: title!, lines, message: unhex(lines.map((line) => line.hex).join("")) };
});

const shown = samples.filter((sample) => /^(edge to agent|agent to edge)$/.test(sample.title));
const refused = samples.filter((sample) => sample.title.startsWith("refused "));

/** The cells of each row whose first cell matches. */
function rows(first: RegExp): string[][] {
  return page.split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.slice(1, -1).split("|").map((cell) => cell.trim()))
    .filter(([cell]) => first.test(cell!));
}

describe("docs/protocol.md", () => {
  it("has samples of every frame type", () => {
    assert.equal(samples.length, shown.length + refused.length);
    const types = new Set(shown.flatMap((sample) => recordFrames(sample.message)).map((frame) => frame.type));
    assert.deepEqual([...types].sort(), Object.keys(FrameType).sort());
    assert.ok(refused.length >= 4);
  });

  for (const [index, sample] of shown.entries()) {
    it(`says of sample ${index + 1} (${sample.lines[0]?.says}) what its bytes say`, () => {
      assert.deepEqual(sample.lines, annotate(sample.message));
    });
  }

  for (const sample of refused) {
    it(`shows ${sample.lines[0]?.hex} as ${sample.title}, and the codec agrees`, () => {
      const expected = sample.title.slice("refused ".length);
      assert.throws(
        () => recordFrames(sample.message),
        (error) => error instanceof ProtocolError && errorCodeName(error.errorCode) === expected,
      );
    });
  }

  it("opens streams of the right parity in its samples", () => {
    for (const sample of shown) {
      for (const frame of recordFrames(sample.message)) {
        // Every stream of the samples is opened by the edge.
        if ("streamId" in frame) assert.equal(frame.streamId % 2, 0);
      }
    }
  });

  it("lists the frame types, settings and error codes with their numbers", () => {
    const table = (found: string[][]) => Object.fromEntries(found.map(([number, name]) => [name, Number(number)]));
    const frames = rows(/^0x[0-9a-f]{2}$/);
    assert.deepEqual(table(frames), { ...FrameType });
    assert.deepEqual(table(rows(/^[0-9]$/)), { ...SettingId });
    const codes = rows(/^0x([0-9a-f]|[0-9a-f]{3})$/);
    assert.deepEqual(table(codes), { ...ErrorCode });
  });

  it("lists the features with their bits", () => {
    const bits = rows(/^bit \d+$/).map(([bit, name]) => [name, 1 << Number(bit!.slice("bit ".length))]);
    assert.deepEqual(Object.fromEntries(bits), { ...Feature });
  });

  it("names the limits that the codec keeps", () => {
    const text = page.replaceAll(/\s+/g, " ");
    const number = (value: number) => value.toLocaleString("en-US");
    const sentences = [
      `at most ${number(MAX_MESSAGE_BYTES)} bytes`,
      `1 to ${number(MAX_DATA_BYTES)} bytes`,
      `a header block, at most ${number(MAX_HEADER_BLOCK_BYTES)} bytes`,
      `a u16 count of fields, at most ${MAX_FIELDS}`,
      `until they say so, ${number(DEFAULT_HEADER_BLOCK_BYTES)} and ${DEFAULT_FIELDS}`,
      `${number(DEFAULT_HEADER_BLOCK_BYTES)}; at most ${number(MAX_HEADER_BLOCK_BYTES)} |`,
      `${DEFAULT_FIELDS}; at most ${MAX_FIELDS} |`,
      `at most ${MAX_SETTINGS} pairs`,
      `at most ${number(MAX_REASON_BYTES)} bytes of a GOAWAY's reason`,
    ];
    for (const sentence of sentences) assert.ok(text.includes(sentence), sentence);
  });
});
