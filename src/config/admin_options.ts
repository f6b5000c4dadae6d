/** The options of the commands that ask an edge's admin API. */
import { commonOptions } from "./common_options.ts";
import {
  choiceOption,
  countOption,
  durationOption,
  listOption,
  parsedOption,
  switchOption,
  textOption,
} from "./option.ts";

export const adminOptions = {
  admin: parsedOption({
    name: "admin",
    hint: "URL",
    help:
      "the admin API of the edge, or unix:PATH; its token is read from RUNNEL_ADMIN_TOKEN, else from the data folder",
    default: "http://127.0.0.1:4480",
  }, parseAdminUrl),
  data: textOption({
    name: "data",
    hint: "DIR",
    help: "the data folder of the edge, which holds the token of its admin API",
    completion: "folder",
  }),
  ...commonOptions,
};

export const nodeAddOptions = {
  label: listOption({ name: "label", hint: "KEY=VALUE", help: "says something about the node" }, parseLabel),
  ...adminOptions,
};

export const nodeRotateOptions = {
  grace: durationOption({ name: "grace", help: "for how long the old token stays valid", default: "0s" }),
  ...adminOptions,
};

export const tokenAddOptions = {
  name: textOption({
    name: "name",
    hint: "PATTERN",
    help: "the names that the token opens; a * at its end stands for any characters",
  }),
  for: durationOption({ name: "for", help: "when it expires; without it, never" }),
  ...adminOptions,
};

const waitOptions = {
  wait: switchOption({
    name: "wait",
    help: "ends once the agents of all nodes that are concerned serve it; with 1 where one fails or the time is over",
  }),
  waitOnline: switchOption({ name: "wait-online", help: "the same, without the nodes that are offline" }),
  timeout: durationOption({ name: "timeout", help: "how long to wait", default: "60s" }),
  dryRun: switchOption({ name: "dry-run", help: "only prints what would change" }),
};

export const applyOptions = {
  ...waitOptions,
  prune: switchOption({
    name: "prune",
    help: "removes the tunnels that the project has applied before and that are not in the file",
  }),
  ...adminOptions,
};

export const rollbackOptions = {
  project: textOption({
    name: "project",
    hint: "NAME",
    help: "the project to roll back; without it, the one that was deployed with the revision",
  }),
  ...waitOptions,
  ...adminOptions,
};

export const restoreOptions = {
  data: textOption({
    name: "data",
    hint: "DIR",
    help: "the data folder of the edge, which must not run; without it, that of edge serve",
    completion: "folder",
  }),
  ...commonOptions,
};

export const tunnelAddOptions = {
  node: listOption({ name: "node", hint: "NODE", help: "a node that may serve it" }, parseText),
  upstream: textOption({ name: "upstream", hint: "TARGET", help: "what the node's agent dials" }),
  kind: choiceOption({ name: "kind", help: "what the tunnel carries", default: "http" }, ["http", "tcp"]),
  port: countOption({ name: "port", help: "of a tcp tunnel: its port at the edge" }, ["1", "65535"]),
  hostname: listOption({
    name: "hostname",
    hint: "HOST",
    help: "serves this name, too; *.HOST stands for one more label",
  }, parseText),
  ...adminOptions,
};

export const pushOptions = {
  all: switchOption({ name: "all", help: "tells the agents of all nodes" }),
  payload: parsedOption({ name: "payload", hint: "JSON", help: "what belongs to the type, as an object" }, parseObject),
  ...adminOptions,
};

export const statusOptions = {
  check: switchOption({ name: "check", help: "ends with 1 where a node or a tunnel is offline" }),
  ...adminOptions,
};

export const eventsOptions = {
  since: textOption({
    name: "since",
    hint: "ID",
    help: "begins behind this event, as its eventId names it; without it, with what happens from now on",
  }, (text) => /^[a-z0-9]{1,32}-\d{1,15}$/.test(text) ? null : "is no id of an event, such as k3m9x2p7-42"),
  ...adminOptions,
};

function parseAdminUrl(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null;
  if (url?.protocol === "unix:" && url.pathname !== "") return url;
  if (url?.protocol === "https:") {
    throw new Error("is encrypted, which the admin API is not: forward its port, as by ssh -L 4480:127.0.0.1:4480");
  }
  if (url === null || url.protocol !== "http:" || url.pathname !== "/" || url.search !== "" || url.username !== "") {
    throw new Error("is neither a URL such as http://127.0.0.1:4480 nor unix:PATH");
  }
  return url;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  const fault = new Error(`is no object such as {"action":"reconnect"}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw fault;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw fault;
  return value as Readonly<Record<string, unknown>>;
}

function parseLabel(text: string): readonly [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new Error("is no label such as site=fra");
  return [text.slice(0, at), text.slice(at + 1)];
}

function parseText(text: string): string {
  if (text === "") throw new Error("is empty");
  return text;
}
