/**
 * The frames of the JSON protocol, which agents speak that offer no subprotocol: one JSON object a WebSocket text message.
 * Agents in other languages rely on the keys.
 *
 *   register            agent → edge   tunnel_id, agent_token, features?, force?, max_body_bytes?, timeouts?
 *   registered          edge → agent   url, features, urls?, timeouts?
 *   error               edge → agent   message, code
 *   http_request        edge → agent   request_id, method, path, query, headers, body_b64
 *   http_request_cancel edge → agent   request_id, code?                 (only to agents that announced it)
 *   http_response       agent → edge   request_id, status, headers, body_b64, reason?
 *   http_response_start agent → edge   request_id, status, headers, reason?
 *   http_response_chunk agent → edge   request_id, data_b64
 *   http_response_end   agent → edge   request_id
 *   http_response_abort agent → edge   request_id, message, code?        (only where `registered` announced it)
 *   draining            agent → edge                                     (only where `registered` announced it)
 *
 * Frames of other types are ignored, so that one side may support new ones before the other.
 */
import { z } from "zod";
import { nameErrorClass, RunnelError, showText } from "../../base/mod.ts";
import { askedTimeoutsShape } from "../asked_timeouts.ts";

export const TypeRegister = "register";
export const TypeRegistered = "registered";
export const TypeErrorFrame = "error";
export const TypeHTTPRequest = "http_request";
export const TypeHTTPRequestCancel = "http_request_cancel";
export const TypeHTTPResponse = "http_response";
export const TypeHTTPResponseStart = "http_response_start";
export const TypeHTTPResponseChunk = "http_response_chunk";
export const TypeHTTPResponseEnd = "http_response_end";
export const TypeHTTPResponseAbort = "http_response_abort";
export const TypeDraining = "draining";

/** Frames that not every peer knows. Each side announces those it takes, in `register.features` or `registered.features`. */
export const FeatureResponseAbort = "http_response_abort";
export const FeatureRequestCancel = "http_request_cancel";
/** Strings of heads are bytes in Latin-1. It has to be announced only where nothing else is. */
export const FeatureLatin1 = "latin1";
/** Repeated challenges of an answer, such as WWW-Authenticate, are joined with a newline. */
export const FeatureChallengeLines = "challenge_lines";
export const FeatureDraining = "draining";
/** No frame: the edge writes the X-Request-ID of each request, and passes none of a visitor. */
export const FeatureRequestId = "request_id";
/** No frame: the agent knows what the close code 4001 means. */
export const FeatureReplaced = "replaced";

/** In characters. */
export const MAX_REQUEST_ID_LENGTH = 256;
const MAX_REASON_LENGTH = 8_192;

const requestId = z.string().min(1).max(MAX_REQUEST_ID_LENGTH);
const timeouts = z.object(askedTimeoutsShape);
/** Some languages have one type for lists and maps, and write an empty one of either kind as `[]`, or as `{}`. */
const features = z.preprocess(
  (value) => isEmptyMap(value) ? [] : value,
  z.array(z.string().max(256)).max(64),
);
/** No status below 200: this protocol carries neither upgrades (101) nor interim answers. */
const status = z.int().min(200).max(999);

/**
 * The reason phrase. What is no phrase is taken for none, since earlier edges ignored the key.
 */
const reason = z.string().max(MAX_REASON_LENGTH).optional().catch(undefined);

/** Names and values. Not `z.record`, which drops a field called `__proto__`. */
const headers = z.custom<Readonly<Record<string, string>>>(
  (value) => isMap(value) && Object.values(value).every(isString),
  { error: ({ input }) => headersFault(input) },
);

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && (!Array.isArray(value) || value.length === 0);
}

function isString(value: unknown): value is string {
  return typeof value === "string";
}

function headersFault(value: unknown): string {
  const [name] = isMap(value) ? Object.entries(value).find(([, item]) => !isString(item)) ?? [] : [];
  return name === undefined ? "expected an object of strings" : `the value of ${showText(name)} is no string`;
}

