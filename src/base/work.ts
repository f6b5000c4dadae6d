/**
 * What the parsers have done for the read that is being handled, so that its socket knows how dear it was
 * (src/net/turns.ts). A unit is a byte of framing, about 20 ns; parsers add what their input cost beyond its content.
 * What is cheap for its length adds nothing.
 */
export const work = { units: 0 };
