/** How an agent gets a tunnel, on either protocol. */
import type { AgentIdentity } from "./agent_identity.ts";
import { type DeclaredTunnels, missingFeature } from "./declared.ts";
import { type Claim, ClaimError, type ClaimOptions, type Tunnels } from "./tunnels.ts";

export interface ClaimPlace {
  readonly tunnels: Tunnels;
  readonly declared: DeclaredTunnels;
}

/**
 * Gives the tunnel `name` to the agent's session, where its token and its features allow that.
 *
 * @throws {ClaimError} `name_not_allowed`, `feature_missing`, and as `Tunnels.claim`
 */
export async function claimFor(
  { owner, session, peer }: AgentIdentity,
  name: string,
  { tunnels, declared }: ClaimPlace,
  asked: Pick<ClaimOptions, "force" | "share" | "timeouts">,
): Promise<Claim> {
  const refusal = owner.refusalOf(name);
  if (refusal !== null) throw new ClaimError("name_not_allowed", refusal);
  const lack = missingFeature(declared, name, peer.features);
  if (lack !== null) throw new ClaimError("feature_missing", lack);
  const { refusalOf } = owner;
  const isKept = () => owner.isValid();
  return await tunnels.claim(name, owner.ownerOf(name), session, { ...asked, claimant: peer, refusalOf, isKept });
}
