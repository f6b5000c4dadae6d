/** What may be set for a tunnel beside its upstream and hostnames: the same keys in files, in the store and for agents. */
import { z } from "zod";
import { hostSettingFault } from "../http/mod.ts";
import { parseTimeout } from "./units.ts";

/** `60s`, or `off` where nothing is limited. */
export const timeoutText = z.string().max(32).refine((text) => parseTimeout(text) !== null, {
  error: "is neither off nor a duration over 0 such as 90s",
});

export const tunnelSettingsShape = {
  /** The Host that the upstream gets: `preserve` (the default), `rewrite` or a value. */
  hostHeader: z.string().superRefine((text, context) => {
    const fault = hostSettingFault(text);
    if (fault !== null) context.addIssue({ code: "custom", message: fault });
  }).optional(),
  timeouts: z.strictObject({
    /** For how long the edge waits for the head of an answer. */
    firstByte: timeoutText.optional(),
    /** For how long a body may stand still. */
    idle: timeoutText.optional(),
  }).optional(),
  /** Whether several agents serve the tunnel together. Default false: one of them does. */
  share: z.boolean().optional(),
  /** Whether the agent compresses answers that are not compressed yet. Default false. */
  compress: z.boolean().optional(),
  /** Whether the upstream gets X-Forwarded-For and the like. Default true. */
  forwardedHeaders: z.boolean().optional(),
};

export const tunnelSettingsFields = z.strictObject(tunnelSettingsShape);
export type TunnelSettings = z.infer<typeof tunnelSettingsFields>;
