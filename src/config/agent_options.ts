/** The options of the agent's commands. */
import { commonOptions } from "./common_options.ts";
import { nameFault } from "./names.ts";
import { choiceOption, durationOption, parsedOption, switchOption, textOption } from "./option.ts";
import { tokenOptions } from "./token_options.ts";
import { parseDuration } from "./units.ts";

/** How the edge is reached and trusted. */
const edgeAccess = {
  edgeInsecure: switchOption({
    name: "edge-insecure",
    help: "allows an edge that is not encrypted or not to be verified; the token can then be read on the way",
  }),
  edgeCa: textOption({
    name: "edge-ca",
    hint: "FILE",
    help: "trusts these authorities (PEM) for the edge's certificate, instead of the system's",
    completion: "file",
  }),
  proxy: textOption({
    name: "proxy",
    hint: "URL",
    help: "dials the edge through this HTTP proxy; without it HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY count",
  }),
};

export const agentHttpOptions = {
  edge: textOption({ name: "edge", hint: "URL", help: "the edge to dial", default: "http://127.0.0.1:8080" }),
  ...tokenOptions("shown to the edge"),
  name: textOption(
    { name: "name", hint: "LABEL", help: "serves at LABEL.DOMAIN; without it, a random label is drawn" },
    nameFault,
  ),
  protocol: choiceOption({ name: "protocol", help: "how to speak to the edge", default: "v2" }, ["v2", "json"]),
  force: switchOption({ name: "force", help: "takes the name over from a live agent with the same token" }),
  connectTimeout: parsedOption({
    name: "connect-timeout",
    hint: "off|DURATION",
    help: "for how long the first connection is tried; off: for ever, whatever the edge answers",
    default: "10s",
  }, parseTimeout),
  drainTimeout: durationOption({
    name: "drain-timeout",
    help: "for requests that still run after SIGTERM or Ctrl-C",
    default: "30s",
  }),
  ...edgeAccess,
  upstreamInsecure: switchOption({
    name: "upstream-insecure",
    help: "takes any certificate of an https:// upstream",
  }),
  upstreamCa: textOption({
    name: "upstream-ca",
    hint: "FILE",
    help: "trusts these authorities (PEM) for the upstream's certificate, instead of the system's",
    completion: "file",
  }),
  ...commonOptions,
};

export const agentLoginOptions = {
  ...tokenOptions("the token to keep"),
  noCheck: switchOption({ name: "no-check", help: "keeps edge and token without trying them" }),
  ...edgeAccess,
  ...commonOptions,
};

/** Milliseconds; `Infinity` for `off`. */
function parseTimeout(text: string): number {
  const timeoutMs = text === "off" ? Infinity : parseDuration(text);
  if (timeoutMs === null) throw new Error("is neither off nor a duration such as 500ms, 30s, 5m, 1h");
  return timeoutMs;
}
