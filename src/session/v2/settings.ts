/** What a session says in its SETTINGS beside the multiplexer's own. */
import { SettingId } from "../../httpstream/mod.ts";

/** An agent that serves its streams by `serveExchange`. */
export const agentSettings: readonly number[] = [SettingId.UPGRADES, 1];
