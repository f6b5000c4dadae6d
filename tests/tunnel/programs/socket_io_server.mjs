// A socket.io server that echoes `word`, on a free port of 127.0.0.1; prints `{"port":N}`.
import { createServer } from "node:http";
import { Server } from "socket.io";

const server = createServer();
new Server(server).on("connection", (socket) => socket.on("word", (word, answer) => answer(word)));
server.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
