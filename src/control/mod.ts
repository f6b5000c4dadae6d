/** The control plane: what operators declare, and who may open it. */
export {
  type Actor,
  type ConfigChangeReason,
  Control,
  type ControlOptions,
  type IssuedToken,
  type NewTunnel,
} from "./control.ts";
export { ControlError, type ControlErrorCode } from "./control_error.ts";
export type { Deployment, PlanStep } from "./deployment_plan.ts";
export type { DeploymentResult, DeployOptions } from "./deployments.ts";
export { Directory, type OnChange } from "./directory.ts";
export { parseHostname } from "./hostnames.ts";
export { type ConfigTunnel, type NodeConfig, nodeConfigOf } from "./node_config.ts";
export { matchesPattern } from "./patterns.ts";
export { type Access, TokenAccess } from "./token_access.ts";
export { type OnTokenEnd, TokenEnds } from "./token_ends.ts";
export { WallClock } from "./wall_clock.ts";
