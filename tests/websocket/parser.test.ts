import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import fc from "fast-check";
import { WebSocketProtocolError } from "../../src/websocket/frames.ts";
import { MessageParser, type ParserOptions, type WebSocketEvent } from "../../src/websocket/parser.ts";
import { closeFrame, joinBytes, patternBytes, type RawFrame, rawFrame } from "./support.ts";

const KEY = 0x9a3c5e71;

function drain(parser: MessageParser): WebSocketEvent[] {
  const all: WebSocketEvent[] = [];
  for (let next = parser.next(); next !== null; next = parser.next()) all.push(next);
  return all;
}

/** What a parser makes of the chunks, and the error that ended it. */
function parse(chunks: readonly Uint8Array[], options: Partial<ParserOptions> = {}, skipsLongMessages = false) {
  const parser = new MessageParser({ role: "server", ...options });
  parser.skipsLongMessages = skipsLongMessages;
  const incoming: WebSocketEvent[] = [];
  try {
    for (const chunk of chunks) {
      parser.push(chunk.slice());
      for (let next = parser.next(); next !== null; next = parser.next()) incoming.push(next);
    }
    return { incoming, error: null };
  } catch (error) {
    if (!(error instanceof WebSocketProtocolError)) throw error;
    return { incoming, error };
  }
}

