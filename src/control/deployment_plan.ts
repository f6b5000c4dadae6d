/**
 * What a deployment does to an edge. A deployment says which tunnels its project has, and may label nodes. The plan
 * compares it with what there is, step by step, and holds the changes of one commit.
 */
import { isDeepStrictEqual } from "node:util";
import { randomName } from "../config/mod.ts";
import type { Change, ProjectRecord, TunnelRecord } from "../store/mod.ts";
import { ControlError } from "./control_error.ts";
import type { Directory } from "./directory.ts";
import { belongsElsewhere, claim, describeTunnel, hostnameTaken, portTaken } from "./holders.ts";
import { checkHostnames, checkKind, checkProjectName, checkTunnelName } from "./rules.ts";

export interface Deployment {
  readonly project: string;
  /** Nodes that must be enrolled, by their names, with their labels as a whole. Without `labels` theirs stay. */
  readonly nodes: ProjectRecord["nodes"];
  readonly tunnels: readonly Omit<TunnelRecord, "id" | "project">[];
}

export interface PlanStep {
  /** `keep`: it is as it should be, or it is the project's, not in the deployment, and left where it is. */
  readonly action: "add" | "change" | "remove" | "keep";
  readonly kind: "node" | "tunnel";
  readonly name: string;
  /** What differs, under the keys of the file; null where a key has no value. */
  readonly changes: readonly { readonly key: string; readonly before: unknown; readonly after: unknown }[];
}

export interface DeploymentPlan {
  /** Nodes first, then tunnels, each sorted by name. */
  readonly steps: readonly PlanStep[];
  /** Of one commit; none where everything is as it should be. */
  readonly changes: readonly Change[];
  /** Names of the nodes that get another version of their config. */
  readonly touched: ReadonlySet<string>;
  /** Names of the nodes that it concerns, sorted: those that it touches, and those of the deployment's tunnels. */
  readonly nodes: readonly string[];
}

/** What holds for all tunnels of an edge. */
export interface TunnelRules {
  readonly domain: string;
  readonly reservedNames: ReadonlySet<string>;
  /** Records of each kind at most. */
  readonly maxRecords: number;
  /** Throws where an agent serves the name without its being declared. @throws {ControlError} `name_taken` */
  checkUnused(name: string): void;
}

/** Names in a sentence; the others are counted. */
const MAX_NAMES = 20;

/**
 * @param isPruning whether tunnels of the project that are not in the deployment are removed
 * @throws {ControlError} `bad_name`, `bad_request`, `node_not_found`, `name_taken`, `hostname_taken`, `port_taken`,
 *   `too_many`
 */
export function planDeployment(
  wanted: Deployment,
  isPruning: boolean,
  directory: Directory,
  rules: TunnelRules,
): DeploymentPlan {
  checkProjectName(wanted.project);
  checkNodes(wanted, directory);
  const tunnels = new TunnelsPlan(wanted, isPruning, directory, rules);
  const labels = labelSteps(wanted, directory);
  const touched = new Set([...tunnels.touched, ...labels.filter(({ action }) => action !== "keep").map(nameOf)]);
  const isChanging = tunnels.changes.length > 0 || touched.size > 0;
  const project = projectChanges(wanted, tunnels.isEmpty, isChanging, directory, rules.maxRecords);
  const nodes = [...touched].map((key): Change => {
    const { value, revision } = directory.nodes.get(key)!;
    return { kind: "node", key, value: { ...value, ...wantedLabels(wanted, key) }, ifRevision: revision };
  });
  return {
    steps: [...labels, ...tunnels.steps],
    changes: [...tunnels.changes, ...nodes, ...project],
    touched,
    nodes: [...new Set([...touched, ...wanted.tunnels.flatMap(({ nodes }) => nodes)])].sort(),
  };
}

/** All that are missing are named at once, each with what enrolls it. */
function checkNodes({ nodes, tunnels }: Deployment, directory: Directory): void {
  const named = new Set([...Object.keys(nodes), ...tunnels.flatMap((tunnel) => tunnel.nodes)]);
  const missing = [...named].filter((name) => !directory.nodes.has(name)).sort();
  if (missing.length === 0) return;
  const [only] = missing;
  const what = missing.length === 1 ? `There is no node ${only}` : `There are no nodes ${listed(missing)}`;
  const commands = listed(missing.map((name) => `edge node add ${name}`));
  throw new ControlError("node_not_found", `${what}: enroll ${missing.length === 1 ? "it" : "them"} with ${commands}`);
}

