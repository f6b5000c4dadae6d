// @ts-check
/** Single requests whose answers are judged. */
import { connect } from "node:net";

/** @typedef {import("../flood.mjs").Task} Task */
/** @typedef {import("../flood.mjs").Flood} Flood */

/** @param {Task} task @param {string} request @returns {Promise<string>} the answer until the connection's end */
function ask(task, request) {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: task.port, noDelay: true });
    let text = "";
    socket.on("data", (chunk) => text += chunk.toString("latin1"));
    socket.on("error", (error) => resolve(`${text}${error.message}`));
    socket.on("close", () => resolve(text));
    socket.write(request);
  });
}

/**
 * Each of `task.requests` on a connection of its own; `HOST` stands for the tunnel's. Told: the answers.
 * @param {Task} task @param {Flood} flood
 */
export async function probes(task, flood) {
  const answers = [];
  for (const [request, status] of task.requests) {
    const asked = `${request.replace("HOST", task.host)}\r\nConnection: close\r\n\r\n`;
    const answer = await Promise.race([ask(task, asked), flood.until.then(() => "none")]);
    flood.count(`answered ${answer.slice(9, 12)}`);
    answers.push({ request, wanted: status, status: answer.slice(9, 12), text: answer });
  }
  return answers;
}
