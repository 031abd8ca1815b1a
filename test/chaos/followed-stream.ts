import { type IncomingMessage, request } from "node:http";

/** A message of the server, as far as tests look at it. */
interface Notification {
  readonly method?: string;
  readonly params?: { readonly data?: { readonly n?: number } };
}

/** What a client asks again with when its stream has ended, unless the server said another time: the SDKs' default. */
const defaultRetryMs = 1_000;

/**
 * A session's standalone stream as a client without cookies follows it: when it ends it asks again with Last-Event-ID,
 * after the time that the server said. What a client would take for a failure is a fault, and is not tried again.
 */
export class FollowedStream {
  /** The numbers of the yardstick's announcements, in the order in which they came. */
  readonly numbers: number[] = [];
  /** The methods of all other notifications. */
  readonly others: string[] = [];
  /** When it asked for the stream, by the test's clock in milliseconds: first to open it, then to go on. */
  readonly askedAt: number[] = [];
  readonly faults: string[] = [];
  readonly session: string;
  readonly #mcp: string;
  #retryMs = defaultRetryMs;
  #lastEventId: string | undefined;
  #answer: IncomingMessage | undefined;
  #waiting: NodeJS.Timeout | undefined;
  #isClosed = false;

  private constructor(mcp: string, session: string) {
    this.#mcp = mcp;
    this.session = session;
  }

  /** Resolves when the stream is open. */
  static async open(mcp: string, session: string): Promise<FollowedStream> {
    const stream = new FollowedStream(mcp, session);
    await new Promise<void>((resolve, reject) => {
      stream.#ask(() => (stream.faults.length === 0 ? resolve() : reject(new Error(stream.faults[0]))));
    });
    return stream;
  }

  get isOpen(): boolean {
    return this.#answer !== undefined;
  }

  /** When it asked again, because it had ended. */
  get reconnectedAt(): number[] {
    return this.askedAt.slice(1);
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#waiting);
    this.#answer?.destroy();
  }

  #ask(answered: () => void = () => {}): void {
    this.askedAt.push(performance.now());
    const headers = {
      accept: "text/event-stream",
      "mcp-session-id": this.session,
      "mcp-protocol-version": "2025-11-25",
      ...(this.#lastEventId !== undefined && { "last-event-id": this.#lastEventId }),
    };
    const asked = request(this.#mcp, { headers, agent: false }, (answer) => {
      if (answer.statusCode === 200) this.#read(answer);
      else {
        answer.resume();
        this.#fault(`its stream was answered with ${answer.statusCode}`);
      }
      answered();
    });
    asked.on("error", (error) => {
      // What happens to an open stream is told by the answer.
      if (this.#answer === undefined) this.#fault(`its stream could not be asked for: ${error.message}`);
      answered();
    });
    asked.end();
  }

  #read(answer: IncomingMessage): void {
    this.#answer = answer;
    let rest = "";
    answer.setEncoding("utf8");
    answer.on("data", (chunk: string) => {
      const blocks = (rest + chunk).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) this.#take(block);
    });
    answer.on("error", () => {});
    answer.once("close", () => {
      this.#answer = undefined;
      if (this.#isClosed) return;
      if (!answer.complete) this.#fault("its stream was cut");
      this.#waiting = setTimeout(() => this.#ask(), this.#retryMs);
    });
  }

  #take(block: string): void {
    let data = "";
    for (const line of block.split("\n")) {
      const [, field, value = ""] = /^(\w+): ?(.*)$/.exec(line) ?? [];
      if (field === "id") this.#lastEventId = value;
      else if (field === "retry") this.#retryMs = Number(value);
      else if (field === "data") data += value;
    }
    if (data === "") return;
    const { method = "", params } = JSON.parse(data) as Notification;
    const number = params?.data?.n;
    if (number === undefined) this.others.push(method);
    else this.numbers.push(number);
  }

  #fault(what: string): void {
    if (!this.#isClosed) this.faults.push(`${this.session}: ${what}`);
  }
}

/** The most of these moments, in milliseconds, that lie within a second. */
export function mostInASecond(moments: readonly number[]): number {
  const sorted = [...moments].sort((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (const [index, moment] of sorted.entries()) {
    while (moment - (sorted[first] as number) >= 1_000) first += 1;
    most = Math.max(most, index - first + 1);
  }
  return most;
}
