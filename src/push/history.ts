/** What was sent lately: the newest messages of all nodes together, for agents that come back. */

interface KeptMessage {
  readonly number: number;
  /** Null: it is for all nodes. */
  readonly node: string | null;
  readonly bytes: Uint8Array;
}

export class PushHistory {
  readonly #maxMessages: number;
  #messages: KeptMessage[] = [];
  /** By node, the number of its newest message that is not kept any more. */
  readonly #dropped = new Map<string, number>();
  /** The same of those for all nodes. */
  #droppedForAll = 0;

  constructor(maxMessages: number) {
    this.#maxMessages = maxMessages;
  }

  /** @param node null: it is for all nodes */
  add(number: number, node: string | null, bytes: Uint8Array): void {
    this.#messages.push({ number, node, bytes });
    if (this.#messages.length > this.#maxMessages) this.#drop(this.#messages.shift()!);
  }

  /** The messages for `node` behind `number`, in their order; null where some of them are not kept any more. */
  since(node: string, number: number): Uint8Array[] | null {
    if (number < Math.max(this.#droppedForAll, this.#dropped.get(node) ?? 0)) return null;
    const isWanted = (message: KeptMessage) =>
      message.number > number && (message.node === null || message.node === node);
    return this.#messages.filter(isWanted).map(({ bytes }) => bytes);
  }

  /** The node is gone, and with it whatever was for it. */
  forget(node: string): void {
    this.#dropped.delete(node);
    this.#messages = this.#messages.filter((message) => message.node !== node);
  }

  #drop({ number, node }: KeptMessage): void {
    if (node === null) this.#droppedForAll = number;
    else this.#dropped.set(node, number);
  }
}