function splitAt(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const sorted = [0, ...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  return sorted.slice(1).map((end, i) => bytes.subarray(sorted[i], end));
}

function byteByByte(bytes: Uint8Array): Uint8Array[] {
  return Array.from(bytes, (byte) => Uint8Array.of(byte));
}

/** One valid message as the frames that carry it, with pings between its fragments. */
const validMessage = fc.record({
  text: fc.boolean(),
  fragments: fc.array(fc.string({ unit: "grapheme", maxLength: 90 }), { minLength: 1, maxLength: 4 }),
  pings: fc.array(fc.uint8Array({ maxLength: 20 }), { maxLength: 3 }),
  key: fc.integer({ min: 0, max: 0xffffffff }),
}).map(({ text, fragments, pings, key }) =>
  fragments.flatMap((payload, i) => {
    const frame: RawFrame = { fin: i === fragments.length - 1, opcode: i > 0 ? 0 : text ? 1 : 2, payload, key };
    return i < pings.length ? [{ opcode: 9, payload: pings[i], key }, frame] : [frame];
  })
);

describe("MessageParser", () => {
  for (const length of [0, 1, 125, 126, 65_535, 65_536, 1_048_576]) {
    it(`MessageParser gives a message of ${length} bytes when it comes whole and in two halves`, () => {
      const payload = patternBytes(length);
      const bytes = rawFrame({ opcode: 2, payload, key: KEY });
      for (const chunks of [[bytes], splitAt(bytes, [bytes.length >>> 1]), splitAt(bytes, [3])]) {
        const { incoming, error } = parse(chunks, { maxMessageBytes: 1_048_576 });
        assert.equal(error, null);
        assert.deepEqual(incoming, [{ kind: "message", data: payload }]);
      }
    });
  }

  it("MessageParser gives the same when the bytes are split anywhere", () => {
    const inputs = fc.tuple(fc.array(validMessage, { maxLength: 4 }), fc.array(fc.nat(), { maxLength: 12 }));
    fc.assert(fc.property(inputs, ([messages, cuts]) => {
      const bytes = joinBytes([...messages.flat().map(rawFrame), closeFrame(1001, "gone", KEY)]);
      const whole = parse([bytes]);
      assert.equal(whole.error, null);
      assert.equal(whole.incoming.filter((incoming) => incoming.kind === "message").length, messages.length);
      assert.deepEqual(parse(splitAt(bytes, cuts)), whole);
      assert.deepEqual(parse(byteByByte(bytes)), whole);
    }));
  });

  it("MessageParser throws nothing but the protocol error when the bytes are random", () => {
    const roles = fc.constantFrom("server" as const, "client" as const);
    const inputs = fc.tuple(roles, fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 }));
    fc.assert(fc.property(inputs, ([role, chunks]) => void parse(chunks, { role })), { numRuns: 500 });
  });

  it("MessageParser throws nothing but the protocol error when one byte of valid frames is changed", () => {
    const inputs = fc.tuple(
      fc.array(validMessage, { minLength: 1, maxLength: 3 }),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
    );
    fc.assert(fc.property(inputs, ([messages, position, change]) => {
      const bytes = joinBytes(messages.flat().map(rawFrame));
      bytes[position % bytes.length] ^= change;
      const whole = parse([bytes]);
      const split = parse(byteByByte(bytes));
      assert.deepEqual(split.incoming, whole.incoming);
      assert.equal(split.error?.reason, whole.error?.reason);
    }));
  });

  it("MessageParser hands a payload over without a copy when it lies whole in one chunk", () => {
    const parser = new MessageParser({ role: "server" });
    const chunk = joinBytes([1, 2].map((seed) => rawFrame({ opcode: 2, payload: patternBytes(900, seed), key: KEY })));
    parser.push(chunk);
    const data = drain(parser).map((incoming) => incoming.kind === "message" ? incoming.data as Uint8Array : null);
    assert.deepEqual(data, [patternBytes(900, 1), patternBytes(900, 2)]);
    for (const payload of data) assert.equal(payload?.buffer, chunk.buffer);
  });

  it("MessageParser gives a plain Uint8Array, whose slice() copies, when the chunk is a Buffer", () => {
    const parser = new MessageParser({ role: "client" });
    parser.push(Buffer.from(rawFrame({ opcode: 2, payload: "abc" })));
    const [incoming] = drain(parser);
    assert.equal(incoming.kind === "message" && incoming.data.constructor, Uint8Array);
  });

  it("MessageParser assembles into a buffer of exactly the message's size when fragments come", () => {
    const fragments = Array.from({ length: 300 }, (_, i) => patternBytes(7, i));
    const frames = fragments.map((payload, i) =>
      rawFrame({ fin: i === 299, opcode: i === 0 ? 2 : 0, payload, key: KEY + i })
    );
    const { incoming } = parse(frames);
    const data = (incoming[0] as { data: Uint8Array }).data;
    assert.deepEqual(data, joinBytes(fragments));
    assert.equal(data.buffer.byteLength, 2_100);
  });

  it("MessageParser gives text as checked bytes when it is asked to", () => {
    const payload = new TextEncoder().encode("grüße, 世界");
    const frames = [rawFrame({ opcode: 1, payload, key: KEY })];
    assert.deepEqual(parse(frames, { text: "bytes" }).incoming, [{ kind: "message", data: payload }]);
    assert.deepEqual(parse(frames).incoming, [{ kind: "message", data: "grüße, 世界" }]);
  });

  it("MessageParser keeps a leading U+FEFF when a text begins with it", () => {
    const { incoming } = parse([rawFrame({ opcode: 1, payload: "\ufeffa", key: KEY })]);
    assert.deepEqual(incoming, [{ kind: "message", data: "\ufeffa" }]);
  });

  it("MessageParser drops what follows when a close frame came", () => {
    const { incoming, error } = parse([
      joinBytes([closeFrame(1000, "bye", KEY), Uint8Array.of(0xff, 0xff)]),
      Uint8Array.of(0xff, 0xff),
    ]);
    assert.equal(error, null);
    assert.deepEqual(incoming, [{ kind: "close", code: 1000, reason: "bye" }]);
  });

  it("MessageParser reads on under another limit when maxMessageBytes is changed", () => {
    const parser = new MessageParser({ role: "client", maxMessageBytes: 10 });
    parser.push(rawFrame({ opcode: 2, payload: patternBytes(10) }));
    assert.equal(drain(parser).length, 1);
    parser.maxMessageBytes = 11;
    parser.push(rawFrame({ opcode: 2, payload: patternBytes(11) }));
    assert.equal(drain(parser).length, 1);
  });
});

