/** All cases that one process can show, and those that are measured elsewhere. */
import { baseCases } from "./base.ts";
import type { Case } from "./harness.ts";
import { httpCases } from "./http.ts";
import { http1Cases } from "./http1.ts";
import { httpstreamCases } from "./httpstream.ts";
import { memoryCases } from "./memory.ts";
import { netCases } from "./net.ts";
import { websocketCases } from "./websocket.ts";

export const cases: readonly Case[] = [
  ...memoryCases,
  ...baseCases,
  ...netCases,
  ...httpCases,
  ...http1Cases,
  ...websocketCases,
  ...httpstreamCases,
];
