/** A tunnel that is open, as the agent sees it. */
import type { Session } from "../session/mod.ts";

export interface OpenTunnel {
  readonly session: Session;
  /** The public URL. */
  readonly url: string;
  /** All public URLs, `url` first. Default: that one alone. */
  readonly urls?: readonly string[];
  readonly name: string;
  readonly tunnelId: string;
  /** What was asked for and the edge does not do, each as a sentence for a person without full stop. Default none. */
  readonly warnings?: readonly string[];
}

/** Dials once, and opens the tunnel. Rejects with `AgentError`. */
export type OpenTunnelOnce = (signal: AbortSignal) => Promise<OpenTunnel>;
