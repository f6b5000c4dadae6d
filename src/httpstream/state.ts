/**
 * The states of a stream, as a pure machine: `(state, event) → state | null`.
 *
 * A stream has two directions, each with a state of its own, which the frames of its sender move on:
 *
 *        inform
 *        ┌───┐
 *        │   ▼    head           trailers, data+end
 *      ┌──────┐ ────────▶ ┌──────┐ ────────────────▶ ┌───────┐
 *      │ HEAD │           │ BODY │                   │ ENDED │
 *      └──────┘ ──┐       └──────┘ ◀─┐               └───────┘
 *        │ │      │ head+end │  │    │ data              ▲
 *        │ │      └──────────┼──┼────┘                   │
 *        │ └─────────────────┼──┼────────────────────────┘
 *        │ reset             │
 *        ▼                   ▼ reset
 *      ┌────────────────────────┐
 *      │         BROKEN         │   (reset in ENDED changes nothing: all its bytes are delivered)
 *      └────────────────────────┘
 *
 * (`head+end` leads from HEAD to ENDED, `data` from BODY to BODY.) The opener's direction leaves HEAD with the frame
 * that opens the stream, and has no interim heads. With L for this side's direction and R for the peer's, the states of
 * RFC 9113 §5.1 are:
 *
 *     open                    neither is ENDED or BROKEN
 *     half-closed (local)     L is
 *     half-closed (remote)    R is
 *     closed                  both are
 */

export const Half = { HEAD: 0, BODY: 1, ENDED: 2, BROKEN: 3 } as const;
export type Half = typeof Half[keyof typeof Half];

export const HalfEvent = { INFORM: 0, HEAD: 1, HEAD_END: 2, DATA: 3, DATA_END: 4, TRAILERS: 5, RESET: 6 } as const;
export type HalfEvent = typeof HalfEvent[keyof typeof HalfEvent];

const table: readonly (readonly (Half | null)[])[] = [
  //          INFORM     HEAD       HEAD_END    DATA       DATA_END    TRAILERS    RESET
  /* HEAD   */ [Half.HEAD, Half.BODY, Half.ENDED, null, null, null, Half.BROKEN],
  /* BODY   */ [null, null, null, Half.BODY, Half.ENDED, Half.ENDED, Half.BROKEN],
  /* ENDED  */ [null, null, null, null, null, null, Half.ENDED],
  /* BROKEN */ [null, null, null, null, null, null, Half.BROKEN],
];

/** The next state of a direction, or null where the event may not happen in `state`. */
export function step(state: Half, event: HalfEvent): Half | null {
  return table[state][event];
}

/** Whether a direction carries nothing any more. */
export function isOver(state: Half): boolean {
  return state >= Half.ENDED;
}
