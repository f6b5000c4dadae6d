/** Cases of `src/base`: clocks, timeouts, cancellation, containers and texts. */
import { Buffer } from "node:buffer";
import { clearTimeout, setImmediate, setTimeout } from "node:timers";
import { type Case, inProcess } from "./harness.ts";
import { head } from "./samples.ts";
import {
  atTickEnd,
  cachedClock,
  CancelSource,
  type Clock,
  coarseClock,
  internedLatin1,
  isAuthority,
  latin1,
  LinkedList,
  ListNode,
  Liveness,
  splitAuthority,
  systemClock,
  type TickListener,
  Timeout,
} from "./subjects.ts";

/** A busy tick: clock reads and sockets that have something to send. */
const READS_PER_TICK = 100;
const LISTENERS_PER_TICK = 64;
/** Connections, exchanges or streams that live at the same time. A power of two. */
const LIVE = 64;
const TIMEOUT_MS = 75_000;
/** Timers that ring: when the first one does, and how much later each further one. */
const FIRST_RING_MS = 600;
const RINGS_APART_MS = 2;
/** One exchange of so many is canceled. */
const CANCEL_EVERY = 64;

const nextTick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Asks for the time as the exchanges of busy ticks do; returns how often. */
async function readClock(count: number, now: () => number): Promise<number> {
  let reads = 0;
  let latest = now();
  while (reads < count) {
    for (const end = Math.min(count, reads + READS_PER_TICK); reads < end; reads++) {
      const time = now();
      if (time < latest) throw new Error(`The clock went back from ${latest} to ${time}`);
      latest = time;
    }
    await nextTick();
  }
  return reads;
}

/** Waits until `count` timers have rung, between which nothing happens; returns how many did. */
async function ringTimers(count: number, clock: Pick<Clock, "after">): Promise<number> {
  // Those of a clock do not keep the process alive.
  const hold = setTimeout(() => {}, TIMEOUT_MS);
  let rung = 0;
  await new Promise<void>((resolve) => {
    for (let i = 0; i < count; i++) {
      clock.after(FIRST_RING_MS + i * RINGS_APART_MS, () => ++rung === count ? resolve() : undefined);
    }
  });
  clearTimeout(hold);
  return rung;
}

class Counter implements TickListener {
  calls = 0;

  onTickEnd(): void {
    this.calls++;
  }
}

async function endTicks(count: number, register: (listener: Counter) => void): Promise<number> {
  const counter = new Counter();
  for (let left = count; left > 0; left -= LISTENERS_PER_TICK) {
    for (let i = Math.min(left, LISTENERS_PER_TICK); i > 0; i--) register(counter);
    await nextTick();
  }
  while (counter.calls < count) await nextTick();
  return counter.calls;
}

/** What listens to a signal for the time of an exchange. */
class Exchange {
  static canceled = 0;
  readonly #canceled = () => this.handleEvent();

  handleEvent(): void {
    Exchange.canceled++;
  }

  /** A function of its own for each exchange, as a listener that is no object must be. */
  get listener(): () => void {
    return this.#canceled;
  }
}

/** The same without that function. */
class LeanExchange {
  handleEvent(): void {
    Exchange.canceled++;
  }
}

class Member extends ListNode<Member> {
  readonly id: number;

  constructor(id: number) {
    super();
    this.id = id;
  }
}

/** Which member leaves next, in no order. */
const leaver = (i: number): number => (i * 29 + (i >> 6)) & (LIVE - 1);

function joinTexts(count: number, read: (bytes: Uint8Array, start: number, end: number) => string): [number, string] {
  const live: string[] = new Array(LIVE).fill("");
  const { bytes, texts } = head;
  let length = 0;
  for (let i = 0; i < count; i++) {
    const [start, end] = texts[i % texts.length];
    const text = read(bytes, start, end);
    live[i & (LIVE - 1)] = text;
    length += text.length;
  }
  return [length, live.join()];
}

const hosts = ["demo.example.com", "api.example.com", "127.0.0.1:3000", "a-longer-name-of-a-tunnel.example.com:8443"];

function countHosts(count: number, isHost: (text: string) => boolean): number {
  let valid = 0;
  for (let i = 0; i < count; i++) if (isHost(hosts[i & 3])) valid++;
  return valid;
}