function isEmptyMap(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

const register = z.object({
  type: z.literal(TypeRegister),
  tunnel_id: z.string().max(256),
  agent_token: z.string().max(4096),
  features: features.optional(),
  /** Takes the name over from a live session of the same owner. */
  force: z.boolean().optional(),
  /** The largest request body that the agent takes. */
  max_body_bytes: z.int().min(0).optional(),
  /** For the exchanges of the tunnel, in place of the edge's own. */
  timeouts: timeouts.optional(),
});
const registered = z.object({
  type: z.literal(TypeRegistered),
  url: z.string().optional(),
  /** All URLs of the tunnel, where it has hostnames of its own. Missing from edges that do not know them. */
  urls: z.array(z.string()).optional().catch(undefined),
  features: features.optional(),
  /** Those that the tunnel got. Missing where none were asked for, and from edges that do not know them. */
  timeouts: timeouts.optional(),
});
const error = z.object({ type: z.literal(TypeErrorFrame), message: z.string(), code: z.string().optional() });
const httpRequest = z.object({
  type: z.literal(TypeHTTPRequest),
  request_id: requestId,
  method: z.string().min(1),
  path: z.string().min(1),
  query: z.string().default(""),
  headers,
  body_b64: z.string().default(""),
});
const httpRequestCancel = z.object({
  type: z.literal(TypeHTTPRequestCancel),
  request_id: requestId,
  /** Of the problem for which the edge gave up; missing where the visitor left, and from edges that do not tell. */
  code: z.string().optional().catch(undefined),
});
const httpResponse = z.object({
  type: z.literal(TypeHTTPResponse),
  request_id: requestId,
  status,
  headers,
  body_b64: z.string().default(""),
  reason,
});
const httpResponseStart = z.object({
  type: z.literal(TypeHTTPResponseStart),
  request_id: requestId,
  status,
  headers,
  reason,
});
const httpResponseChunk = z.object({
  type: z.literal(TypeHTTPResponseChunk),
  request_id: requestId,
  data_b64: z.string(),
});
const httpResponseEnd = z.object({ type: z.literal(TypeHTTPResponseEnd), request_id: requestId });
const httpResponseAbort = z.object({
  type: z.literal(TypeHTTPResponseAbort),
  request_id: requestId,
  message: z.string().default("").catch(""),
  code: z.string().optional().catch(undefined),
});

/** The agent stops: it gets no further requests, finishes those under way, and closes. */
const draining = z.object({ type: z.literal(TypeDraining) });

export type Register = z.infer<typeof register>;
export type Registered = z.infer<typeof registered>;
export type ErrorFrame = z.infer<typeof error>;
export type HTTPRequest = z.infer<typeof httpRequest>;
export type HTTPRequestCancel = z.infer<typeof httpRequestCancel>;
export type HTTPResponse = z.infer<typeof httpResponse>;
export type HTTPResponseStart = z.infer<typeof httpResponseStart>;
export type HTTPResponseAbort = z.infer<typeof httpResponseAbort>;

const fromAgent = z.discriminatedUnion("type", [
  register,
  httpResponse,
  httpResponseStart,
  httpResponseChunk,
  httpResponseEnd,
  httpResponseAbort,
  draining,
]);
const fromEdge = z.discriminatedUnion("type", [registered, error, httpRequest, httpRequestCancel]);

export type AgentFrame = z.infer<typeof fromAgent>;
export type EdgeFrame = z.infer<typeof fromEdge>;

/** Where in a frame a fault is. */
interface FaultPlace {
  readonly type: string;
  readonly key: string;
  readonly requestId: string | null;
}

/** A message is no frame: it is not JSON, lacks a key, or has a value that cannot be taken. */
export class FrameError extends RunnelError {
  static {
    nameErrorClass(this, "FrameError");
  }

  /** Of the frame; null where it has none that is known. */
  readonly type: string | null;
  /** The key whose value is at fault; null where the frame as a whole is. */
  readonly key: string | null;
  /** The request that the frame is about, which ends alone; null where the frame names none: the session ends. */
  readonly requestId: string | null;

  constructor(reason: string, place: FaultPlace | null = null, cause?: unknown) {
    super({ code: "bad_frame", reason, initiator: "remote", cause });
    this.type = place?.type ?? null;
    this.key = place?.key ?? null;
    this.requestId = place?.requestId ?? null;
  }

  /** For the value of one key. */
  static of(place: FaultPlace, fault: string): FrameError {
    return new FrameError(`Frame \`${place.type}\`, key \`${place.key}\`: ${fault}`, place);
  }
}

/** Parses a frame of an agent; null for an unknown type. @throws {FrameError} */
export function parseAgentFrame(text: string): AgentFrame | null {
  return parse(text, fromAgent, agentTypes);
}

/** Parses a frame of an edge; null for an unknown type. @throws {FrameError} */
export function parseEdgeFrame(text: string): EdgeFrame | null {
  return parse(text, fromEdge, edgeTypes);
}

const answerTypes: ReadonlySet<string> = new Set([
  TypeHTTPResponse,
  TypeHTTPResponseStart,
  TypeHTTPResponseChunk,
  TypeHTTPResponseEnd,
  TypeHTTPResponseAbort,
]);
const requestTypes: ReadonlySet<string> = new Set([TypeHTTPRequest, TypeHTTPRequestCancel]);
const agentTypes = typesOf(fromAgent);
const edgeTypes = typesOf(fromEdge);

function typesOf(union: typeof fromAgent | typeof fromEdge): ReadonlySet<string> {
  return new Set(union.options.map((option) => option.shape.type.value));
}

function parse<T>(text: string, schema: z.ZodType<T>, known: ReadonlySet<string>): T | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new FrameError("A frame is not JSON", null, cause);
  }
  const type = (value as { type?: unknown } | null)?.type;
  if (typeof type !== "string") throw new FrameError("A frame has no `type`");
  if (!known.has(type)) return null;
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const place = { type, key: issue?.path.join(".") ?? "", requestId: requestIdOf(type, value) };
  throw FrameError.of(place, issue?.message ?? "invalid");
}

/** The request that a frame of this type is about; null for other types, and where its `request_id` is none. */
function requestIdOf(type: string, value: unknown): string | null {
  if (!answerTypes.has(type) && !requestTypes.has(type)) return null;
  return requestId.safeParse((value as { request_id?: unknown }).request_id).data ?? null;
}
