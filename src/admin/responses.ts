/** The answers of the admin API, as its OpenAPI document describes them. */
import { z } from "@hono/zod-openapi";
import { problemSchema } from "./schemas.ts";

export const problemContent = { content: { "application/problem+json": { schema: problemSchema } } } as const;

export function problems(description: string) {
  return { description, ...problemContent } as const;
}

/** What every path can answer, those without a token included. */
export const forbidden = {
  403: problems("The Host or the Origin is refused"),
  500: problems("A mistake in Runnel"),
} as const;

/** What every path that needs the token can answer. */
export const common = {
  ...forbidden,
  400: problems("The request is malformed"),
  401: problems("The token is missing or wrong"),
  413: problems("The body is too large"),
  415: problems("The body is not JSON"),
  429: problems("The token is wrong, as too many others just now"),
  503: problems("The store cannot be used now, or too much is asked at once"),
} as const;

/** What those of a single record can answer, too. */
const single = {
  ...common,
  404: problems("There is none of that name"),
} as const;

/** What those that change something can answer, too. */
const changing = {
  ...single,
  409: problems("It is taken, there are too many, or someone else changed it meanwhile"),
  412: problems("If-Match or If-None-Match does not hold"),
} as const;

export const etagHeaders = z.object({
  ETag: z.string().openapi({ description: "For If-Match and If-None-Match", example: '"f0e1d2c3b4a59687-42"' }),
});

/** Conditions of a change. */
export const ifMatchHeaders = z.object({
  "if-match": z.string().max(1_024).optional().openapi({
    description: "Only where the record has one of these ETags still; *: only where it exists",
  }),
});

export const changeHeaders = ifMatchHeaders.extend({
  "if-none-match": z.string().max(1_024).optional().openapi({ description: "*: only where it does not exist" }),
});

export const readHeaders = z.object({
  "if-none-match": z.string().max(1_024).optional().openapi({ description: "The ETags that the client has" }),
});

export function lists<T extends z.ZodType>(description: string, schema: T) {
  return { ...common, 200: { description, content: { "application/json": { schema } } } } as const;
}

/** Facts about records that the request names. */
export function tells<T extends z.ZodType>(description: string, schema: T) {
  return { ...single, 200: { description, content: { "application/json": { schema } } } } as const;
}

/** One record, with its ETag. */
export function shows<T extends z.ZodType>(description: string, schema: T) {
  return {
    ...single,
    200: { description, headers: etagHeaders, content: { "application/json": { schema } } },
    304: { description: "The client has it already", headers: etagHeaders },
  } as const;
}

export function answers<T extends z.ZodType>(description: string, schema: T) {
  return { ...changing, 200: { description, content: { "application/json": { schema } } } } as const;
}

export function creates<T extends z.ZodType>(description: string, schema: T) {
  return { ...changing, 201: { description, content: { "application/json": { schema } } } } as const;
}

/** The same for a record that has an ETag. */
export function replaces<T extends z.ZodType>(description: string, schema: T) {
  const answer = { description, headers: etagHeaders, content: { "application/json": { schema } } } as const;
  return { ...changing, 200: answer, 201: { ...answer, description: `${description}, which is new` } } as const;
}

export function removes(description: string) {
  return { ...changing, 204: { description } } as const;
}

export function jsonBody<T extends z.ZodType>(schema: T) {
  return { required: true, content: { "application/json": { schema } } } as const;
}