function wantedLabels({ nodes }: Deployment, name: string): ProjectRecord["nodes"][string] {
  return Object.hasOwn(nodes, name) ? nodes[name]! : {};
}

function labelSteps(wanted: Deployment, directory: Directory): PlanStep[] {
  return Object.keys(wanted.nodes).sort().map((name): PlanStep => {
    const { labels: before } = directory.nodes.get(name)!.value;
    const { labels: after = before } = wantedLabels(wanted, name);
    const isSame = isDeepStrictEqual({ ...before }, { ...after });
    const changes = isSame ? [] : [{ key: "labels", before, after }];
    return { action: isSame ? "keep" : "change", kind: "node", name, changes };
  });
}

/** The record of the project, where it is not as it should be or something else is changed. */
function projectChanges(
  { project, nodes }: Deployment,
  hasNoTunnels: boolean,
  isChanging: boolean,
  { projects }: Directory,
  maxRecords: number,
): Change[] {
  const before = projects.get(project);
  const ifRevision = before?.revision ?? 0;
  if (hasNoTunnels && Object.keys(nodes).length === 0) {
    return before === undefined ? [] : [{ kind: "project", key: project, value: null, ifRevision }];
  }
  if (!isChanging && before !== undefined && isDeepStrictEqual(plain(before.value.nodes), plain(nodes))) return [];
  if (before === undefined && projects.size >= maxRecords) {
    throw new ControlError("too_many", `The edge has ${projects.size} projects, which is the most that it takes`);
  }
  return [{ kind: "project", key: project, value: { name: project, nodes }, ifRevision }];
}

/** As it is stored. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

/** The tunnels of one project: how they are, and how they shall be. */
class TunnelsPlan {
  readonly steps: readonly PlanStep[];
  readonly changes: Change[] = [];
  /** Nodes that serve a tunnel which is changed, before or after it. */
  readonly touched = new Set<string>();
  /** True where the project has no tunnel afterwards. */
  readonly isEmpty: boolean;
  readonly #directory: Directory;
  /** What the tunnels of the deployment become; null for one that is removed. */
  readonly #after = new Map<string, TunnelRecord | null>();
  /** The tunnel of each hostname of the deployment. */
  readonly #holders = new Map<string, string>();

