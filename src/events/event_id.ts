/** Ids of events: which run of the edge made it, and the how manyth it is there. `k3m9x2p7-42` */

export interface EventId {
  readonly boot: string;
  readonly number: number;
}

/** What ids look like; for messages. */
export const EXAMPLE_EVENT_ID = "k3m9x2p7-42";

export function formatEventId({ boot, number }: EventId): string {
  return `${boot}-${number}`;
}

/** Null for a text that is no id. */
export function parseEventId(text: string): EventId | null {
  const [, boot, number] = /^([a-z0-9]{1,32})-(\d{1,15})$/.exec(text) ?? [];
  return boot === undefined ? null : { boot, number: Number(number) };
}
