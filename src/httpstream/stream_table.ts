/** The streams of a connection by their ids, the ids that were used, and the slots that count for the limits. */
import { IdTable } from "./id_table.ts";
import type { MuxStream } from "./stream.ts";
import type { Role } from "./types.ts";
import { ErrorCode, MAX_U31, ProtocolError } from "./wire/mod.ts";

export class StreamTable {
  readonly #streams = new IdTable<MuxStream>();
  readonly #ownParity: number;
  #nextOwnId: number;
  #lastPeerId = 0;
  #ownSlots = 0;
  #acceptedSlots = 0;

  /** @param firstIndex the number of this side's first stream, counted from 0. */
  constructor(role: Role, firstIndex: number) {
    // Odd ids are an agent's, even ones an edge's. 0 is the connection.
    this.#ownParity = role === "agent" ? 1 : 0;
    this.#nextOwnId = (role === "agent" ? 1 : 2) + firstIndex * 2;
  }

  /** Streams that are open on the wire or hold bytes. */
  get size(): number {
    return this.#streams.size;
  }

  /** Streams that this side opened and that have a slot. */
  get ownSlots(): number {
    return this.#ownSlots;
  }

  /** Streams that the peer opened and that have a slot. */
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

  /** The id for a new stream of this side's, which is used up; null when all of them are. */
  takeId(): number | null {
    if (this.#nextOwnId > MAX_U31) return null;
    const id = this.#nextOwnId;
    this.#nextOwnId += 2;
    return id;
  }

  /** Whether HEADERS with this id open a stream of the peer's. */
  opens(id: number): boolean {
    return (id & 1) !== this.#ownParity && id > this.#lastPeerId;
  }

  /** The peer used an id up, whatever becomes of the stream. */
  usePeerId(id: number): void {
    this.#lastPeerId = id;
  }

  /** Adds a stream, with a slot. */
  add(stream: MuxStream): void {
    this.#streams.add(stream);
    if (stream.accepted) this.#acceptedSlots++;
    else this.#ownSlots++;
  }

  /** The stream is over. Its slot stays until `releaseSlot`. */
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
    const isUsed = (id & 1) === this.#ownParity ? id < this.#nextOwnId : id <= this.#lastPeerId;
    if (isUsed) return null;
    throw new ProtocolError({
      errorCode: ErrorCode.PROTOCOL_ERROR,
      reason: `Stream ${id} was never opened`,
      scope: "connection",
      streamId: id,
    });
  }
}
