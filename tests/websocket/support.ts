/** Frames written and read without the code under test, and owners that remember what they were told. */
import { type WebSocketClose, WebSocketConnection, type WebSocketOptions } from "../../src/websocket/mod.ts";
import type { Socket } from "../../src/net/mod.ts";
import { connectPair, SocketReader } from "../support/net.ts";
import type { WebSocketHandlers } from "../../src/websocket/connection.ts";

export interface RawFrame {
  fin?: boolean;
  rsv?: number;
  opcode: number;
  payload?: Uint8Array | string;
  /** Masks with this key; without one the frame is a server's. */
  key?: number;
  /** The length field's form. Default the shortest. */
  lengthForm?: 7 | 16 | 64;
  /** What the length field says. Default the payload's length. */
  announced?: number | bigint;
}

const encoder = new TextEncoder();

/** Any frame, the forbidden ones included. */
export function rawFrame(init: RawFrame): Uint8Array {
  const payload = typeof init.payload === "string" ? encoder.encode(init.payload) : init.payload ?? new Uint8Array(0);
  const length = BigInt(init.announced ?? payload.length);
  const form = init.lengthForm ?? (length < 126n ? 7 : length < 65536n ? 16 : 64);
  const masked = init.key !== undefined;
  const head = [(init.fin ?? true ? 0x80 : 0) | (init.rsv ?? 0) | init.opcode];
  head.push((masked ? 0x80 : 0) | (form === 7 ? Number(length) : form === 16 ? 126 : 127));
  const lengthBytes = form === 7 ? 0 : form / 8;
  for (let i = lengthBytes - 1; i >= 0; i--) head.push(Number((length >> BigInt(8 * i)) & 0xffn));
  const key = [24, 16, 8, 0].map((shift) => ((init.key ?? 0) >>> shift) & 0xff);
  if (masked) head.push(...key);
  const body = masked ? payload.map((byte, i) => byte ^ key[i % 4]) : payload;
  return joinBytes([Uint8Array.from(head), body]);
}

export const CLIENT_KEY = 0x77aa13f0;

/** A client's frame: masked, unless it says otherwise. */
export function clientFrame(init: RawFrame): Uint8Array {
  return rawFrame({ key: CLIENT_KEY, ...init });
}

export function closeFrame(code: number, reason = "", key?: number): Uint8Array {
  const payload = joinBytes([Uint8Array.of(code >> 8, code & 0xff), encoder.encode(reason)]);
  return rawFrame({ opcode: 8, payload, key });
}

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** `length` bytes that look like nothing else: an offset that is wrong by one shows. */
export function patternBytes(length: number, seed = 1): Uint8Array {
  return new Uint8Array(length).map((_, i) => (i * 31 + (i >>> 8) * 7 + seed) & 0xff);
}

/** The raw end of a WebSocket: reads frame by frame what the connection under test sends. */
export class RawPeer {
  readonly socket: Socket;
  readonly reader: SocketReader;

  constructor(socket: Socket) {
    this.socket = socket;
    this.reader = new SocketReader(socket);
  }

  send(frame: RawFrame | Uint8Array): void {
    this.socket.write(frame instanceof Uint8Array ? frame : rawFrame(frame));
  }

  /** The next frame, its payload unmasked. */
  async read(): Promise<{ fin: boolean; opcode: number; masked: boolean; payload: Uint8Array }> {
    const [first, second] = await this.reader.read(2);
    let length = second & 0x7f;
    if (length > 125) {
      const field = await this.reader.read(length === 126 ? 2 : 8);
      length = field.reduce((sum, byte) => sum * 256 + byte, 0);
    }
    const masked = (second & 0x80) !== 0;
    const key = masked ? await this.reader.read(4) : new Uint8Array(4);
    const body = length > 0 ? await this.reader.read(length) : new Uint8Array(0);
    const payload = Uint8Array.from(body, (byte, i) => byte ^ key[i % 4]);
    return { fin: (first & 0x80) !== 0, opcode: first & 0x0f, masked, payload };
  }

  /** The next frame, which is a close frame: its code (1005 for none) and reason. */
  async readClose(): Promise<{ code: number; reason: string }> {
    const { opcode, payload } = await this.read();
    if (opcode !== 8) throw new Error(`frame has the opcode ${opcode} where a close frame was awaited`);
    if (payload.length === 0) return { code: 1005, reason: "" };
    return { code: payload[0] * 256 + payload[1], reason: new TextDecoder().decode(payload.subarray(2)) };
  }
}

/** Records everything, and wakes what waits for it. */
export class Recorder implements WebSocketHandlers {
  readonly messages: (Uint8Array | string)[] = [];
  readonly pings: Uint8Array[] = [];
  readonly pongs: Uint8Array[] = [];
  readonly closes: WebSocketClose[] = [];
  reads = 0;
  drains = 0;
  /** Called at each message, before it can be awaited. */
  atMessage: (data: Uint8Array | string) => void = () => {};
  onLongMessage: WebSocketHandlers["onLongMessage"];
  onProgress: WebSocketHandlers["onProgress"];
  #wakers: (() => void)[] = [];

  onMessage(data: Uint8Array | string): void {
    this.messages.push(data);
    this.atMessage(data);
    this.#wake();
  }

  onPing(payload: Uint8Array): void {
    this.pings.push(payload);
    this.#wake();
  }

  onPong(payload: Uint8Array): void {
    this.pongs.push(payload);
    this.#wake();
  }

  onBytes(): void {
    this.reads++;
  }

  onDrain(): void {
    this.drains++;
    this.#wake();
  }

  onClose(close: WebSocketClose): void {
    this.closes.push(close);
    this.#wake();
  }

  /** Resolves once `condition` holds, which is checked at every call; rejects where the connection closes before. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) {
      if (this.closes.length > 0) throw new Error(`closed before ${condition}: ${JSON.stringify(this.closes[0])}`);
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }

  async message(index = this.messages.length): Promise<Uint8Array | string> {
    await this.until(() => this.messages.length > index);
    return this.messages[index];
  }

  async close(): Promise<WebSocketClose> {
    await this.until(() => this.closes.length > 0);
    return this.closes[0];
  }

  #wake(): void {
    const wakers = this.#wakers;
    this.#wakers = [];
    for (const wake of wakers) wake();
  }
}

export interface Scene {
  connection: WebSocketConnection;
  recorder: Recorder;
  peer: RawPeer;
  /** Resets both ends. */
  end(): Promise<void>;
}

/** A connection under test on a loopback socket, and the raw peer at its other end. */
export async function openScene(options: Partial<WebSocketOptions> = {}): Promise<Scene> {
  const [dialed, accepted] = await connectPair();
  const recorder = new Recorder();
  const connection = new WebSocketConnection(accepted, { role: "server", handlers: recorder, ...options });
  const peer = new RawPeer(dialed);
  return {
    connection,
    recorder,
    peer,
    async end() {
      connection.abort();
      peer.socket.reset();
      await recorder.close();
    },
  };
}