describe("MessageParser that skips long messages", () => {
  const LIMIT = 6_000;
  /** A message in fragments of these lengths, with a ping behind each but the last. */
  const framesOf = (lengths: readonly number[], key: number | undefined): RawFrame[] =>
    lengths.flatMap((length, i) => {
      const isLast = i === lengths.length - 1;
      const frame = { fin: isLast, opcode: i === 0 ? 2 : 0, payload: patternBytes(length, i), key };
      return isLast ? [frame] : [frame, { opcode: 9, payload: "p", key }];
    });
  const payloadOf = (lengths: readonly number[]) => joinBytes(lengths.map((length, i) => patternBytes(length, i)));

  const messages: number[][] = [
    [6_001],
    [20_000],
    [5_000, 5_000],
    [6_000, 1],
    [1, 6_000, 3, 0],
    [10, 10, 10_000, 10],
    [100, 5_901],
    [0, 6_001],
    [3_000, 3_000, 3_000],
  ];
  for (const lengths of messages) {
    for (const [role, key] of [["server", KEY], ["client", undefined]] as const) {
      it(`MessageParser as ${role} tells the beginning and reads on when fragments have ${lengths} bytes`, () => {
        const small = rawFrame({ opcode: 2, payload: "small", key });
        const bytes = joinBytes([small, ...framesOf(lengths, key).map(rawFrame), small]);
        const options = { role, maxMessageBytes: LIMIT };
        const whole = parse([bytes], options, true);
        assert.equal(whole.error, null);
        const others = whole.incoming.filter(({ kind }) => kind !== "long");
        assert.deepEqual(others.filter(({ kind }) => kind === "message").length, 2);
        assert.equal(others.filter(({ kind }) => kind === "ping").length, lengths.length - 1);
        const [told, more] = whole.incoming.filter(({ kind }) => kind === "long");
        assert.equal(more, undefined);
        assert.ok(told?.kind === "long");
        assert.deepEqual(told.beginning, payloadOf(lengths).subarray(0, 4_096));
        assert.equal(told.error.closeCode, 1009);
        const summary = ({ incoming }: { incoming: WebSocketEvent[] }) =>
          incoming.map((one) => one.kind === "long" ? { ...one, error: one.error.reason } : one);
        for (const cut of [1, 2, 7, 8, 20, 4_100, 4_110, 6_020].map((at) => at % bytes.length)) {
          assert.deepEqual(summary(parse(splitAt(bytes, [cut]), options, true)), summary(whole), `cut at ${cut}`);
        }
        assert.deepEqual(summary(parse(byteByByte(bytes), options, true)), summary(whole));
      });
    }
  }

  it("MessageParser keeps nothing of what it drops, however long that is", () => {
    const parser = new MessageParser({ role: "server", maxMessageBytes: 1_000 });
    parser.skipsLongMessages = true;
    parser.push(rawFrame({ opcode: 2, announced: 1n << 40n, key: KEY }));
    assert.deepEqual(drain(parser), []);
    const kinds: string[] = [];
    for (let round = 0; round < 200; round++) {
      parser.push(new Uint8Array(64 * 1024));
      kinds.push(...drain(parser).map(({ kind }) => kind));
    }
    assert.deepEqual(kinds, ["long"]);
  });
});

interface Violation {
  name: string;
  frames: RawFrame[];
  code: number;
  options?: Partial<ParserOptions>;
}

