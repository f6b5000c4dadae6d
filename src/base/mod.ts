/** What every other folder uses: errors, time, cancellation, and the data structures of hot paths. */
export { cachedClock } from "./cached_clock.ts";
export { abortSignalOf, type CancelSignal, CancelSource } from "./cancel.ts";
export { type Clock, MAX_TIMER_MS, systemClock, type Timer } from "./clock.ts";
export { Deferred } from "./deferred.ts";
export { type Initiator, isSystemError, nameErrorClass, RunnelError, type RunnelErrorInit } from "./errors.ts";
export { FLOOD_BURST, FLOOD_PER_SECOND, FloodBudget } from "./flood_budget.ts";
export { readU16, readU32, writeU16, writeU32 } from "./integers.ts";
export { internedLatin1, latin1 } from "./latin1.ts";
export { LinkedList, ListNode } from "./linked_list.ts";
export { Liveness } from "./liveness.ts";
export { Memo } from "./memo.ts";
export { checkRange, OptionError } from "./options.ts";
export { printable, printableJson, printableLines } from "./printable.ts";
export { escapeText, messageOf, showByte, showText } from "./show.ts";
export { afterTickEnd, atTickEnd, callAtTickEnd, type TickListener } from "./tick.ts";
export { Timeout } from "./timers.ts";
export { WaitTime } from "./wait_time.ts";
export { work } from "./work.ts";
