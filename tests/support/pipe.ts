/** Two sockets, each given what the other one reads: what proxies and terminators in tests do. */
import type { Socket } from "../../src/net/mod.ts";

/** Carries bytes, ends and resets both ways, with backpressure. */
export function pipe(one: Socket, other: Socket): void {
  forward(one, other);
  forward(other, one);
}

/** Each socket is handled for what it reads; what it drains concerns the other one. */
function forward(from: Socket, to: Socket): void {
  from.handlers = {
    onData: (chunk) => void (to.write(chunk) || from.pause()),
    onEnd: () => to.end(),
    onDrain: () => to.resume(),
    onClose: (error) => void (error !== null && to.reset()),
  };
  from.resume();
}
