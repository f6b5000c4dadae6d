import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Half, HalfEvent, isOver, step } from "../../src/httpstream/state.ts";

const { HEAD, BODY, ENDED, BROKEN } = Half;
const events = Object.keys(HalfEvent) as (keyof typeof HalfEvent)[];

/** What each state allows, and where it leads; everything else is refused. */
const allowed: Record<Half, Partial<Record<keyof typeof HalfEvent, Half>>> = {
  [HEAD]: { INFORM: HEAD, HEAD: BODY, HEAD_END: ENDED, RESET: BROKEN },
  [BODY]: { DATA: BODY, DATA_END: ENDED, TRAILERS: ENDED, RESET: BROKEN },
  [ENDED]: { RESET: ENDED },
  [BROKEN]: { RESET: BROKEN },
};

describe("step", () => {
  for (const [name, state] of Object.entries(Half)) {
    it(`step allows what the diagram shows, and nothing else, when a direction is in ${name}`, () => {
      for (const event of events) {
        assert.equal(step(state, HalfEvent[event]), allowed[state][event] ?? null, `${name} on ${event}`);
      }
    });
  }

  it("step never leaves a state that is over", () => {
    for (const state of [ENDED, BROKEN]) {
      for (const event of events) assert.equal(step(state, HalfEvent[event]) ?? state, state);
    }
  });
});

describe("isOver", () => {
  it("isOver is true when a direction ended or broke", () => {
    assert.deepEqual([HEAD, BODY, ENDED, BROKEN].map(isOver), [false, false, true, true]);
  });
});
