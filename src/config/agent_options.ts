/** The options of the agent's commands. */
import { hostSettingFault } from "../http/mod.ts";
import { pinPattern } from "../net/mod.ts";
import { parseAllowedUpstream } from "./allowed_upstream.ts";
import { commonOptions } from "./common_options.ts";
import { connectionOptions } from "./connection_options.ts";
import { headOptions } from "./head_options.ts";
import { nameFault } from "./names.ts";
import { choiceOption, durationOption, listOption, switchOption, textOption, timeoutOption } from "./option.ts";
import { tokenOptions } from "./token_options.ts";

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
  edgePin: {
    ...listOption({
      name: "edge-pin",
      hint: "PIN",
      help:
        "trusts an https:// edge by its key alone, as an edge with --tls-self-signed prints it (sha256/BASE64), and " +
        "by no authority, name or date",
    }, parsePin),
    insteadOf: "edge-ca",
  },
  proxy: textOption({
    name: "proxy",
    hint: "URL",
    help: "dials the edge through this HTTP proxy; without it HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY count",
  }),
};

function parsePin(text: string): string {
  if (!pinPattern.test(text)) throw new Error("is no pin: sha256/ and 44 characters of base64");
  return text;
}

const edgeOption = textOption({
  name: "edge",
  hint: "URL",
  help: "the edge to dial; HOST:PORT is http:// on this machine, else https://; PORT is on this machine",
  default: "http://127.0.0.1:8080",
});

/** How upstreams are trusted and talked to. */
const upstreamAccess = {
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
  upstreamConnectionAuth: switchOption({
    name: "upstream-connection-auth",
    help:
      "keeps an upstream connection for each visitor who signs in by NTLM or Negotiate; the edge needs --direct-visitors",
  }),
};

export const agentHttpOptions = {
  edge: edgeOption,
  ...tokenOptions("shown to the edge"),
  name: textOption(
    { name: "name", hint: "LABEL", help: "serves at LABEL.DOMAIN; without it, a random label is drawn" },
    nameFault,
  ),
  protocol: choiceOption({ name: "protocol", help: "how to speak to the edge", default: "v2" }, ["v2", "json"]),
  hostHeader: textOption({
    name: "host-header",
    hint: "preserve|rewrite|VALUE",
    help: "the Host that the upstream gets: the visitor's, the upstream's own host and port, or VALUE; with the last " +
      "two, Origin, Referer and Location follow",
    default: "preserve",
    completion: ["preserve", "rewrite"],
  }, hostSettingFault),
  force: switchOption({ name: "force", help: "takes the name over from a live agent with the same token" }),
  share: switchOption({
    name: "share",
    help: "serves the tunnel together with other agents that are started with --share and a token of the same owner",
  }),
  connectTimeout: timeoutOption({
    name: "connect-timeout",
    help: "for how long the first connection is tried; off: for ever, whatever the edge answers",
    default: "10s",
  }),
  drainTimeout: durationOption({
    name: "drain-timeout",
    help: "for requests that still run after SIGTERM or Ctrl-C",
    default: "30s",
  }),
  ...edgeAccess,
  firstByteTimeout: timeoutOption({
    name: "first-byte-timeout",
    help:
      "for how long the edge waits for the head of an answer of this tunnel; without it, as long as the edge's own " +
      "setting says",
  }),
  compress: switchOption({
    name: "compress",
    help:
      "compresses answers with gzip where the visitor accepts it and the upstream has not: text, JSON, event streams, " +
      "XML, JavaScript and SVG",
  }),
  noForwardedHeaders: switchOption({
    name: "no-forwarded-headers",
    help: "sends the upstream no X-Forwarded-For and the like, for one that refuses such requests",
  }),
  allowUpstream: listOption({
    name: "allow-upstream",
    hint: "HOST:PORT|CIDR:PORT",
    help: "dials upstreams at these addresses alone, which is checked at each dial; without it, wherever TARGET leads",
  }, parseAllowedUpstream),
  ...upstreamAccess,
  ...connectionOptions,
  ...headOptions("an upstream's answer", "more is a 502"),
  ...commonOptions,
};

export const agentRunOptions = {
  config: textOption({
    name: "config",
    hint: "FILE",
    help:
      "serves the tunnels of this file (YAML or JSON), which is read again when it changes and at SIGHUP; without " +
      "it, those that the edge has for the token's node",
    completion: "file",
  }),
  edge: edgeOption,
  ...tokenOptions("shown to the edge: of a node, unless --config is given"),
  data: textOption({
    name: "data",
    hint: "DIR",
    help:
      "keeps the last config that was served, and which one of its node's agents this is; each agent of a machine " +
      "needs one of its own",
    completion: "folder",
  }),
  drainTimeout: durationOption({
    name: "drain-timeout",
    help: "for requests that still run after SIGTERM or Ctrl-C, and for those of a tunnel that is removed or changed",
    default: "30s",
  }),
  ...edgeAccess,
  allowUpstream: listOption({
    name: "allow-upstream",
    hint: "HOST:PORT|CIDR:PORT",
    help:
      "dials upstreams at these addresses alone, which is checked at each dial; without it, this machine's loopback " +
      "addresses, and with --config wherever the file leads",
  }, parseAllowedUpstream),
  ...upstreamAccess,
  ...connectionOptions,
  ...headOptions("an upstream's answer", "more is a 502"),
  ...commonOptions,
};

export const agentLoginOptions = {
  ...tokenOptions("the token to keep"),
  noCheck: switchOption({ name: "no-check", help: "keeps edge and token without trying them" }),
  ...edgeAccess,
  ...commonOptions,
};
