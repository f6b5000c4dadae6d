/** Runnel's version, and which versions of edge and agent work together. */
import metadata from "../../package.json" with { type: "json" };

export const version: string = metadata.version;

/** The header field that tells the other side's version: the agent's in the handshake, the edge's in the 101 answer. */
export const versionFieldName = "Runnel-Version";

/** True where an edge of version `edge` serves this agent, which is of the same or the previous minor version. */
export function serves(edge: string, agent: string): boolean {
  const [ours, theirs] = [parse(edge), parse(agent)];
  if (ours === null || theirs === null) return false;
  return ours.major === theirs.major && (theirs.minor === ours.minor || theirs.minor === ours.minor - 1);
}

function parse(version: string): { major: number; minor: number } | null {
  const match = /^(\d{1,6})\.(\d{1,6})\.\d{1,6}(?:[-+][0-9A-Za-z.+-]*)?$/.exec(version);
  return match === null ? null : { major: Number(match[1]), minor: Number(match[2]) };
}
