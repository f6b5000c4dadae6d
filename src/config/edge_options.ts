/** The options of `edge serve`. */
import { parseListenTarget } from "../net/mod.ts";
import { commonOptions } from "./common_options.ts";
import { headOptions } from "./head_options.ts";
import { nameFault } from "./names.ts";
import { durationOption, parsedOption, sizeOption, switchOption, textOption } from "./option.ts";
import { tokenOptions } from "./token_options.ts";

export const edgeServeOptions = {
  listen: parsedOption({
    name: "listen",
    hint: "HOST:PORT",
    help: "where the public and the agents connect; also unix:PATH, fd:N",
    default: "0.0.0.0:8080",
  }, parseListenTarget),
  domain: textOption(
    { name: "domain", hint: "DOMAIN", help: "serves tunnels at NAME.DOMAIN", default: "localhost" },
    domainFault,
  ),
  publicUrl: parsedOption({
    name: "public-url",
    hint: "URL",
    help: "sets scheme and port of every printed URL, for an edge behind a proxy",
  }, parsePublicUrl),
  data: textOption({
    name: "data",
    hint: "DIR",
    help: "where the edge keeps what must survive a restart; without it $STATE_DIRECTORY, then a folder of the system",
    completion: "folder",
  }),
  ...tokenOptions("opens tunnels to an agent that shows it; without it, one is made and kept in the data folder"),
  defaultTunnel: textOption(
    {
      name: "default-tunnel",
      hint: "NAME",
      help: "the tunnel that serves the domain itself, but for the edge's own paths",
    },
    nameFault,
  ),
  directVisitors: switchOption({
    name: "direct-visitors",
    help: "says that no proxy stands in front; an agent's --upstream-connection-auth needs it",
  }),
  firstByteTimeout: durationOption({
    name: "first-byte-timeout",
    help: "until the head of an answer",
    default: "60s",
  }),
  idleTimeout: durationOption({
    name: "idle-timeout",
    help: "silence in an exchange; SSE, NDJSON and upgrades are exempt",
    default: "5m",
  }),
  drainTimeout: durationOption({
    name: "drain-timeout",
    help: "for exchanges that still run after SIGTERM or Ctrl-C",
    default: "30s",
  }),
  jsonBodyLimit: sizeOption({
    name: "json-body-limit",
    help: "the largest request body for agents of the JSON protocol; without it 10MiB, or 7MiB if they announce none",
  }),
  ...headOptions("a request", "more is a 431"),
  ...commonOptions,
};

function domainFault(text: string): string | null {
  const isName = text.length <= 253 &&
    text.split(".").every((label) => /^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$/.test(label));
  return isName ? null : "is no domain name";
}

function parsePublicUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  const isBare = url !== null && url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  if (!isBare || !/^https?:$/.test(url.protocol)) throw new Error("is no URL such as https://example.com");
  return url;
}
