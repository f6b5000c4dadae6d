/** `/api/v1/apply` and `/api/v1/rollback`: what a file declares for its project, all at once. */
import { createRoute, type OpenAPIHono } from "@hono/zod-openapi";
import type { Control, Deployment, DeploymentResult } from "../control/mod.ts";
import { actorOf } from "./actor.ts";
import { answers, jsonBody } from "./responses.ts";
import { deployedSchema, deploymentSchema, rollbackSchema } from "./schemas.ts";
import { recordOf } from "./tunnel_routes.ts";

export const APPLY_PATH = "/api/v1/apply";

const apply = createRoute({
  method: "post",
  path: APPLY_PATH,
  summary: "Make the tunnels of a project what a file says, all in one transaction",
  request: { body: jsonBody(deploymentSchema) },
  responses: answers("What was changed", deployedSchema),
});

const rollback = createRoute({
  method: "post",
  path: "/api/v1/rollback",
  summary: "Make a project what it was at an earlier revision, as a new one",
  request: { body: jsonBody(rollbackSchema) },
  responses: answers("What was changed", deployedSchema),
});

export function addDeploymentRoutes(app: OpenAPIHono, control: Control): void {
  app.openapi(apply, async (c) => {
    const { project, nodes, tunnels, prune, dryRun } = c.req.valid("json");
    const deployment: Deployment = {
      project,
      nodes,
      tunnels: Object.entries(tunnels).map(([name, tunnel]) => recordOf({ name, ...tunnel })),
    };
    const options = { isPruning: prune, isDryRun: dryRun };
    return c.json(told(await control.apply(deployment, options, actorOf(c))), 200);
  });
  app.openapi(rollback, async (c) => {
    const { revision, project = null, dryRun } = c.req.valid("json");
    return c.json(told(await control.rollback(revision, project, { isDryRun: dryRun }, actorOf(c))), 200);
  });
}

function told({ revision, isChanged, steps, nodes }: DeploymentResult) {
  const plan = steps.map(({ changes, ...step }) => ({ ...step, changes: [...changes] }));
  return { revision, changed: isChanged, plan, nodes: [...nodes] };
}
