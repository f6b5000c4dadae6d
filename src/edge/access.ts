/**
 * The requests of the public, told when they begin and when they are over: for an access log, and for whoever listens to
 * what happens. While nobody does, a request is not observed.
 */
import { afterTickEnd, type Clock, type TickListener } from "../base/mod.ts";
import {
  type Answer,
  errorFieldName,
  fieldValue,
  type Handler,
  observeExchanges,
  pathOf,
  problemCodeOf,
  type RequestHead,
  requestIdOf,
  type RequestReport,
} from "../http/mod.ts";

/** One request and what became of it. Its texts come from outside as they are: they must be escaped. */
export interface AccessRecord {
  /** By which logs and events call it (`requestIdOf`). Empty, as are `method`, `host` and `path`, where the head could not be read. */
  readonly id: string;
  /** The client's IP address; empty where it is unknown. */
  readonly client: string;
  readonly method: string;
  readonly host: string;
  /** Without the query string, which may be secret. */
  readonly path: string;
  readonly httpVersion: "1.0" | "1.1";
  /** Of the answer; 499 where the client left before there was one. */
  readonly status: number;
  /** Body bytes from the client, and to it. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Milliseconds from the request to the end of the answer. */
  readonly durationMs: number;
  /** The tunnel that was asked, and the session of its agent; null where the edge itself answered. */
  readonly tunnel: string | null;
  readonly session: string | null;
  readonly userAgent: string | null;
  /** Why there was no answer of the upstream, or only a part of it: a problem's code, or `canceled`. Null: there was. */
  readonly code: string | null;
}

/** One request, when it begins. */
export type AccessStart = Omit<AccessRecord, "status" | "bytesIn" | "bytesOut" | "durationMs" | "code">;

/** Who is told of requests. */
export interface RequestObserver {
  /** Not called where the head could not be read. Default: does nothing. */
  onRequestStart?(start: AccessStart): void;
  onRequest(record: AccessRecord): void;
}

/** As nginx has it: the client closed before the answer. */
const CLIENT_LEFT_STATUS = 499;

/** What is learned about an exchange on its way. */
class Note {
  tunnel: string | null = null;
  session: string | null = null;
  /** Of the edge's own answer. */
  code: string | null = null;
  /** Where a handler rejected: the answer that was made of it. */
  status = 0;
  bytesOut = 0;
}

interface Ended {
  readonly report: RequestReport;
  readonly head: RequestHead;
  readonly note: Note;
}

export class AccessObserver implements TickListener {
  readonly #observers = new Set<RequestObserver>();
  /** True while there is any of them. */
  #isWatching = false;
  /** Requests with a lower number began unobserved. */
  #firstNumber = 0;
  readonly #ids: RequestIds;
  readonly #notes = new WeakMap<RequestHead, Note>();
  /** Told at the end of the tick: until then an answer may turn out to be none, and the edge makes another. */
  #ended: Ended[] = [];

  constructor(ids: RequestIds) {
    this.#ids = ids;
  }

  /** Is to be told which tunnel and session a request goes to, null where its tunnel is offline; undefined: nobody asks. */
  get onRouted(): ((head: RequestHead, tunnel: string, session: string | null) => void) | undefined {
    return this.#isWatching ? this.#noteRoute : undefined;
  }

