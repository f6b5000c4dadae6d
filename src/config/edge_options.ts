/** The options of `edge serve`. */
import { parseListenTarget } from "../net/mod.ts";
import { acmeOptions } from "./acme_options.ts";
import { commonOptions } from "./common_options.ts";
import { connectionOptions } from "./connection_options.ts";
import { headOptions } from "./head_options.ts";
import { hostFault } from "./host_fault.ts";
import { DEFAULT_LISTEN_PORT, parseListenAddress } from "./listen_address.ts";
import { nameFault, parseReservedName } from "./names.ts";
import {
  countOption,
  durationOption,
  listOption,
  parsedOption,
  sizeOption,
  switchOption,
  textOption,
  timeoutOption,
} from "./option.ts";
import { tlsOptions } from "./tls_options.ts";
import { tokenOptions } from "./token_options.ts";
import { trustOptions } from "./trust_options.ts";
import { visitorLimitOptions } from "./visitor_limit_options.ts";

/** That of `--admin-listen`. */
const DEFAULT_ADMIN_PORT = 4480;

export const edgeServeOptions = {
  listen: {
    ...listOption({
      name: "listen",
      hint: "HOST:PORT",
      help: "where the public and the agents connect; https://HOST:PORT is TLS, beside which http://HOST:PORT sends " +
        "visitors there; also PORT, HOST, :PORT, unix:PATH, fd:N; with --tls-cert, --tls-self-signed or --acme by default " +
        "https://[::]:443 and http://[::]:80",
    }, parseListenAddress),
    default: `0.0.0.0:${DEFAULT_LISTEN_PORT}`,
  },
  ...tlsOptions,
  domain: textOption(
    { name: "domain", hint: "DOMAIN", help: "serves tunnels at NAME.DOMAIN", default: "localhost" },
    hostFault,
  ),
  publicUrl: parsedOption({
    name: "public-url",
    hint: "URL",
    help: "sets scheme and port of every printed URL, for an edge behind a proxy",
  }, parsePublicUrl),
  adminListen: parsedOption({
    name: "admin-listen",
    hint: "HOST:PORT|off",
    help: "where the admin API is; without it 127.0.0.1:4480, or no admin API where that is in use",
  }, (text) => text === "off" ? "off" : parseListenTarget(text, DEFAULT_ADMIN_PORT)),
  adminHost: listOption({
    name: "admin-host",
    hint: "HOST",
    help: "a name by which the admin API may be asked, beside localhost and addresses",
  }, parseAdminHost),
  data: textOption({
    name: "data",
    hint: "DIR",
    help: "where the edge keeps what must survive a restart; without it $STATE_DIRECTORY, then a folder of the system",
    completion: "folder",
  }),
  ...acmeOptions,
  ...tokenOptions("opens tunnels to an agent that shows it; without it, one is made and kept in the data folder"),
  defaultTunnel: textOption(
    {
      name: "default-tunnel",
      hint: "NAME",
      help: "the tunnel that serves the domain itself, but for the edge's own paths",
    },
    nameFault,
  ),
  reservedName: listOption({
    name: "reserved-name",
    hint: "NAME|-NAME",
    help: "a further name that no tunnel may have; --reserved-name=-mail frees one of the usual ones (docs/server.md)",
  }, parseReservedName),
  namesPerToken: countOption(
    { name: "names-per-token", help: "the most names of tunnels that a token has at one time", default: "100" },
    ["1", "100000"],
  ),
  sessionsPerToken: countOption(
    { name: "sessions-per-token", help: "the most agents that are connected with a token at one time", default: "200" },
    ["1", "100000"],
  ),
  directVisitors: switchOption({
    name: "direct-visitors",
    help: "says that no proxy stands in front; an agent's --upstream-connection-auth needs it",
  }),
  ...trustOptions,
  firstByteTimeout: timeoutOption({
    name: "first-byte-timeout",
    help: "until the head of an answer, for tunnels whose agents ask for no other time",
    default: "60s",
  }),
  maxFirstByteTimeout: timeoutOption({
    name: "max-first-byte-timeout",
    help: "the most that an agent may ask for as its --first-byte-timeout",
    default: "off",
  }),
  idleTimeout: timeoutOption({
    name: "idle-timeout",
    help: "silence in an exchange whose answer has a Content-Length; live types and upgrades are exempt",
    default: "5m",
  }),
  streamIdleTimeout: timeoutOption({
    name: "stream-idle-timeout",
    help: "the same where the answer has no Content-Length",
    default: "1h",
  }),
  liveType: listOption({
    name: "live-type",
    hint: "TYPE",
    help:
      "a further media type of answers that may be silent for any time, as SSE and NDJSON may; * at its end stands " +
      "for any letters",
  }, parseLiveType),
  resumeTimeout: timeoutOption({
    name: "resume-timeout",
    help: "for how long a session of runnel.v2 waits for its agent when the link is lost; off: it ends with its link",
    default: "30s",
  }),
  resumeWait: durationOption({
    name: "resume-wait",
    help: "for how long a request waits for a tunnel whose agent has lost its link; 0s: it gets a 503 at once",
    default: "10s",
  }),
  drainTimeout: durationOption({
    name: "drain-timeout",
    help: "for exchanges that still run after SIGTERM or Ctrl-C",
    default: "30s",
  }),
  handoverTimeout: durationOption({
    name: "handover-timeout",
    help: "the same where another edge has taken over: one that listens at the same address, with the same data folder",
    default: "1h",
  }),
  accessLog: textOption({
    name: "access-log",
    hint: "FILE|-",
    help: "logs each request to a file, which is opened anew at SIGHUP, or to standard output; off without it",
    completion: "file",
  }),
  jsonBodyLimit: sizeOption({
    name: "json-body-limit",
    help: "the largest request body for agents of the JSON protocol; without it 10MiB, or 7MiB if they announce none",
  }),
  ...connectionOptions,
  ...headOptions("a request", "more is a 431"),
  ...visitorLimitOptions,
  ...commonOptions,
};

function parseAdminHost(text: string): string {
  if (hostFault(text) !== null) throw new Error("is no host such as edge.internal");
  return text.toLowerCase();
}

function parseLiveType(text: string): string {
  const token = "[!#$%&'+.^_`|~0-9A-Za-z-]+";
  if (!new RegExp(`^${token}/(?:${token}\\*?|\\*)$`).test(text)) {
    throw new Error("is no media type such as application/x-stream");
  }
  return text;
}

function parsePublicUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isBare = url !== null && url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  if (!isBare || !/^https?:$/.test(url.protocol)) throw new Error("is no URL such as https://example.com");
  return url;
}
