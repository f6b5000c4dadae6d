/** The answers of the admin API, as its OpenAPI document describes them. */
import type { z } from "@hono/zod-openapi";
import { problemSchema } from "./schemas.ts";

export const problemContent = { content: { "application/problem+json": { schema: problemSchema } } };

/** What every route can answer. */
const common = {
  400: { description: "The request is malformed", ...problemContent },
  401: { description: "The token is missing or wrong", ...problemContent },
  403: { description: "The Host or the Origin is refused", ...problemContent },
  413: { description: "The body is too large", ...problemContent },
  415: { description: "The body is not JSON", ...problemContent },
  503: { description: "The store cannot be used now", ...problemContent },
} as const;

/** What routes of a single record can answer, too. */
const single = {
  404: { description: "There is none of that name", ...problemContent },
  409: { description: "It is taken, or was changed meanwhile", ...problemContent },
} as const;

export function lists<T extends z.ZodType>(description: string, schema: T) {
  return { ...common, 200: { description, content: { "application/json": { schema } } } } as const;
}

export function answers<T extends z.ZodType>(description: string, schema: T) {
  return { ...common, ...single, 200: { description, content: { "application/json": { schema } } } } as const;
}

export function creates<T extends z.ZodType>(description: string, schema: T) {
  return { ...common, ...single, 201: { description, content: { "application/json": { schema } } } } as const;
}

export function removes(description: string) {
  return { ...common, ...single, 204: { description } } as const;
}

export function jsonBody<T extends z.ZodType>(schema: T) {
  return { required: true, content: { "application/json": { schema } } } as const;
}
