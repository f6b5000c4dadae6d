/**
 * The requests of a session on their way to its agent: those whose bodies are being collected, and those that wait while
 * the link takes nothing. What they hold is counted until the link has taken it. A request that waits costs its head and
 * its body once, and can be dropped; one that was begun is sent to its end, since no frame can be cut short.
 */
import { LinkedList } from "../../base/mod.ts";
import { type Answer, ExchangeError, type RequestHead } from "../../http/mod.ts";
import { MemoryAccount } from "../../httpstream/mod.ts";
import { emptyBytes, release } from "../../memory/mod.ts";
import { base64Length } from "./base64.ts";
import type { HeadText } from "./head_text.ts";
import type { JsonLink } from "./link.ts";
import { LinkQueue, WaitingFrame } from "./link_queue.ts";
import { BLOCK_BYTES, RequestBody } from "./request_body.ts";
import { headLength, RequestMessage, requestText } from "./request_frame.ts";

/** Heads that wait for the link. Requests beyond it get `overloaded`. */
const WAITING_HEADS_BYTES = 4 * 1024 * 1024;
/** What a waiting request costs beside its texts and its body: objects, promises and listeners. */
const REQUEST_OVERHEAD_BYTES = 1024;

/** A request whose answer has not begun. */
export class Waiter extends WaitingFrame {
  readonly head: RequestHead;
  readonly answer: Promise<Answer>;
  resolve!: (answer: Answer) => void;
  reject!: (error: Error) => void;
  /** Until it is sent. */
  body: Uint8Array | RequestBody | null;
  isSent = false;
  readonly #sender: RequestSender;

  constructor(head: RequestHead, body: Uint8Array | RequestBody | null, sender: RequestSender) {
    super();
    this.head = head;
    this.body = body;
    this.#sender = sender;
    this.answer = new Promise((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
  }

  get byteLength(): number {
    return this.isSent ? 0 : headLength(this.head) + base64Length(this.body?.length ?? 0);
  }

  get heldBytes(): number {
    return headCost(this.head) + (this.body instanceof RequestBody ? this.body.heldBytes : 0);
  }

  /** For the queue alone. */
  send(): boolean {
    return this.#sender.write(this);
  }
}

export class RequestSender {
  /** The bodies that are being collected. */
  readonly collecting = new LinkedList<RequestBody>();
  /** Called for each request that begins to leave. */
  onSend: () => void = () => {};
  readonly #link: Pick<JsonLink, "sendText" | "sendTextFrom">;
  readonly #text: HeadText;
  readonly #account: MemoryAccount;
  /** The part of the account that is bodies. */
  readonly #bodyAccount: MemoryAccount;
  readonly #queue = new LinkQueue();
  #waitingHeadBytes = 0;

  /**
   * @param account counts what is held
   * @param limitBytes of all bodies together
   */
  constructor(
    link: Pick<JsonLink, "sendText" | "sendTextFrom">,
    text: HeadText,
    account: MemoryAccount,
    limitBytes: number,
  ) {
    this.#link = link;
    this.#text = text;
    this.#account = account;
    this.#bodyAccount = new MemoryAccount(limitBytes, account);
  }

  /**
   * A body to collect, in `collecting`.
   *
   * @throws {ExchangeError} `overloaded` where there is no room for one of `expectedBytes`
   */
  newBody(expectedBytes: number): RequestBody {
    if (!this.#bodyAccount.hasRoom(expectedBytes)) throw overloaded();
    const body = new RequestBody(this.#bodyAccount);
    this.collecting.append(body);
    return body;
  }

  /**
   * Sends a request, or lets it wait for the link.
   *
   * @throws {ExchangeError} `overloaded`; the body is then still the caller's
   */
  ask(head: RequestHead, body: Uint8Array | RequestBody | null): Waiter {
    const mustWait = this.#queue.isFull;
    if (mustWait && this.#waitingHeadBytes + headCost(head) > WAITING_HEADS_BYTES) throw overloaded();
    const mustHold = body instanceof Uint8Array && (mustWait || body.length > BLOCK_BYTES);
    const waiter = new Waiter(head, mustHold ? this.#hold(body) : body, this);
    if (mustWait) this.#countHead(headCost(head));
    this.#queue.send(waiter);
    return waiter;
  }

  /** Sends a short frame at once. */
  sendShort(text: string): void {
    this.#queue.sent(this.#link.sendText(text));
  }

  /** The link takes more. */
  drained(): void {
    this.#queue.drained();
  }

  /** The requests that wait for the link. During the iteration only the current one may be dropped. */
  waiting(): Iterator<Waiter> & Iterable<Waiter> {
    return this.#queue[Symbol.iterator]() as Iterator<Waiter> & Iterable<Waiter>;
  }

  /** Gives up a request that was not sent. */
  drop(waiter: Waiter): void {
    waiter.unlink();
    this.#countHead(-headCost(waiter.head));
    if (waiter.body instanceof RequestBody) waiter.body.drop();
    waiter.body = null;
  }

  /** What holds most of all that can be given up; null where nothing can. */
  largest(): Waiter | RequestBody | null {
    let largest: Waiter | RequestBody | null = null;
    for (const body of this.collecting) if (body.heldBytes > (largest?.heldBytes ?? 0)) largest = body;
    for (const waiter of this.waiting()) if (waiter.heldBytes > (largest?.heldBytes ?? 0)) largest = waiter;
    return largest;
  }

  /** For waiters alone: passes the request to the link. */
  write(waiter: Waiter): boolean {
    const { head, body } = waiter;
    if (waiter.hasWaited) this.#countHead(-headCost(head));
    waiter.isSent = true;
    waiter.body = null;
    this.onSend();
    if (body instanceof RequestBody && body.length > BLOCK_BYTES) {
      return this.#link.sendTextFrom(new RequestMessage(head, body, this.#text));
    }
    const bytes = body instanceof RequestBody ? body.bytes : body;
    const isWritable = this.#link.sendText(requestText(head, bytes ?? emptyBytes, this.#text));
    if (body instanceof RequestBody) body.drop();
    else if (body !== null) release(body);
    return isWritable;
  }

  #hold(bytes: Uint8Array): RequestBody {
    const body = new RequestBody(this.#bodyAccount);
    if (body.append(bytes)) return body;
    body.drop();
    throw overloaded();
  }

  #countHead(bytes: number): void {
    this.#waitingHeadBytes += bytes;
    this.#account.add(bytes);
  }
}

export function overloaded(): ExchangeError {
  return new ExchangeError("overloaded", "Too many large requests wait for this agent", { initiator: "library" });
}

/** What a waiting request costs beside its body. */
function headCost(head: RequestHead): number {
  return REQUEST_OVERHEAD_BYTES + headLength(head);
}
