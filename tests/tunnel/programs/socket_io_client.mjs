// Opens socket.io at the URL given, on polling, and echoes words on the WebSocket that it becomes; prints how it went.
import process from "node:process";
import { io } from "socket.io-client";

const socket = io(process.argv[2], { transports: ["polling", "websocket"], reconnection: false });
const { engine } = socket.io;
const opened = new Promise((resolve) => socket.io.once("open", () => resolve(socket.io.engine.transport.name)));
const upgraded = new Promise((resolve) => engine.once("upgrade", ({ name }) => resolve(name)));
socket.on("connect_error", (error) => {
  console.error(String(error));
  process.exit(1);
});

const transports = [await opened, await upgraded];
const heard = [];
for (let word = 0; word < 100; word++) heard.push(await socket.timeout(10_000).emitWithAck("word", word));
console.log(JSON.stringify({ transports, heard }));
socket.close();
