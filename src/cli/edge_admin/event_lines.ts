/** Events of an edge as lines for people. */
import { formatBytes, formatDuration, formatStreams, formatTimeOfDay } from "../figures.ts";

export type EdgeEvent = Readonly<Record<string, unknown>>;

/** Wide enough for every name. */
const NAME_WIDTH = 19;

/** `14:03:09  request              GET shop.example.com/events 200, 812 B in 1.2 s` */
export function eventLine(event: EdgeEvent): string {
  const { event: name, time } = event;
  const sentence = sentences[String(name)]?.(event) ?? fieldsText(event);
  return `${formatTimeOfDay(new Date(String(time)))}  ${String(name).padEnd(NAME_WIDTH)}  ${sentence}`;
}

const sentences: Readonly<Record<string, (event: EdgeEvent) => string>> = {
  request_started: (event) => `${request(event)} from ${event.client}`,
  request: (event) => {
    const { status, bytesOut, durationMs, code } = event;
    const answer = `${status}, ${formatBytes(Number(bytesOut))} in ${formatDuration(Number(durationMs))}`;
    return `${request(event)} ${answer}${code === undefined ? "" : `, ${code}`}`;
  },
  session_started: (event) => {
    const { version, address, protocol } = event;
    return `${session(event)}: agent ${version ?? "of another make"} from ${address || "unknown"} (${protocol})`;
  },
  session_suspended: (event) => `${session(event)}: lost its link, with ${formatStreams(Number(event.streams))}`,
  session_resumed: (event) => {
    return `${session(event)}: resumed after ${formatDuration(Number(event.suspendedMs))}, with ${
      formatStreams(Number(event.streams))
    }`;
  },
  session_ended: (event) => `${session(event)}: ${event.reason} (${event.code})`,
  tunnel_opened: (event) => `${event.tunnel} by ${session(event)}`,
  config_changed: ({ kind, key, change, revision }) => `${kind} ${key} ${change}, revision ${revision}`,
  config_acknowledged: ({ node, instance, version, ok, error }) => {
    const who = instance === "" ? node : `${node} (${instance})`;
    return `${who} ${ok ? `applied version ${version}` : `could not apply version ${version}: ${error}`}`;
  },
  refused: ({ what, reason, count, address }) => {
    const times = count === 1 ? "" : `, ${count} times`;
    return `${what}: ${reason}${address === undefined ? "" : `, from ${address}`}${times}`;
  },
  bad_frame: (event) => `${event.tunnel} by ${session(event)}: ${event.reason}`,
  gap: ({ reason }) => `Events are missing: ${reason}`,
};

function request({ method, host, path }: EdgeEvent): string {
  return method === "" ? "unreadable" : `${method} ${host}${path}`;
}

function session({ session, node }: EdgeEvent): string {
  return node === undefined ? String(session) : `${session} of ${node}`;
}

/** Of an event that a later edge knows. */
function fieldsText({ event: _, eventId: _id, time: _time, ...fields }: EdgeEvent): string {
  return Object.entries(fields).map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(" ");
}