  constructor(wanted: Deployment, isPruning: boolean, directory: Directory, rules: TunnelRules) {
    this.#directory = directory;
    for (const tunnel of wanted.tunnels) this.#after.set(tunnel.name, this.#recordOf(tunnel, wanted.project, rules));
    const own = [...directory.tunnels.values()].filter(({ value }) => value.project === wanted.project);
    const others = own.map(({ key }) => key).filter((name) => !this.#after.has(name));
    for (const name of isPruning ? others : []) this.#after.set(name, null);
    this.isEmpty = wanted.tunnels.length === 0 && (isPruning || others.length === 0);
    this.#checkHostnames();
    this.#checkPorts();
    const kept = isPruning ? [] : others;
    this.steps = [...this.#after.keys(), ...kept].sort().map((name) => this.#step(name));
    this.#checkRoom(rules.maxRecords);
  }

  #recordOf(given: Omit<TunnelRecord, "id" | "project">, project: string, rules: TunnelRules): TunnelRecord {
    const { name } = given;
    if (this.#after.has(name)) throw new ControlError("bad_request", `The tunnel ${name} is given twice`);
    const before = this.#directory.tunnels.get(name)?.value;
    if (before === undefined) {
      checkTunnelName(name, rules.reservedNames);
      rules.checkUnused(name);
    } else if (before.project !== project) throw belongsElsewhere(before);
    const nodes = [...new Set(given.nodes)];
    try {
      const tunnel = { ...given, id: before?.id ?? randomName(), project, nodes };
      checkKind(tunnel);
      return { ...tunnel, hostnames: checkHostnames(given.hostnames, rules.domain, rules.reservedNames) };
    } catch (error) {
      if (!(error instanceof ControlError)) throw error;
      const fault = error.reason.charAt(0).toLowerCase() + error.reason.slice(1);
      throw new ControlError(error.code, `The tunnel ${name}: ${fault}`, error);
    }
  }

  /** Each hostname must be free, be the tunnel's own, or be given up in the same deployment. */
  #checkHostnames(): void {
    const taken: [hostname: string, holder: string][] = [];
    for (const [name, tunnel] of this.#after) {
      for (const hostname of tunnel?.hostnames ?? []) {
        const other = this.#holders.get(hostname);
        if (other !== undefined) {
          throw new ControlError("bad_request", `The tunnels ${other} and ${name} both have the hostname ${hostname}`);
        }
        this.#holders.set(hostname, name);
        const holder = this.#directory.hostnames.get(hostname)?.value.tunnel ?? name;
        if (holder === name || this.#after.has(holder)) continue;
        taken.push([hostname, describeTunnel(this.#directory, holder)]);
      }
    }
    const [first] = taken;
    if (first === undefined) return;
    if (taken.length === 1) throw hostnameTaken(...first);
    const holdings = listed(taken.map(([hostname, holder]) => `${hostname} to ${holder}`));
    throw new ControlError("hostname_taken", `These hostnames belong to others: ${holdings}`);
  }

  #checkPorts(): void {
    const holders = new Map<number, string>();
    for (const { key, value: { port } } of this.#directory.tunnels.values()) {
      if (port !== null && !this.#after.has(key)) holders.set(port, key);
    }
    for (const [name, tunnel] of this.#after) {
      const port = tunnel?.port ?? null;
      if (port === null) continue;
      const other = holders.get(port);
      if (other !== undefined && this.#after.has(other)) {
        throw new ControlError("bad_request", `The tunnels ${other} and ${name} both have the port ${port}`);
      }
      if (other !== undefined) throw portTaken(port, other);
      holders.set(port, name);
    }
  }

  /** Adds the changes of one tunnel. */
  #step(name: string): PlanStep {
    const stored = this.#directory.tunnels.get(name) ?? null;
    const after = this.#after.get(name);
    const before = stored?.value ?? null;
    if (after === undefined || isDeepStrictEqual(before, after)) {
      return { action: "keep", kind: "tunnel", name, changes: [] };
    }
    for (const node of [...before?.nodes ?? [], ...after?.nodes ?? []]) this.touched.add(node);
    this.changes.push({ kind: "tunnel", key: name, value: after, ifRevision: stored?.revision ?? 0 });
    this.#claim(name, before, after);
    const action = before === null ? "add" : after === null ? "remove" : "change";
    return { action, kind: "tunnel", name, changes: differences(before, after) };
  }

  #claim(name: string, before: TunnelRecord | null, after: TunnelRecord | null): void {
    for (const hostname of after?.hostnames ?? []) {
      const known = this.#directory.hostnames.get(hostname);
      if (known?.value.tunnel !== name) this.changes.push(claim(hostname, name, known?.revision));
    }
    for (const hostname of before?.hostnames ?? []) {
      if (!this.#holders.has(hostname)) this.changes.push({ kind: "hostname", key: hostname, value: null });
    }
  }

  #checkRoom(maxRecords: number): void {
    const { tunnels, hostnames } = this.#directory;
    const known = { tunnel: tunnels, hostname: hostnames };
    for (const [kind, records] of Object.entries(known)) {
      let [count, more] = [records.size, 0];
      for (const change of this.changes) {
        if (change.kind !== kind) continue;
        more += change.value === null ? -1 : records.has(change.key) ? 0 : 1;
      }
      count += more;
      if (more > 0 && count > maxRecords) {
        throw new ControlError("too_many", `The edge takes ${maxRecords} ${kind}s, and these would make ${count}`);
      }
    }
  }
}

const defaults: Readonly<Record<string, unknown>> = { kind: "http", hostnames: [], port: null, requires: [] };

/** What differs between two states of a tunnel; null stands for one that is not there. */
function differences(before: TunnelRecord | null, after: TunnelRecord | null): PlanStep["changes"] {
  const isWhole = before !== null && after !== null;
  const [was, is] = [facts(before, isWhole), facts(after, isWhole)];
  return [...new Set([...Object.keys(was), ...Object.keys(is)])].flatMap((key) => {
    const change = { key, before: was[key] ?? null, after: is[key] ?? null };
    return isDeepStrictEqual(change.before, change.after) ? [] : [change];
  });
}

/** The keys of a tunnel in a file. @param isWhole false: without those that have their default */
function facts(tunnel: TunnelRecord | null, isWhole: boolean): Record<string, unknown> {
  if (tunnel === null) return {};
  const { kind, nodes, upstream, hostnames, port, requires, settings } = tunnel;
  const all = { kind, nodes, upstream, hostnames, port, requires, ...settings };
  const shown = Object.entries(all).filter(([key, value]) => isWhole || !isDeepStrictEqual(value, defaults[key]));
  return Object.fromEntries(shown);
}

function nameOf({ name }: PlanStep): string {
  return name;
}

function listed(names: readonly string[]): string {
  const more = names.length - MAX_NAMES;
  return names.slice(0, MAX_NAMES).join(", ") + (more > 0 ? ` and ${more} more` : "");
}
