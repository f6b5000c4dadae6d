/** The ids and slots of a connection: which streams are open, which were, and which never were. */
import { ErrorCode, MAX_U31, ProtocolError } from "./wire/mod.ts";
import { IdMap } from "./id_map.ts";
import type { MuxStream } from "./stream.ts";
import type { Role } from "./types.ts";

export class StreamTable {
  readonly #streams = new IdMap<MuxStream>();
  readonly #ownParity: number;
  #nextOwnId: number;
  #lastPeerId = 0;
  #ownSlots = 0;
  #acceptedSlots = 0;

  /** @param firstIndex number of the first stream of our own, from 0. */
  constructor(role: Role, firstIndex: number) {
    // Odd ids: agent; even: edge. 0 is the connection.
    this.#ownParity = role === "agent" ? 1 : 0;
    this.#nextOwnId = (role === "agent" ? 1 : 2) + firstIndex * 2;
  }

  /** Streams that are open on the wire or hold bytes. */
  get size(): number {
    return this.#streams.size;
  }

  /** Streams of our own that have a slot. */
  get ownSlots(): number {
    return this.#ownSlots;
  }

  /** Streams of the peer's that have a slot. */
  get acceptedSlots(): number {
    return this.#acceptedSlots;
  }

  /** The highest id that the peer opened; 0 before the first. */
  get lastPeerId(): number {
    return this.#lastPeerId;
  }

  values(): MuxStream[] {
    return this.#streams.values();
  }

  /** The id for a new stream of our own, or null when they ran out. It is used up by this. */
  takeId(): number | null {
    if (this.#nextOwnId > MAX_U31) return null;
    const id = this.#nextOwnId;
    this.#nextOwnId += 2;
    return id;
  }

  /** Whether a frame on this id would open a stream of the peer's. */
  opens(id: number): boolean {
    return (id & 1) !== this.#ownParity && id > this.#lastPeerId;
  }

  /** The peer used an id, whatever becomes of the stream. */
  usePeerId(id: number): void {
    this.#lastPeerId = id;
  }

  add(stream: MuxStream): void {
    this.#streams.add(stream);
    if (stream.accepted) this.#acceptedSlots++;
    else this.#ownSlots++;
  }

  /** The stream is over; its slot may be held. */
  delete(stream: MuxStream): void {
    this.#streams.delete(stream.id);
  }

  releaseSlot(stream: MuxStream): void {
    if (stream.accepted) this.#acceptedSlots--;
    else this.#ownSlots--;
  }

  /**
   * The open stream of a frame, or null where it is closed: the frame is then ignored.
   *
   * @throws {ProtocolError} of scope `connection` where the stream was never opened.
   */
  find(id: number): MuxStream | null {
    const stream = this.#streams.get(id);
    if (stream !== null) return stream;
    const known = (id & 1) === this.#ownParity ? id < this.#nextOwnId : id <= this.#lastPeerId;
    if (known) return null;
    throw new ProtocolError({
      errorCode: ErrorCode.PROTOCOL_ERROR,
      reason: `Stream ${id} was never opened`,
      scope: "connection",
      streamId: id,
    });
  }
}
