/** An HTTP proxy that knows CONNECT alone. */
import { dial, type Socket } from "../../src/net/mod.ts";
import { bytesOf, SocketReader, startTcpServer } from "./net.ts";
import { pipe } from "./pipe.ts";
import { startTlsServer } from "./tls.ts";

export interface ConnectProxyOptions {
  /** Whether the proxy itself is `https://`. Default false. */
  isSecure?: boolean;
  /** Ports of 127.0.0.1 by the authority that is asked for, for names that exist nowhere. Default: as asked. */
  routes?: Record<string, number>;
  /** The whole answer to each CONNECT, and no tunnel; null: say nothing. Default: a tunnel. */
  answer?: string | null;
}

export interface ConnectProxy {
  readonly port: number;
  /** The heads that came, the oldest first. */
  readonly heads: readonly string[];
  readonly readers: readonly SocketReader[];
  close(): Promise<void>;
}

export async function startConnectProxy(options: ConnectProxyOptions = {}): Promise<ConnectProxy> {
  const heads: string[] = [];
  const readers: SocketReader[] = [];
  const onSocket = async (client: Socket) => {
    const reader = new SocketReader(client);
    readers.push(reader);
    const head = await reader.readUntil("\r\n\r\n").catch(() => null);
    if (head === null) return;
    heads.push(head);
    if (options.answer === null) return;
    if (options.answer !== undefined) return void client.write(bytesOf(options.answer));
    client.pause();
    const authority = head.split(" ")[1];
    const port = options.routes?.[authority] ?? Number(/:(\d+)$/.exec(authority)?.[1]);
    const upstream = await dial({ kind: "tcp", host: "127.0.0.1", port }).catch(() => null);
    if (upstream === null) return client.reset();
    client.write(bytesOf("HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n"));
    pipe(client, upstream);
  };
  const server = options.isSecure ? await startTlsServer(onSocket) : await startTcpServer(onSocket);
  return { port: server.port, heads, readers, close: () => server.close() };
}