const half = Uint8Array.of(0xe2, 0x82);
const violations: Violation[] = [
  { name: "a frame sets RSV1", frames: [{ opcode: 2, rsv: 0x40, key: KEY }], code: 1002 },
  { name: "a frame sets RSV2", frames: [{ opcode: 2, rsv: 0x20, key: KEY }], code: 1002 },
  { name: "a frame sets RSV3", frames: [{ opcode: 2, rsv: 0x10, key: KEY }], code: 1002 },
  ...[3, 4, 5, 6, 7, 0xb, 0xc, 0xd, 0xe, 0xf].map((opcode) => ({
    name: `the opcode is 0x${opcode.toString(16)}`,
    frames: [{ opcode, key: KEY }],
    code: 1002,
  })),
  { name: "a client does not mask", frames: [{ opcode: 2, payload: "a" }], code: 1002 },
  { name: "a server masks", frames: [{ opcode: 2, payload: "a", key: KEY }], code: 1002, options: { role: "client" } },
  { name: "a ping has 126 bytes", frames: [{ opcode: 9, payload: patternBytes(126), key: KEY }], code: 1002 },
  { name: "a close has 126 bytes", frames: [{ opcode: 8, payload: patternBytes(126), key: KEY }], code: 1002 },
  { name: "a ping is fragmented", frames: [{ opcode: 9, fin: false, key: KEY }], code: 1002 },
  { name: "a continuation begins a message", frames: [{ opcode: 0, payload: "a", key: KEY }], code: 1002 },
  {
    name: "a continuation follows a finished message",
    frames: [{ opcode: 1, fin: false, key: KEY }, { opcode: 0, key: KEY }, { opcode: 0, key: KEY }],
    code: 1002,
  },
  {
    name: "a message begins inside another",
    frames: [{ opcode: 1, fin: false, key: KEY }, { opcode: 1, key: KEY }],
    code: 1002,
  },
  {
    name: "125 is said in 16 bits",
    frames: [{ opcode: 2, payload: patternBytes(125), lengthForm: 16, key: KEY }],
    code: 1002,
  },
  {
    name: "65,535 is said in 64 bits",
    frames: [{ opcode: 2, payload: patternBytes(65_535), lengthForm: 64, key: KEY }],
    code: 1002,
  },
  { name: "the length has its highest bit", frames: [{ opcode: 2, announced: 1n << 63n, key: KEY }], code: 1002 },
  { name: "a length is over the limit", frames: [{ opcode: 2, announced: 262_145, key: KEY }], code: 1009 },
  { name: "a length is 2^62", frames: [{ opcode: 2, announced: 1n << 62n, key: KEY }], code: 1009 },
  {
    name: "fragments together are over the limit",
    frames: [{ opcode: 2, fin: false, payload: patternBytes(60), key: KEY }, { opcode: 0, announced: 41, key: KEY }],
    code: 1009,
    options: { maxMessageBytes: 100 },
  },
  { name: "text is cut in a character", frames: [{ opcode: 1, payload: half, key: KEY }], code: 1007 },
  {
    name: "text holds a surrogate",
    frames: [{ opcode: 1, payload: Uint8Array.of(0xed, 0xa0, 0x80), key: KEY }],
    code: 1007,
    options: { text: "bytes" },
  },
  {
    name: "fragments together are no UTF-8",
    frames: [{ opcode: 1, fin: false, payload: half, key: KEY }, { opcode: 0, payload: "a", key: KEY }],
    code: 1007,
  },
  {
    name: "text comes where binary is spoken",
    frames: [{ opcode: 1, key: KEY }],
    code: 1003,
    options: { accept: "binary" },
  },
  {
    name: "binary comes where text is spoken",
    frames: [{ opcode: 2, key: KEY }],
    code: 1003,
    options: { accept: "text" },
  },
  { name: "a close has 1 byte", frames: [{ opcode: 8, payload: "a", key: KEY }], code: 1002 },
  {
    name: "a close reason is no UTF-8",
    frames: [{ opcode: 8, payload: Uint8Array.of(3, 232, 0xff), key: KEY }],
    code: 1007,
  },
  ...[0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535].map((code) => ({
    name: `a close has the code ${code}`,
    frames: [{ opcode: 8, payload: Uint8Array.of(code >> 8, code & 0xff), key: KEY }],
    code: 1002,
  })),
];

describe("MessageParser on a broken rule", () => {
  for (const { name, frames, code, options } of violations) {
    it(`MessageParser answers ${code} when ${name}`, () => {
      const bytes = joinBytes(frames.map(rawFrame));
      for (const chunks of [[bytes], byteByByte(bytes)]) {
        const { error, incoming } = parse(chunks, options);
        assert.equal(error?.closeCode, code, `error is ${error}`);
        assert.deepEqual(incoming.filter((one) => one.kind === "message" && one.data.length > 0), []);
      }
    });
  }

  for (const code of [1000, 1001, 1002, 1003, 1007, 1011, 1012, 1013, 1014, 3000, 4999]) {
    it(`MessageParser takes a close when its code is ${code}`, () => {
      assert.deepEqual(parse([closeFrame(code, "", KEY)]).incoming, [{ kind: "close", code, reason: "" }]);
    });
  }

  it("MessageParser takes a close when it holds nothing", () => {
    assert.deepEqual(parse([rawFrame({ opcode: 8, key: KEY })]).incoming, [{ kind: "close", code: 1005, reason: "" }]);
  });

  it("MessageParser refuses a length at its field when none of the payload has come", () => {
    const { error } = parse([rawFrame({ opcode: 2, announced: 300_000, key: KEY }).subarray(0, 10)]);
    assert.equal(error?.code, "message_too_big");
    assert.match(String(error?.reason), /300000 bytes is longer than 262144/);
  });
});
