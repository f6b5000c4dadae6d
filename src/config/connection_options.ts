/** The option of both programs' TCP connections. */
import { timeoutOption } from "./option.ts";

export const connectionOptions = {
  tcpTimeout: timeoutOption({
    name: "tcp-timeout",
    help: "until a peer that vanished is given up: one whose system answers neither bytes nor keep-alive probes",
    default: "90s",
  }),
};
