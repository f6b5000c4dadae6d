// @ts-check
/**
 * What agents may send at /agent, both protocols, with a valid token and without: the edge and the neighbor live on.
 */
import { connect } from "node:net";
import fc from "fast-check";
import {
  AgentLink,
  frame,
  frameTypes,
  headerBlock,
  opcodes,
  tunnelRequest,
  u32,
  webSocketFrame,
} from "../abuse/floods/agent_link.mjs";
import { setTimeout as sleep } from "node:timers/promises";

/**
 * @typedef {{ bytes: Buffer, visit: boolean }} Step what is written, and whether a visitor comes before it
 * @typedef {{ protocol: "v2" | "json", hasToken: boolean, isOpen: boolean, steps: Step[] }} Case
 */

const name = "fuzz-agent";

const streamId = fc.oneof({ weight: 4, arbitrary: fc.constantFrom(0, 1, 2, 3, 4, 6) }, fc.nat(0x7fffffff));
const number32 = fc.oneof(fc.constantFrom(0, 1, 2, 8, 65_536, 0x7fffffff, 0xffffffff), fc.nat(0xffffffff));
const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
const fieldText = fc.oneof(
  fc.constantFrom(
    ...[":method", ":path", ":status", ":authority", ":scheme", ":protocol", ":tunnel", ":reason", "GET", "200", "103"],
    ...["101", "/", "*", "/api/agent/tunnels", "content-length", "5", "host", "connection", "a\r\nb", "\0", "", "x"],
  ),
  fc.string({ maxLength: 10 }),
);
const block = fc.array(fc.tuple(fieldText, fieldText), { maxLength: 6 }).map((pairs) => headerBlock(...pairs.flat()));
const answerHead = fc.constantFrom("200", "204", "304", "404", "101", "103", "099", "1000")
  .map((status) => headerBlock(":status", status, "content-type", "text/plain"));

/** Payloads that fit their type, and some that do not. */
const payloads = /** @type {Record<number, import("fast-check").Arbitrary<Buffer>>} */ ({
  [frameTypes.data]: fc.oneof(bytes, fc.nat(70_000).map((length) => Buffer.alloc(length, "x"))),
  [frameTypes.headers]: fc.oneof(block, answerHead, bytes),
  [frameTypes.reset]: number32.map(u32),
  5: number32.map(u32),
  [frameTypes.settings]: fc.array(fc.tuple(fc.nat(8), number32), { maxLength: 4 }).map((pairs) =>
    Buffer.concat(pairs.map(([id, value]) => Buffer.concat([Buffer.from([0, id]), u32(value)])))
  ),
  [frameTypes.goAway]: fc.tuple(number32, number32, bytes).map(([id, code, reason]) =>
    Buffer.concat([u32(id), u32(code), reason])
  ),
  [frameTypes.windowUpdate]: number32.map(u32),
  [frameTypes.ping]: fc.constant(Buffer.alloc(8)),
  [frameTypes.ack]: fc.tuple(fc.constantFrom(0, 1, 65_535), number32).map(([high, low]) =>
    Buffer.concat([u32(high).subarray(2), u32(low)])
  ),
});
const knownFrame = fc.constantFrom(...Object.keys(payloads).map(Number)).chain((type) =>
  fc.tuple(streamId, fc.oneof({ weight: 5, arbitrary: payloads[type] }, bytes), fc.constantFrom(0, 0, 1, 2, 4, 5, 255))
    .map(([id, payload, flags]) => frame(type, id, payload, flags))
);
const anyFrame = fc.tuple(fc.nat(255), streamId, bytes, fc.nat(255)).map(([type, id, payload, flags]) =>
  frame(type, id, payload, flags)
);
const goodFrames = fc.constantFrom(
  frame(frameTypes.settings),
  frame(frameTypes.ping, 0, "12345678"),
  frame(frameTypes.headers, 2, headerBlock(":status", "200")),
  frame(frameTypes.data, 2, "hello"),
  frame(frameTypes.data, 2, "", 1),
  tunnelRequest(3, `${name}-2`),
);
const message = fc.array(fc.oneof(goodFrames, { weight: 2, arbitrary: knownFrame }, anyFrame), {
  minLength: 1,
  maxLength: 5,
})
  .map((frames) => Buffer.concat(frames));

const jsonValue = fc.oneof(
  fc.constantFrom(
    "t-1",
    "",
    "neighbor",
    200,
    99,
    1e9,
    -1,
    null,
    true,
    [],
    {},
    "aGk=",
    "!",
    "a\r\nb: c",
    "x".repeat(5000),
  ),
  fc.jsonValue(),
);
const jsonKeys = [
  ...["type", "request_id", "status", "headers", "body_b64", "data_b64", "message", "code", "reason", "tunnel_id"],
  ...["agent_token", "features", "timeouts", "max_body_bytes"],
];
const jsonTypes = [
  ...["http_response", "http_response_start", "http_response_chunk", "http_response_end", "http_response_abort"],
  ...["register", "draining", "error", "registered", "http_request", "x"],
];
const jsonMessage = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.tuple(
      fc.constantFrom(...jsonTypes),
      fc.dictionary(fc.constantFrom(...jsonKeys), jsonValue, { maxKeys: 6 }),
    )
      .map(([type, more]) => ({ type, ...more, force: undefined })).map((value) => JSON.stringify(value)),
  },
  fc.json(),
  fc.string(),
).map((text) => Buffer.from(text));

