/** An agent that listens, written by hand: it shares no code with the programs, and reads line by line. */
import { type ClientRequest, get } from "node:http";

export class PushClient {
  readonly events: { readonly type: string; readonly id: string; readonly data: Record<string, unknown> }[] = [];
  isOpen = false;
  lastEventId = "";
  #request: ClientRequest | null = null;
  #fields: Record<string, string> = {};

  /** Resolves to the answer's status, and sends the id of the last event where there is one. */
  connect(url: string, token: string): Promise<number> {
    const headers: Record<string, string> = { Authorization: `Bearer ${token}` };
    if (this.lastEventId !== "") headers["Last-Event-ID"] = this.lastEventId;
    return new Promise((resolve, reject) => {
      this.#request = get(url, { headers, agent: false }, (answer) => {
        this.isOpen = true;
        let rest = "";
        answer.setEncoding("utf8").on("data", (text: string) => {
          const lines = (rest + text).split("\n");
          rest = lines.pop()!;
          for (const line of lines) this.#take(line);
        }).on("error", () => {}).on("close", () => this.isOpen = false);
        resolve(answer.statusCode!);
      }).on("error", reject);
    });
  }

  close(): void {
    this.#request?.destroy();
  }

  #take(line: string): void {
    const at = line.indexOf(": ");
    if (at > 0) this.#fields[line.slice(0, at)] = line.slice(at + 2);
    const { event: type, id, data } = this.#fields;
    if (line !== "" || type === undefined || id === undefined || data === undefined) return;
    this.events.push({ type, id: this.lastEventId = id, data: JSON.parse(data) });
    this.#fields = {};
  }
}
