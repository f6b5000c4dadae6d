// @ts-check
/** Agents that send what is of no use. */

/** Those that stand for the others in the short form. */
const inShortForm = new Set(["agent-pings", "agent-credit", "agent-continuations", "json-unknown-frames"]);

/** How the edge ends such a session: ENHANCE_YOUR_CALM. */
const calm = /^GOAWAY 11\b/;

/**
 * @param {string} name @param {string} frames @param {string} what
 * @param {Partial<import("./mod.mjs").Scenario>} more @returns {import("./mod.mjs").Scenario}
 */
const flood = (name, frames, what, more = { endsWith: calm }) => ({
  name,
  what,
  flood: { kind: "senselessFrames", frames, protocol: "v2", count: 1, repeat: true, seconds: 5 },
  ...more,
});

/** @param {string} name @param {string} frames @param {string} what @returns {import("./mod.mjs").Scenario} */
const jsonFlood = (name, frames, what) => {
  const scenario = flood(name, frames, what, {});
  return { ...scenario, flood: { ...scenario.flood, protocol: "json" } };
};

/** @type {import("./mod.mjs").Scenario[]} */
export const frames = [
  flood("agent-pings", "pings", "an agent sends PINGs"),
  flood("agent-unknown-frames", "unknownFrames", "an agent sends frames of an unknown type"),
  flood("agent-late-credit", "lateCredit", "an agent sends credit for a stream that is over"),
  flood("agent-credit", "credit", "an agent sends credit of one byte for a stream that is open"),
  flood("agent-empty-data", "emptyData", "an agent sends empty DATA"),
  flood("agent-acks", "acks", "an agent sends ACKs that acknowledge nothing", {}),
  flood("agent-open-and-reset", "openAndReset", "an agent opens streams and resets them", {}),
  flood("agent-bad-heads", "badHeads", "an agent opens streams with bad heads", {}),
  flood("agent-interims", "interims", "an agent answers a visitor with 103s", {}),
  flood("agent-websocket-pings", "webSocketPings", "an agent sends WebSocket pings", {}),
  flood("agent-websocket-pongs", "webSocketPongs", "an agent sends WebSocket pongs", {}),
  flood("agent-continuations", "continuations", "an agent sends empty continuation frames", {}),
  jsonFlood("json-websocket-pings", "webSocketPings", "an agent of the JSON protocol sends WebSocket pings"),
  jsonFlood("json-unknown-frames", "unknownJson", "an agent of the JSON protocol sends frames of an unknown type"),
  jsonFlood("json-late-chunks", "lateChunks", "an agent of the JSON protocol sends chunks that belong to no request"),
].map((scenario) => ({
  ...scenario,
  check: isEnded,
  ...(inShortForm.has(scenario.name) ? { short: { repeat: false } } : {}),
}));

/** A flood without use is ended, by whatever code. @param {import("../stage.mjs").Result} result */
function isEnded({ counts }) {
  // The last one of several may just have begun.
  const ended = Object.entries(counts).some(([what]) => !/^(sent bytes|still open|refused)/.test(what));
  return ended ? [] : ["no session of the flood was ended"];
}
