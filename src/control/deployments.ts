/** Deployments: what a file declares for its project, in one commit; and back to what a project was. */
import type { Change, ProjectRecord, Store, Stored } from "../store/mod.ts";
import { ControlError } from "./control_error.ts";
import {
  type Deployment,
  type DeploymentPlan,
  planDeployment,
  type PlanStep,
  type TunnelRules,
} from "./deployment_plan.ts";
import type { Directory } from "./directory.ts";

export interface DeployOptions {
  /** Whether tunnels of the project that are not in the deployment are removed. Default false. */
  readonly isPruning?: boolean;
  /** Whether it is only said what would change. Default false. */
  readonly isDryRun?: boolean;
}

export interface DeploymentResult {
  /** The revision by which the project is as it should be; of a dry run, that by which it is as it is; 0: none. */
  readonly revision: number;
  /** Whether something was written or, of a dry run, would be. */
  readonly isChanged: boolean;
  readonly steps: readonly PlanStep[];
  /** The nodes that it concerns, with the versions of their configs now. */
  readonly nodes: readonly { readonly name: string; readonly version: number }[];
}

/** What a deployment works on. */
export interface DeploymentStage {
  readonly directory: Directory;
  readonly store: Store;
  readonly rules: TunnelRules;
  /** Writes the changes with their entry in the audit log. Resolves to their revision. @throws {ControlError} */
  commit(changes: Change[], action: string, project: string, detail: object): Promise<number>;
}

/** Somebody else may change something at the same moment: then the plan is made anew. */
const MAX_ATTEMPTS = 5;

/** @throws {ControlError} as `planDeployment`, and `conflict` */
export function apply(stage: DeploymentStage, wanted: Deployment, options: DeployOptions): Promise<DeploymentResult> {
  return deploy(stage, wanted, options, "deploy.apply", {});
}

/**
 * Makes a project what it was at `revision`.
 *
 * @param project null: the one that `revision` belongs to
 * @throws {ControlError} as `apply`, and `project_not_found`, `revision_not_found`
 */
export async function rollback(
  stage: DeploymentStage,
  revision: number,
  project: string | null,
  { isDryRun }: DeployOptions,
): Promise<DeploymentResult> {
  const wanted = await deploymentAt(stage, revision, project);
  return await deploy(stage, wanted, { isPruning: true, isDryRun }, "deploy.rollback", { to: revision });
}

async function deploy(
  stage: DeploymentStage,
  wanted: Deployment,
  { isPruning = false, isDryRun = false }: DeployOptions,
  action: string,
  detail: object,
): Promise<DeploymentResult> {
  const { directory, rules } = stage;
  const { project } = wanted;
  for (let attempt = 1;; attempt++) {
    const plan = planDeployment(wanted, isPruning, directory, rules);
    if (isDryRun || plan.changes.length === 0) return resultOf(plan, null, project, directory);
    try {
      const revision = await stage.commit([...plan.changes], action, project, { ...summaryOf(plan), ...detail });
      return resultOf(plan, revision, project, directory);
    } catch (error) {
      const canPass = error instanceof ControlError && error.code === "conflict";
      if (!canPass || attempt === MAX_ATTEMPTS) throw error;
    }
  }
}

/** @param written the revision of the commit; null where there was none */
function resultOf(
  plan: DeploymentPlan,
  written: number | null,
  project: string,
  directory: Directory,
): DeploymentResult {
  const { steps, nodes, touched, changes } = plan;
  const revision = written ?? directory.projects.get(project)?.revision ?? 0;
  const versionOf = (name: string) => {
    return written !== null && touched.has(name) ? written : directory.nodes.get(name)?.revision ?? 0;
  };
  const versions = nodes.map((name) => ({ name, version: versionOf(name) }));
  return { revision, isChanged: changes.length > 0, steps, nodes: versions };
}

/** For the audit log: the names of what was added, changed and removed. */
function summaryOf({ steps }: DeploymentPlan): object {
  const names = (action: PlanStep["action"], kind: PlanStep["kind"] = "tunnel") =>
    steps.filter((step) => step.action === action && step.kind === kind).map(({ name }) => name);
  return {
    added: names("add"),
    changed: names("change"),
    removed: names("remove"),
    labeled: names("change", "node"),
  };
}

async function deploymentAt(stage: DeploymentStage, revision: number, project: string | null): Promise<Deployment> {
  const { store, directory } = stage;
  const { revision: newest } = directory;
  const projects = revision > newest ? null : await store.listAt("project", revision);
  const tunnels = projects === null ? null : await store.listAt("tunnel", revision);
  if (projects === null || tunnels === null) {
    const fault = revision > newest ? `the newest is ${newest}` : "it is longer ago than is kept";
    throw new ControlError("revision_not_found", `There is no revision ${revision}: ${fault}`);
  }
  const { name, nodes } = projectOf(projects, revision, project, directory);
  const own = tunnels.map(({ value }) => value).filter((tunnel) => tunnel.project === name);
  return { project: name, nodes, tunnels: own.map(({ id: _, project: _project, ...tunnel }) => tunnel) };
}

function projectOf(
  projects: readonly Stored<"project">[],
  revision: number,
  name: string | null,
  directory: Directory,
): ProjectRecord {
  if (name === null) {
    const applied = projects.find((project) => project.revision === revision);
    if (applied !== undefined) return applied.value;
    throw new ControlError("revision_not_found", `The revision ${revision} is that of no deployment: name the project`);
  }
  const known = projects.find(({ key }) => key === name);
  if (known !== undefined) return known.value;
  if (!directory.projects.has(name)) throw new ControlError("project_not_found", `There is no project ${name}`);
  throw new ControlError("revision_not_found", `The project ${name} was not there at revision ${revision}`);
}
