/** `Strict-Transport-Security` (RFC 6797): browsers are told to ask by `https` alone. */
import { type Answer, fieldValue, type Handler } from "../http/mod.ts";

/** Adds `value` to the answers of requests that came by `https`, where the tunnel's service has none of its own. */
export function withStrictTransport(handler: Handler, value: string): Handler {
  return (head, body, signal) => {
    const answer = handler(head, body, signal);
    return head.scheme === "https" ? answer.then((answer) => strictAnswer(answer, value)) : answer;
  };
}

/** The answer with that field, unless it has one. */
export function strictAnswer(answer: Answer, value: string): Answer {
  if (answer.status === 101 || fieldValue(answer.fields, "strict-transport-security") !== undefined) return answer;
  return { ...answer, fields: [...answer.fields, "Strict-Transport-Security", value] };
}
