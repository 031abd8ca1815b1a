/** A JSON-RPC message, as far as the doctor looks into it. */
export interface Message {
  readonly jsonrpc?: unknown;
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly result?: Readonly<Record<string, unknown>>;
  readonly error?: {
    readonly code: number;
    readonly message: string;
    readonly data?: unknown;
  };
}

/** Reads a JSON-RPC message; undefined for anything else. */
export function parseMessage(text: string): Message | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || (value as Message).jsonrpc !== "2.0") return undefined;
    const message = value as Message;
    const { error } = message;
    if (error !== undefined && (typeof error?.code !== "number" || typeof error.message !== "string")) return undefined;
    return message;
  } catch {
    return undefined;
  }
}

/** Whether a message is the response to the request of an id. */
export function isResponseTo(message: Message | undefined, id: number): boolean {
  return message !== undefined && message.id === id && (message.result !== undefined || message.error !== undefined);
}