  /**
   * Tells `observer` of the requests that begin from now on, and of the ends of those that another observer saw begin. The
   * returned function ends that.
   */
  add(observer: RequestObserver): () => void {
    if (!this.#isWatching) this.#firstNumber = this.#ids.count + 1;
    this.#observers.add(observer);
    this.#isWatching = true;
    return () => {
      this.#observers.delete(observer);
      this.#isWatching = this.#observers.size > 0;
    };
  }

  /** `ingress`, observed. */
  observe(ingress: Handler, clock: Clock): Handler {
    const noting: Handler = async (head, body, signal) => {
      const answer = await ingress(head, body, signal);
      // Other answers do not have that field: `publicAnswer` has removed it.
      if (answer.status >= 400) this.#noteOf(head).code = fieldValue(answer.fields, lowerErrorName) ?? null;
      return answer;
    };
    const observed = observeExchanges(noting, (report, head) => this.#end(report, head), clock);
    return (head, body, signal) => {
      if (!this.#isWatching) return ingress(head, body, signal);
      const note = new Note();
      this.#notes.set(head, note);
      // What it is routed to is known when this returns.
      const answer = observed(head, body, signal);
      this.#tellStart(head, note);
      return answer;
    };
  }

  readonly #noteRoute = (head: RequestHead, tunnel: string, session: string | null): void => {
    const note = this.#notes.get(head);
    if (note === undefined) return;
    note.tunnel = tunnel;
    note.session = session;
  };

  /** The edge answers an error. @param head null, or one that `observe` has not seen, where a request cannot be read */
  failed(error: unknown, head: RequestHead | null, client: string, answer: Answer): void {
    if (!this.#isWatching) return;
    const note = head === null ? undefined : this.#notes.get(head);
    if (note === undefined && head !== null && this.#ids.numberOf(head.id) < this.#firstNumber) return;
    const bytesOut = head?.method === "HEAD" || !(answer.body instanceof Uint8Array) ? 0 : answer.body.length;
    const { status } = answer;
    const code = problemCodeOf(error);
    if (note === undefined) {
      return this.#tell({ ...requestOf(head, client), ...nothing, status, bytesOut, code });
    }
    note.status = status;
    note.bytesOut = bytesOut;
    note.code = code;
  }

  onTickEnd(): void {
    const ended = this.#ended;
    this.#ended = [];
    for (const item of ended) this.#tell(recordOf(item));
  }

  #tellStart(head: RequestHead, { tunnel, session }: Note): void {
    const start = { ...requestOf(head, head.client), tunnel, session };
    for (const observer of this.#observers) observer.onRequestStart?.(start);
  }

  #tell(record: AccessRecord): void {
    for (const observer of this.#observers) observer.onRequest(record);
  }

  #end(report: RequestReport, head: RequestHead): void {
    if (this.#ended.push({ report, head, note: this.#noteOf(head) }) === 1) afterTickEnd(this);
  }

  #noteOf(head: RequestHead): Note {
    return this.#notes.get(head) as Note;
  }
}

const lowerErrorName = errorFieldName.toLowerCase();

const nothing = { bytesIn: 0, durationMs: 0, tunnel: null, session: null };

function recordOf({ report, head, note }: Ended): AccessRecord {
  const { bytesIn, durationMs } = report;
  const isOwn = note.status > 0;
  return {
    ...requestOf(head, head.client),
    status: isOwn ? note.status : report.status === 0 ? CLIENT_LEFT_STATUS : report.status,
    bytesIn,
    bytesOut: isOwn ? note.bytesOut : report.bytesOut,
    durationMs,
    tunnel: note.tunnel,
    session: note.session,
    code: note.code ?? report.code ?? null,
  };
}

type RequestPart = Pick<AccessRecord, "id" | "client" | "method" | "host" | "path" | "httpVersion" | "userAgent">;

function requestOf(head: RequestHead | null, client: string): RequestPart {
  if (head === null) {
    return { id: "", client, method: "", host: "", path: "", httpVersion: "1.1", userAgent: null };
  }
  const { method, authority: host, target, fields } = head;
  const path = pathOf(target);
  // Interim answers are for clients of HTTP/1.1 alone.
  const httpVersion = head.onInformational === undefined ? "1.0" : "1.1";
  return {
    id: requestIdOf(head),
    client,
    method,
    host,
    path,
    httpVersion,
    userAgent: fieldValue(fields, "user-agent") ?? null,
  };
}

/** Ids of exchanges: short, unique in this process, and different from those of an earlier process in a log. */
export class RequestIds {
  readonly #prefix = `${Math.floor(Date.now() / 1000).toString(36)}-`;
  #count = 0;

  /** Ids that were made. */
  get count(): number {
    return this.#count;
  }

  readonly next = (): string => this.#prefix + (++this.#count).toString(36);

  /** Which id it was, counted from 1; NaN for one that another has made. */
  numberOf(id: string): number {
    return id.startsWith(this.#prefix) ? Number.parseInt(id.slice(this.#prefix.length), 36) : NaN;
  }
}
