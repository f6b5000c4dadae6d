/**
 * The npm package `ws`, the foreign peer. Under Bun `import "ws"` gives Bun's own WebSocket under the package's name,
 * so the package is imported by its path.
 */
import type { WebSocket as ForeignSocket, WebSocketServer as ForeignServer } from "ws";
import * as ws from "../../node_modules/ws/wrapper.mjs";

export type { ForeignServer, ForeignSocket };

export const WebSocket = ws.WebSocket as unknown as typeof ForeignSocket;
export const WebSocketServer = ws.WebSocketServer as unknown as typeof ForeignServer;