/** Cuts and changes a message. @param {import("fast-check").Arbitrary<Buffer>} messages */
const mutated = (messages) =>
  fc.tuple(messages, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }), fc.option(fc.nat())).map(
    ([message, changes, end]) => {
      const copy = Buffer.from(message);
      for (const [at, value] of changes) if (copy.length > 0) copy[at % copy.length] = value;
      return end === null ? copy : copy.subarray(0, end % (copy.length + 1));
    },
  );

/** A WebSocket frame that keeps no rule: any first byte, a length that is not the shortest, no mask. */
const strangeFrame = fc.tuple(fc.nat(255), fc.constantFrom("short", "16", "64", "huge", "unmasked"), bytes).map(
  ([first, form, body]) => {
    if (form === "unmasked") return Buffer.concat([Buffer.from([first, body.length]), body]);
    const mask = Buffer.alloc(4);
    if (form === "short") return Buffer.concat([Buffer.from([first, 0x80 | body.length]), mask, body]);
    if (form === "16") return Buffer.concat([Buffer.from([first, 0xfe, 0, body.length]), mask, body]);
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(form === "huge" ? 2n ** 63n + 5n : BigInt(body.length));
    return Buffer.concat([Buffer.from([first, 0xff]), length, mask, body]);
  },
);

/** @param {"v2" | "json"} protocol @returns {import("fast-check").Arbitrary<Step>} */
const step = (protocol) => {
  const opcode = protocol === "v2" ? opcodes.binary : opcodes.text;
  const whole = protocol === "v2" ? message : jsonMessage;
  const sent = fc.oneof(
    { weight: 5, arbitrary: whole.map((payload) => webSocketFrame(opcode, payload)) },
    { weight: 2, arbitrary: mutated(whole).map((payload) => webSocketFrame(opcode, payload)) },
    fc.tuple(whole, fc.nat()).map(([payload, at]) => {
      const place = payload.length === 0 ? 0 : at % payload.length;
      const [head, tail] = [payload.subarray(0, place), payload.subarray(place)];
      return Buffer.concat([webSocketFrame(opcode, head, false), webSocketFrame(opcodes.continuation, tail)]);
    }),
    strangeFrame,
    fc.tuple(fc.constantFrom(8, 9, 10), bytes).map(([control, payload]) => webSocketFrame(control, payload)),
  );
  return fc.record({ bytes: sent, visit: fc.boolean() });
};

/** @type {import("fast-check").Arbitrary<Case>} */
const cases = fc.constantFrom(/** @type {const} */ ("v2"), /** @type {const} */ ("json")).chain((protocol) =>
  fc.record({
    protocol: fc.constant(protocol),
    hasToken: fc.constantFrom(true, true, true, true, true, true, true, false),
    isOpen: fc.constantFrom(true, true, true, false),
    steps: fc.array(step(protocol), { minLength: 1, maxLength: 8 }),
  })
);

/** @implements {Fuzzer} @typedef {import("./main.mjs").Fuzzer} Fuzzer */
export class FrameFuzzer {
  cases = cases;
  #task = { port: 0, token: "" };
  #count = 0;

  /** @param {import("./tunnel.mjs").Tunnel} tunnel */
  async start({ port, token }) {
    this.#task = { port, token };
    await Promise.resolve();
  }

  /** @param {Case} input */
  async check({ protocol, hasToken, isOpen, steps }) {
    const task = { ...this.#task, token: hasToken ? this.#task.token : "wrong" };
    const tunnel = `${name}-${this.#count++ % 1000}`;
    // A wrong token is answered after a second: nobody waits for that.
    const opening = isOpen && hasToken ? AgentLink.open(task, protocol, tunnel) : AgentLink.dial(task, protocol);
    const link = await Promise.race([opening.catch(() => null), sleep(hasToken ? 5000 : 50, null, { ref: false })]);
    void opening.then(({ socket }) => link ?? socket.destroy(), () => {});
    if (link === null) {
      if (hasToken && isOpen) throw new Error("the edge opened no tunnel for a right token");
      return;
    }
    link.socket.on("error", () => {});
    const visitors = [];
    for (const { bytes, visit } of steps) {
      if (visit) visitors.push(visitorOf(task.port, tunnel));
      link.socket.write(bytes);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // What the edge still has to say to it comes before the pong, or the link is closed.
    link.send(opcodes.ping, "end");
    const pong = new Promise((resolve) => link.onMessage = (opcode) => opcode === opcodes.pong && resolve(null));
    await Promise.race([link.closed, pong, sleep(100, null, { ref: false })]);
    link.socket.resetAndDestroy();
    for (const visitor of visitors) visitor.resetAndDestroy();
  }

  /** @param {Case} input */
  show({ steps, ...rest }) {
    return JSON.stringify({ ...rest, steps: steps.map(({ bytes, visit }) => ({ visit, hex: bytes.toString("hex") })) });
  }

  async stop() {
    await Promise.resolve();
  }
}

/** @param {number} port @param {string} tunnel */
function visitorOf(port, tunnel) {
  const socket = connect({ host: "127.0.0.1", port, noDelay: true });
  socket.on("error", () => {}).on("data", () => {});
  socket.write(`POST /x HTTP/1.1\r\nHost: ${tunnel}.localhost\r\nContent-Length: 3\r\n\r\nabc`);
  return socket;
}