export const baseCases: readonly Case[] = [
  /** The time is asked for once a tick, as the event loop itself does, because a call of the system costs more. */
  inProcess({
    name: "cached-clock",
    source: "base/cached_clock.ts",
    with: "the clock read once a tick",
    without: "performance.now() each time",
    operation: "read",
    perRequest: 8,
    setUp: () => {
      const clock = cachedClock(systemClock);
      return {
        with: (count) => readClock(count, () => clock.now()),
        without: (count) => readClock(count, () => performance.now()),
      };
    },
  }),

  /** One `setImmediate` serves all that was gathered in a tick. */
  inProcess({
    name: "tick-end",
    source: "base/tick.ts",
    with: "one setImmediate for the listeners of a tick",
    without: "a setImmediate for each",
    operation: "listener",
    perRequest: 6,
    setUp: () => ({
      with: (count) => endTicks(count, atTickEnd),
      without: (count) => endTicks(count, (listener) => void setImmediate(() => listener.onTickEnd())),
    }),
  }),

  /** A timeout is a node in a list of equal durations, since hardly one of them ever fires. */
  inProcess({
    name: "timeout",
    source: "base/timers.ts",
    with: "a Timeout started and stopped",
    without: "setTimeout and clearTimeout",
    operation: "timeout",
    perRequest: 5,
    setUp: () => {
      const fired = { count: 0 };
      const timeouts = Array.from({ length: LIVE }, () => new Timeout(systemClock, () => fired.count++));
      return {
        with(count) {
          for (let i = 0; i < count; i++) {
            const timeout = timeouts[i & (LIVE - 1)];
            timeout.start(TIMEOUT_MS);
            timeout.stop();
          }
          return fired.count;
        },
        without(count) {
          for (let i = 0; i < count; i++) {
            const timer = setTimeout(() => fired.count++, TIMEOUT_MS);
            timer.unref();
            clearTimeout(timer);
          }
          return fired.count;
        },
        close: () => timeouts.forEach((timeout) => timeout.close()),
      };
    },
  }),

  /** Timers of idle links ring together, since each one by itself wakes the process. */
  inProcess({
    name: "coarse-clock",
    source: "base/coarse_clock.ts",
    with: "timers that are late by up to 2 %, and ring together",
    without: "each on time, one every 2 ms",
    operation: "timer",
    checkedCount: 100,
    setUp: () => ({
      with: (count) => ringTimers(count, coarseClock(systemClock)),
      without: (count) => ringTimers(count, systemClock),
    }),
  }),

  /** Each chunk pushes an idle timeout back: that moves a list node, and no timer. */
  inProcess({
    name: "timeout-touch",
    source: "base/timers.ts",
    with: "a Timeout pushed back for each chunk",
    without: "timer.refresh()",
    operation: "chunk",
    setUp: () => {
      const fired = { count: 0 };
      const timeouts = Array.from({ length: LIVE }, () => new Timeout(systemClock, () => fired.count++));
      for (const timeout of timeouts) timeout.start(TIMEOUT_MS);
      const timers = Array.from({ length: LIVE }, () => setTimeout(() => fired.count++, TIMEOUT_MS).unref());
      return {
        with(count) {
          for (let i = 0; i < count; i++) timeouts[i & (LIVE - 1)].touch();
          return fired.count;
        },
        without(count) {
          for (let i = 0; i < count; i++) timers[i & (LIVE - 1)].refresh();
          return fired.count;
        },
        close() {
          for (const timeout of timeouts) timeout.close();
          for (const timer of timers) clearTimeout(timer);
        },
      };
    },
  }),

  /** A heartbeat notes when it heard something, and looks at that when its timer rings. */
  inProcess({
    name: "heartbeat",
    source: "base/liveness.ts",
    with: "the time noted for each message",
    without: "a timer set anew for each",
    operation: "message",
    perRequest: 2,
    setUp: () => {
      const silences = { count: 0 };
      const onSilence = () => void silences.count++;
      const liveness = new Liveness({
        ...{ clock: systemClock, pingAfterMs: 10_000, deadAfterMs: 25_000, onSilence, onDead: onSilence },
      });
      const now = systemClock.now();
      let timer = setTimeout(onSilence, 10_000);
      return {
        with(count) {
          for (let i = 0; i < count; i++) liveness.heard(now);
          return silences.count;
        },
        without(count) {
          for (let i = 0; i < count; i++) {
            clearTimeout(timer);
            timer = setTimeout(onSilence, 10_000);
          }
          return silences.count;
        },
        close() {
          liveness.stop();
          clearTimeout(timer);
        },
      };
    },
  }),

  /** Every exchange can be canceled at several layers and hardly any is, so that the means must cost next to nothing. */
  inProcess({
    name: "cancel-source",
    source: "base/cancel.ts",
    with: "CancelSource with one listener",
    without: "AbortController with one listener",
    operation: "exchange",
    perRequest: 4,
    setUp: () => ({
      with(count) {
        const before = Exchange.canceled;
        const exchange = new LeanExchange();
        for (let i = 0; i < count; i++) {
          const source = new CancelSource();
          source.addEventListener("abort", exchange);
          if (i % CANCEL_EVERY === 0) source.abort(i);
          source.removeEventListener("abort", exchange);
        }
        return Exchange.canceled - before;
      },
      without(count) {
        const before = Exchange.canceled;
        const exchange = new LeanExchange();
        for (let i = 0; i < count; i++) {
          const controller = new AbortController();
          controller.signal.addEventListener("abort", exchange);
          if (i % CANCEL_EVERY === 0) controller.abort(i);
          controller.signal.removeEventListener("abort", exchange);
        }
        return Exchange.canceled - before;
      },
    }),
  }),

  /** An exchange listens as an object, which saves a function for each exchange. Timeouts and taps do the same. */
  inProcess({
    name: "listener-objects",
    source: "base/cancel.ts",
    with: "the exchange itself as listener",
    without: "a function for each exchange",
    operation: "exchange",
    perRequest: 6,
    setUp: () => {
      const source = new CancelSource();
      return {
        with(count) {
          const before = Exchange.canceled;
          for (let i = 0; i < count; i++) {
            const exchange = new LeanExchange();
            source.addEventListener("abort", exchange);
            source.removeEventListener("abort", exchange);
          }
          return Exchange.canceled - before;
        },
        without(count) {
          const before = Exchange.canceled;
          for (let i = 0; i < count; i++) {
            const { listener } = new Exchange();
            source.addEventListener("abort", listener);
            source.removeEventListener("abort", listener);
          }
          return Exchange.canceled - before;
        },
      };
    },
  }),

  /** Members of a list are its nodes: one leaves from the middle without a search, a hash or new memory. */
  inProcess({
    name: "linked-list",
    source: "base/linked_list.ts",
    with: "a member leaves a LinkedList and joins its end",
    without: "the same with a Set",
    operation: "move",
    perRequest: 10,
    setUp: () => {
      const members = Array.from({ length: LIVE }, (_, id) => new Member(id));
      return {
        with(count) {
          const list = new LinkedList<Member>();
          for (const member of members) list.append(member);
          for (let i = 0; i < count; i++) {
            const member = members[leaver(i)];
            member.unlink();
            list.append(member);
          }
          const ids = [...list].map(({ id }) => id);
          list.clear();
          return ids;
        },
        without(count) {
          const set = new Set(members);
          for (let i = 0; i < count; i++) {
            const member = members[leaver(i)];
            set.delete(member);
            set.add(member);
          }
          return [...set].map(({ id }) => id);
        },
      };
    },
  }),

  /** Texts of heads come again with every request: comparing one with the last of its slot is cheaper than making it. */
  inProcess({
    name: "interned-texts",
    source: "base/latin1.ts",
    with: "names and values of a head as strings that were made before",
    without: "made anew",
    operation: "text",
    perRequest: 60,
    setUp: () => ({
      with: (count) => joinTexts(count, internedLatin1),
      without: (count) => joinTexts(count, latin1),
    }),
  }),

  /** Buffer's own method is called on any Uint8Array, which saves a Buffer for each text. */
  inProcess({
    name: "latin1-slice",
    source: "base/latin1.ts",
    with: "latin1Slice() on a Uint8Array",
    without: 'a Buffer\'s toString("latin1")',
    operation: "text",
    perRequest: 4,
    setUp: () => ({
      with: (count) => joinTexts(count, latin1),
      without: (count) =>
        joinTexts(
          count,
          (bytes, start, end) =>
            Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1", start, end),
        ),
    }),
  }),

  /** The same few hosts come again: whether one is valid is remembered by its text. */
  inProcess({
    name: "memo",
    source: "base/memo.ts",
    with: "a Host looked up in a Memo",
    without: "split each time",
    operation: "host",
    perRequest: 3,
    setUp: () => ({
      with: (count) => countHosts(count, isAuthority),
      without: (count) => countHosts(count, (text) => splitAuthority(text) !== null),
    }),
  }),
];
