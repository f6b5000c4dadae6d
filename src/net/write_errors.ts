/** The errors of a stream's writes, kept from the stream: it would close its socket, and drop what was not read. */
import type * as net from "node:net";

type Callback = (error?: Error | null) => void;

/** Calls `onFailure` for each write that fails. The stream takes it as done. */
export function interceptWriteErrors(raw: net.Socket, onFailure: (error: Error) => void): void {
  const { _write } = raw;
  // A stream writes one piece after the other, so that one callback serves all.
  let done: Callback | null = null;
  const onWritten: Callback = (error) => {
    const callback = done;
    done = null;
    if (error) onFailure(error);
    callback?.();
  };
  raw._write = function (chunk: unknown, encoding: BufferEncoding, callback: Callback): void {
    done = callback;
    _write.call(raw, chunk, encoding, onWritten);
  };
}
