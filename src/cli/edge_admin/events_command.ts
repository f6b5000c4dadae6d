/**
 * `edge events`: prints what happens, until it is stopped. A connection that was lost is dialed again, and the feed goes
 * on behind the last event that was printed.
 */
import { Backoff, CancelSource, messageOf, pause, systemClock, Timeout } from "../../base/mod.ts";
import { eventsOptions } from "../../config/mod.ts";
import { holdProcess, type SignalName } from "../../net/mod.ts";
import { release } from "../../memory/mod.ts";
import { logger } from "../../observe/mod.ts";
import { MessageFormatError, NdjsonParser } from "../../sse/mod.ts";
import type { Command } from "../command.ts";
import { ExitCode } from "../exit_codes.ts";
import { formatDuration } from "../figures.ts";
import { AdminClient, AdminError } from "./client.ts";
import { type EdgeEvent, eventLine } from "./event_lines.ts";

/** An edge sends a sign of life each 30 s. */
const SILENCE_MS = 75_000;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** Told to whoever follows the feed, and no event of the edge. */
const hidden: ReadonlySet<unknown> = new Set(["keepalive"]);
/** A person sees what happens from here on. */
const hiddenFromPeople: ReadonlySet<unknown> = new Set(["connected"]);

export const eventsCommand: Command<typeof eventsOptions> = {
  name: "events",
  summary: "Print what happens, until Ctrl-C: requests, agents, changes and refusals",
  options: eventsOptions,
  positionals: {},
  examples: ["edge events", "edge events --json", "edge events --since k3m9x2p7-42"],
  async run({ values, output, host }) {
    const stop = new CancelSource();
    const names: readonly SignalName[] = ["SIGINT", "SIGTERM"];
    const subscriptions = names.map((name) => host.onSignal(name, () => stop.abort("The program was stopped")));
    const endHold = holdProcess();
    try {
      await follow(() => AdminClient.of(values, host), values.since ?? null, stop, async (events) => {
        for (const event of events) {
          if (hidden.has(event.event)) continue;
          output.result(event, ...(hiddenFromPeople.has(event.event) ? [] : [eventLine(event)]));
        }
        await host.flush();
        // As for `edge events | head`.
        if (!host.hasReader) stop.abort("Nobody reads any more");
      });
      return ExitCode.ok;
    } finally {
      for (const unsubscribe of subscriptions) unsubscribe();
      endHold();
    }
  },
};

/** Never at once: a person sees the warnings. */
function newBackoff(): Backoff {
  return new Backoff(FIRST_PAUSE_MS, LONGEST_PAUSE_MS, () => 0.5 + Math.random() / 2);
}

type OnEvents = (events: readonly EdgeEvent[]) => Promise<void>;
/** Makes a client for one connection. @throws {AdminError} */
type NewClient = () => Promise<AdminClient>;

/**
 * Follows the feed until `stop` aborts.
 *
 * @throws {AdminError} where the first connection fails, and where the edge refuses a later one for good
 */
async function follow(
  newClient: NewClient,
  since: string | null,
  stop: CancelSource,
  onEvents: OnEvents,
): Promise<void> {
  const log = logger("edge");
  let last = since;
  const backoff = newBackoff();
  let hasConnected = false;
  while (!stop.aborted) {
    const reason = await followOnce(newClient, last, stop, async (events) => {
      if (!hasConnected) log.info("Listening to what happens; Ctrl-C ends it");
      hasConnected = true;
      backoff.reset();
      await onEvents(events);
      last = events.findLast(({ eventId }) => eventId !== undefined)?.eventId as string ?? last;
    }).catch((error: unknown) => {
      if (stop.aborted) return "";
      const mayPass = error instanceof AdminError && ["edge_unreachable", "overloaded"].includes(error.code);
      if (error instanceof AdminError && !(hasConnected && mayPass)) throw error;
      return messageOf(error);
    });
    if (stop.aborted) return;
    const delayMs = backoff.next();
    log.warn("The connection was lost: {reason}. Trying again in {delay}", { reason, delay: formatDuration(delayMs) });
    await pause(delayMs, stop, systemClock);
  }
}

/** Resolves to the reason for which the feed ended. */
async function followOnce(
  newClient: NewClient,
  since: string | null,
  stop: CancelSource,
  onEvents: OnEvents,
): Promise<string> {
  const client = await newClient();
  let isSilent = false;
  const close = () => client.close();
  stop.addEventListener("abort", close);
  if (stop.aborted) close();
  const silence = new Timeout(systemClock, () => {
    isSilent = true;
    close();
  });
  silence.start(SILENCE_MS);
  try {
    const path = since === null ? "/api/v1/events" : `/api/v1/events?since=${since}`;
    for await (const events of eventsOf(client.read(path, "application/x-ndjson"))) {
      // Whoever reads the output may take its time.
      silence.stop();
      await onEvents(events);
      silence.start(SILENCE_MS);
    }
    return "The edge ended it";
  } catch (error) {
    if (isSilent) return `Nothing came for ${SILENCE_MS / 1000} s`;
    if (error instanceof MessageFormatError) throw new AdminError("refused", error.reason, error);
    throw error;
  } finally {
    silence.close();
    stop.removeEventListener("abort", close);
    close();
  }
}

/** The events that came together, as soon as they are whole. */
async function* eventsOf(body: AsyncIterable<Uint8Array>): AsyncGenerator<EdgeEvent[]> {
  let events: EdgeEvent[] = [];
  const parser = new NdjsonParser((value) => events.push(value as EdgeEvent));
  for await (const chunk of body) {
    parser.push(chunk);
    release(chunk);
    if (events.length === 0) continue;
    yield events;
    events = [];
  }
}
