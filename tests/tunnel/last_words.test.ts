import { afterEach, describe, it } from "node:test";
import type { Edge } from "../../src/edge/edge.ts";
import { eventually } from "../support/net.ts";
import { getRequest, send } from "../support/public_client.ts";
import { enterAsShop } from "../support/scripted_agent.ts";
import { publicSide, startTestEdge } from "../support/tunnel.ts";

describe("An answer whose end comes together with the end of the link", () => {
  let edge: Edge;
  afterEach(() => edge.close());

  for (const isAborted of [false, true]) {
    it(`arrives whole when the agent ${isAborted ? "aborts" : "closes"}`, async () => {
      edge = await startTestEdge();
      const { peer, socket } = await enterAsShop(edge);
      const visitor = await send(publicSide(edge, "shop"), getRequest({ host: "shop.localhost" }, "/"));
      const request = () => peer.frames.find((frame) => frame.type === "HEADERS" && frame.streamId % 2 === 0);
      await peer.until(() => request() !== undefined, "the request");
      const { streamId } = request() as { streamId: number };
      peer.send((m) => m.headers(streamId, [":status", "200"], 0));
      peer.send((m) => m.data(streamId, new TextEncoder().encode("abc"), false));
      await visitor.readUntil("abc");
      peer.send((m) => m.data(streamId, new TextEncoder().encode("def"), true));
      if (isAborted) socket.end();
      else peer.close(1001);
      await visitor.readUntil("def\r\n0\r\n\r\n");
      await eventually(() => edge.bufferedBytes === 0 && edge.active === 0);
      visitor.socket.reset();
    });
  }
});
