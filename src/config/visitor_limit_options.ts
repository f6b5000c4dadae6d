/** What visitors may send and take, as options of `edge serve`. */
import { countOption, durationOption, parsedOption, sizeOption, timeoutOption } from "./option.ts";
import { parseSize } from "./units.ts";

const SECONDS_PER_UNIT: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3_600 };
/** Slower, one chunk would wait for minutes. */
const LEAST_BANDWIDTH_BYTES = 16 * 1024;

interface Words {
  readonly name: string;
  readonly help: string;
  readonly default: string;
}

/** Requests or the like a second: `20/s`, `600/m`, `1000/h`; null for `off`. */
function rateOption(words: Words) {
  return parsedOption({ ...words, hint: "off|RATE" }, (text): number | null => {
    if (text === "off") return null;
    const [, count, unit] = /^(\d{1,9})\/([smh])$/.exec(text) ?? [];
    if (count === undefined || unit === undefined || Number(count) === 0) {
      throw new Error("is neither off nor a rate such as 20/s, 600/m, 1000/h");
    }
    return Number(count) / (SECONDS_PER_UNIT[unit] as number);
  });
}

/** Bytes a second: `1MiB/s`; `Infinity` for `off`. */
function bandwidthOption(words: Words) {
  return parsedOption({ ...words, hint: "off|SIZE/s" }, (text) => {
    if (text === "off") return Infinity;
    const bytes = text.endsWith("/s") ? parseSize(text.slice(0, -"/s".length)) : null;
    if (bytes === null) throw new Error("is neither off nor bytes a second such as 512KiB/s, 4MiB/s");
    if (bytes < LEAST_BANDWIDTH_BYTES) throw new Error("is less than 16KiB/s");
    return bytes;
  });
}

/** A whole number from 1 on; `Infinity` for `off`. */
function maxOption(words: Words) {
  return parsedOption({ ...words, hint: "off|NUMBER" }, (text) => {
    if (text === "off") return Infinity;
    if (!/^[1-9]\d{0,8}$/.test(text)) throw new Error("is neither off nor a whole number from 1");
    return Number(text);
  });
}

export const visitorLimitOptions = {
  lineLimit: sizeOption(
    { name: "line-limit", help: "the longest request line, target included; more is a 414", default: "8KiB" },
    ["1KiB", "64KiB"],
  ),
  trailerLimit: sizeOption(
    { name: "trailer-limit", help: "the trailers of a request, together; more is a 431", default: "8KiB" },
    ["1KiB", "64KiB"],
  ),
  bodyLimit: parsedOption({
    name: "body-limit",
    hint: "off|SIZE",
    help: "the largest request body that tunnels take; more is a 413",
    default: "off",
  }, (text) => {
    const bytes = text === "off" ? Infinity : parseSize(text);
    if (bytes === null) throw new Error("is neither off nor a size such as 64KiB, 4MiB");
    return bytes;
  }),
  headTimeout: durationOption(
    { name: "head-timeout", help: "until a visitor has sent the head of a request; then 408", default: "10s" },
    ["100ms", "1h"],
  ),
  bodyTimeout: durationOption(
    { name: "body-timeout", help: "silence of a visitor within the body of a request; then 408", default: "60s" },
    ["100ms", "1h"],
  ),
  keepAliveTimeout: durationOption(
    { name: "keep-alive-timeout", help: "until a visitor's connection without a request is closed", default: "75s" },
    ["100ms", "1h"],
  ),
  requestsPerConnection: maxOption({
    name: "requests-per-connection",
    help: "the requests of a visitor's connection; with the last answer it closes",
    default: "off",
  }),
  connectionAge: timeoutOption({
    name: "connection-age",
    help: "how old a visitor's connection gets; with its next answer it closes",
    default: "off",
  }),
  maxConnections: countOption({
    name: "max-connections",
    help: "the most connections at one time, those of agents among them; further visitors get 503",
    default: "65536",
  }, ["1", "1000000"]),
  connectionsPerAddress: maxOption({
    name: "connections-per-address",
    help: "the most connections of one address, those of agents among them; further ones are reset",
    default: "off",
  }),
  handshakeRate: rateOption({
    name: "handshake-rate",
    help: "the most TLS handshakes in all, twice as many at once; further connections are reset",
    default: "1000/s",
  }),
  addressHandshakeRate: rateOption({
    name: "address-handshake-rate",
    help: "the same for one address",
    default: "100/s",
  }),
  visitorRate: rateOption({
    name: "visitor-rate",
    help: "the most requests of one visitor (an IPv4 address, an IPv6 network /64); more is a 429",
    default: "off",
  }),
  visitorBurst: countOption({
    name: "visitor-burst",
    help: "how many of them may come at once; without it what --visitor-rate gives in 5 s, and at least 10",
  }, ["1", "1000000"]),
  visitorConcurrency: maxOption({
    name: "visitor-concurrency",
    help: "the most requests of one visitor at one time, WebSockets among them; more is a 429",
    default: "off",
  }),
  visitorWebsockets: maxOption({
    name: "visitor-websockets",
    help: "the most WebSockets and other upgrades of one visitor at one time; more is a 429",
    default: "off",
  }),
  visitorBandwidth: bandwidthOption({
    name: "visitor-bandwidth",
    help: "the bytes of bodies that one visitor sends, and gets, each: what is faster waits",
    default: "off",
  }),
  tunnelRate: rateOption({
    name: "tunnel-rate",
    help: "the most requests of all visitors of one tunnel; more is a 503",
    default: "off",
  }),
  tunnelBurst: countOption({
    name: "tunnel-burst",
    help: "how many of them may come at once; without it what --tunnel-rate gives in 5 s, and at least 10",
  }, ["1", "1000000"]),
  tunnelConcurrency: maxOption({
    name: "tunnel-concurrency",
    help: "the most requests of one tunnel at one time, WebSockets among them; more is a 503",
    default: "off",
  }),
  tunnelWebsockets: maxOption({
    name: "tunnel-websockets",
    help: "the most WebSockets and other upgrades of one tunnel at one time; more is a 503",
    default: "off",
  }),
  tunnelBandwidth: bandwidthOption({
    name: "tunnel-bandwidth",
    help: "the bytes of bodies that one tunnel takes, and gives, each: what is faster waits",
    default: "off",
  }),
};
