// @ts-check
/** What may be claimed, said and asked, and what comes of it. */

/** The most names that one session may have, whatever its options. */
const mostNames = 256;
const trusted = [
  ...["agent", "localhost", "healthz", "readyz", "mail", "autoconfig", "wpad", "api", "admin", "www"],
  ...["_dmarc", "_acme-challenge", "autodiscover", "isatap"],
];

/** Requests of visitors, and the status that each must get. */
const probes = [
  ["TRACE / HTTP/1.1\r\nHost: HOST", /^(405|501)$/],
  ["trace / HTTP/1.1\r\nHost: HOST", /^(405|501)$/],
  ["Trace / HTTP/1.1\r\nHost: HOST", /^(405|501)$/],
  ["CONNECT HOST:80 HTTP/1.1\r\nHost: HOST:80", /^(400|405|501)$/],
  ["connect HOST:80 HTTP/1.1\r\nHost: HOST:80", /^(400|405|501)$/],
  ["connect / HTTP/1.1\r\nHost: HOST", /^(400|405|501)$/],
  ["FOO /healthz HTTP/1.1\r\nHost: 127.0.0.1", /^405$/],
  ["GET /no-such?token=secret HTTP/1.1\r\nHost: 127.0.0.1", /^404$/],
  ["GET / HTTP/1.1\r\nHost: HOST\r\nTransfer-Encoding: chunked\r\nContent-Length: 3", /^400$/],
  ["GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 3\r\nContent-Length: 4", /^400$/],
  ["GET / HTTP/1.1\r\nHost: HOST\r\nHost: HOST", /^400$/],
  ["GET / HTTP/1.1\r\nHost: HOST\r\nX-A : b", /^400$/],
  ["GET / HTTP/1.1\r\nHost: HOST\r\n X-A: b", /^400$/],
];

/** @param {import("../stage.mjs").Result} result */
function checkProbes({ told }) {
  return told.flatMap((/** @type {{ request: string, status: string, text: string }} */ { request, status, text }) => {
    const wanted = /** @type {RegExp} */ (probes.find(([item]) => item === request)?.[1]);
    const line = request.split("\r\n")[0];
    return [
      ...(wanted.test(status) ? [] : [`${line} was answered with ${status}, not ${wanted.source}`]),
      ...(text.includes("token=secret") ? [`the answer to ${line} repeats its query`] : []),
    ];
  });
}

/** A line of the text log: its time, then no character that a terminal obeys, and no mark that turns text around. */
// deno-lint-ignore no-control-regex -- these are what is looked for
const logLine = /^\d{4}-\d\d-\d\dT[^\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]*$/;

/** @type {import("./mod.mjs").Scenario[]} */
export const answers = [
  {
    name: "names",
    what: "a session that claims 1,175 names",
    flood: { kind: "names", count: 1175, seconds: 8 },
    short: {},
    check: ({ told }) => told <= mostNames ? [] : [`it got ${told} names`],
  },
  {
    name: "trusted-names",
    what: "a session that claims names which attract trust",
    flood: { kind: "names", names: trusted, count: trusted.length, seconds: 5 },
    short: {},
    check: ({ told }) => told.length === 0 ? [] : [`it got ${told.join(", ")}`],
  },
  {
    name: "forged-log-lines",
    what: "sessions that end with line breaks, escape sequences and right-to-left marks",
    flood: { kind: "forgers", count: 8, seconds: 5 },
    short: {},
    readsLog: true,
    check: ({ log }) => {
      const wrong = log.filter((line) => !logLine.test(line));
      const ends = log.filter((line) => line.includes("forged"));
      return [
        ...(wrong.length === 0
          ? []
          : [`${wrong.length} lines of the log are not the edge's: ${JSON.stringify(wrong[0])}`]),
        ...(ends.length > 0 ? [] : ["the log has none of their reasons"]),
      ];
    },
  },
  {
    name: "rule-breaking-agent",
    what: "an agent that breaks a rule of WebSocket and keeps its socket while a visitor waits",
    flood: { kind: "ruleBreaker", protocol: "v2", count: 1, seconds: 10 },
    short: {},
    check: ({ told }, short) => [
      ...(told.status === "502" ? [] : [`the visitor got ${told.status}, not 502`]),
      ...(short || told.afterMs < 1000 ? [] : [`the visitor waited ${(told.afterMs / 1000).toFixed(1)} s for it`]),
    ],
  },
  {
    name: "hostile-answers",
    what: "answers of agents that would break out of their heads",
    flood: { kind: "hostileAnswers", count: 1, seconds: 20 },
    short: {},
    check: ({ told }) => told.map((/** @type {unknown} */ item) => `it was passed on: ${JSON.stringify(item)}`),
  },
  {
    name: "hostile-requests",
    what: "requests that are refused",
    flood: { kind: "probes", requests: probes.map(([request]) => [request]), count: 1, seconds: 10 },
    short: {},
    check: checkProbes,
  },
];
