/**
 * The edge that is abused: a real one as a process, which also tells what cannot be seen from outside. It reads its
 * options from its one argument, and prints a JSON object a line: `ready`, each session's begin and end, and `figures`
 * ten times a second.
 */
import { version } from "../../src/config/mod.ts";
import { startEdge } from "../../src/edge/mod.ts";
import { programArguments, tuneRuntime } from "../../src/net/mod.ts";

const FIGURES_EVERY_MS = 100;

tuneRuntime();
const { port, token } = JSON.parse(programArguments()[0] as string);
const print = (event: string, fields: Record<string, unknown>) => console.log(JSON.stringify({ event, ...fields }));

const edge = await startEdge({
  listen: { kind: "tcp", host: "127.0.0.1", port },
  token,
  version,
  events: {
    onSession: (id, tunnel) => print("session", { id, tunnel }),
    onSessionEnd: (id, tunnel, code, reason) => print("sessionEnd", { id, tunnel, code, reason }),
  },
});
print("ready", {});
setInterval(() => {
  // An edge of an earlier commit does not tell what it holds.
  const { bufferedBytes = 0 } = edge as { bufferedBytes?: number };
  print("figures", { bufferedBytes, connections: edge.connections, active: edge.active });
}, FIGURES_EVERY_MS);
