/** The fields of the handshake by which a session goes on over another link (docs/protocol.md, "Resume"). */
import { type Fields, fieldValue } from "../http/mod.ts";
import { MAX_COUNT } from "./wire/mod.ts";

/** Names a session: of an agent's request, the one to resume; of an edge's 101, the one that runs on this link. */
export const sessionFieldName = "Runnel-Session";
/** Milliseconds for which an edge keeps a session that has lost its link; 0: it does not. */
export const resumeTimeoutFieldName = "Runnel-Resume-Timeout";
/** Counted frames that the sender has taken. */
export const receivedFieldName = "Runnel-Received";
/** A number that rises with each dial of a session. */
export const epochFieldName = "Runnel-Epoch";

const MAX_SESSION_CHARACTERS = 128;

/** What an agent asks that comes back. */
export interface ResumeRequest {
  readonly session: string;
  readonly received: number;
  readonly epoch: number;
}

/**
 * What the fields of a handshake ask: null where they name no session, and a sentence without full stop where they
 * cannot be understood.
 */
export function parseResumeRequest(fields: Fields): ResumeRequest | string | null {
  const session = fieldValue(fields, sessionFieldName.toLowerCase());
  if (session === undefined) return null;
  if (!/^[\x21-\x7e]+$/.test(session) || session.length > MAX_SESSION_CHARACTERS) {
    return `${sessionFieldName} is no name of a session`;
  }
  const received = countOf(fields, receivedFieldName);
  const epoch = countOf(fields, epochFieldName);
  if (received === null) return `${receivedFieldName} of a resumed session must be a decimal number below 2^48`;
  if (epoch === null) return `${epochFieldName} of a resumed session must be a decimal number below 2^48`;
  return { session, received, epoch };
}

export function resumeRequestFields({ session, received, epoch }: ResumeRequest): Fields {
  return [
    ...[sessionFieldName, session],
    ...[receivedFieldName, String(received)],
    ...[epochFieldName, String(epoch)],
  ];
}

/** What an edge's 101 says of the session. */
export interface SessionAnswer {
  /** Empty where the edge gives it no name: it cannot be resumed then. */
  readonly session: string;
  /** 0: the session ends with its link. */
  readonly resumeTimeoutMs: number;
  /** Counted frames that the edge has taken; null where the session is a fresh one. */
  readonly received: number | null;
}

export function sessionAnswerOf(fields: Fields): SessionAnswer {
  return {
    session: fieldValue(fields, sessionFieldName.toLowerCase()) ?? "",
    resumeTimeoutMs: countOf(fields, resumeTimeoutFieldName) ?? 0,
    received: countOf(fields, receivedFieldName),
  };
}

/** @param received undefined for a fresh session */
export function sessionAnswerFields(session: string, resumeTimeoutMs: number, received?: number): Fields {
  const fields = [sessionFieldName, session, resumeTimeoutFieldName, String(resumeTimeoutMs)];
  return received === undefined ? fields : [...fields, receivedFieldName, String(received)];
}

/** The number of a field; null where it is missing, or none. */
function countOf(fields: Fields, name: string): number | null {
  const text = fieldValue(fields, name.toLowerCase());
  if (text === undefined || !/^\d{1,15}$/.test(text)) return null;
  const count = Number(text);
  return count <= MAX_COUNT ? count : null;
}
