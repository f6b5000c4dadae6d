/** What an agent's handshake says beside token and version. An edge ignores fields that it does not know. */

/** The field with what the agent can do, which tunnels may require: names with commas between them. */
export const featuresFieldName = "Runnel-Features";

/**
 * The field with 128 random bits that one agent sends with each of its handshakes. A session takes a name over from an
 * earlier one of the same agent and owner, which is left to finish.
 */
export const agentKeyFieldName = "Runnel-Agent-Key";

/**
 * The field with an id that an agent keeps over restarts of its process. A suspended session gives its tunnels up at once
 * to a later one of the same owner and id: the process that it belongs to is gone.
 */
export const instanceFieldName = "Runnel-Instance";
export const instancePattern = /^[A-Za-z0-9._-]{1,64}$/;

/**
 * The field by which an agent says that the name of its tunnel was drawn at random (`random`). An edge orders no
 * certificate for such a name.
 */
export const nameOriginFieldName = "Runnel-Name-Origin";
/** Its value. */
export const RANDOM_NAME_ORIGIN = "random";

/** What a tunnel may require of its agent (`requires`). */
export const agentFeatures = {
  /** Serves HTTP. */
  http: "http",
  /** Gives the upstream the Host that the tunnel names. */
  hostHeader: "host-header",
  /** Carries WebSockets and other upgrades. */
  upgrade: "upgrade",
} as const;

/** Lower case, digits and hyphens: what a tunnel requires, and what an agent says of itself. */
export const featurePattern = /^[a-z0-9][a-z0-9-]{0,63}$/;

/** Names that are read of `Runnel-Features`. Further ones are ignored. */
const MAX_FEATURES = 64;

/** Reads `Runnel-Features`: the names that have the form of one. */
export function parseFeatures(text: string): ReadonlySet<string> {
  const names = text.split(",").map((name) => name.trim()).filter((name) => featurePattern.test(name));
  return new Set(names.slice(0, MAX_FEATURES));
}
