// @ts-check
/** Agents that send what is of no use. */

const seconds = 5;
const calm = /ENHANCE_YOUR_CALM|GOAWAY 11\b/;

/** @param {string} name @param {string} frames @param {string} what @returns {import("./mod.mjs").Scenario} */
const flood = (name, frames, what, protocol = "v2") => ({
  name,
  what,
  flood: { kind: "senselessFrames", frames, protocol, count: 1, seconds },
  short: { seconds: 2 },
  agent: "none",
  ...(protocol === "v2" ? { endsWith: calm } : {}),
});

/** @type {import("./mod.mjs").Scenario[]} */
export const frames = [
  flood("agent-pings", "pings", "an agent sends PINGs"),
  flood("agent-unknown-frames", "unknownFrames", "an agent sends frames of an unknown type"),
  flood("agent-window-updates", "windowUpdates", "an agent sends credit of one byte"),
  flood("agent-empty-data", "emptyData", "an agent sends empty DATA"),
  flood("agent-acks", "acks", "an agent sends ACKs that acknowledge nothing"),
  flood("agent-websocket-pings", "webSocketPings", "an agent sends WebSocket pings"),
  flood("agent-websocket-pongs", "webSocketPongs", "an agent sends WebSocket pongs"),
  flood("agent-continuations", "continuations", "an agent sends empty continuation frames"),
  flood("json-websocket-pings", "webSocketPings", "an agent of the JSON protocol sends WebSocket pings", "json"),
];
