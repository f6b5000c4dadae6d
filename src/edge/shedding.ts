/** What an edge does when its descriptors run out: visitors are refused, agents and probes are served. */
import { ExchangeError, type Handler } from "../http/mod.ts";
import { isServicePath } from "./own_paths.ts";
import type { Router } from "./router.ts";

/** For connections that were accepted although descriptors run out: 503 `overloaded`, but for agents and probes. */
export function sheddingHandler(handler: Handler, router: Router): Handler {
  return (head, body, signal) => {
    const { kind } = router.route(head.authority);
    if ((kind === "own" || kind === "foreign") && isServicePath(head.target)) return handler(head, body, signal);
    return Promise.reject(new ExchangeError("overloaded", "This edge has too many connections now"));
  };
}
