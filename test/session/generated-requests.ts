import fc from "fast-check";

/** A request as the differential test sends it to both servers. */
export interface GeneratedRequest {
  readonly method: string;
  /** The revision that the live session settled on. */
  readonly revision: string;
  /** Which session it names: the live one, none, or one that does not exist. */
  readonly session: "live" | "none" | "unknown" | "malformed" | "twice";
  readonly accept: string | undefined;
  readonly contentType: string | undefined;
  readonly version: string | undefined;
  readonly lastEventId: string | undefined;
  readonly body: string | undefined;
}

const id = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 1_000_000 }) },
  { weight: 2, arbitrary: fc.string({ minLength: 1, maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom<unknown>(null, 1.5, true, {}, [], -7, "") },
);

const echo = fc.record({ name: fc.constant("echo"), arguments: fc.record({ text: fc.string({ maxLength: 40 }) }) });

/** Params of all kinds, right and wrong. */
const call = fc.oneof(
  fc.record({ method: fc.constant("tools/call"), params: echo }),
  fc.record({
    method: fc.constant("tools/call"),
    params: fc.constantFrom<unknown>({}, { name: "nope" }, { name: 5 }, [1]),
  }),
  fc.record({
    method: fc.constantFrom("ping", "tools/list", "resources/list", "prompts/list", "nope/never", "logging/setLevel"),
    params: fc.constantFrom<unknown>(
      undefined,
      {},
      { _meta: {} },
      { _meta: { progressToken: 1.5 } },
      { _meta: 3 },
      { level: "info" },
    ),
  }),
);

const request = fc.tuple(id, call).map(([requestId, { method, params }]) => ({
  jsonrpc: "2.0",
  id: requestId,
  method,
  ...(params !== undefined && { params }),
}));

const notification = fc
  .record({
    method: fc.constantFrom("notifications/initialized", "notifications/progress", "notifications/nope"),
    params: fc.constantFrom<unknown>(undefined, {}, { progressToken: 1, progress: 2 }, "text"),
  })
  .map(({ method, params }) => ({ jsonrpc: "2.0", method, ...(params !== undefined && { params }) }));

const response = fc.oneof(
  fc.record({ jsonrpc: fc.constant("2.0"), id, result: fc.constantFrom<unknown>({}, { a: 1 }, "text", { _meta: {} }) }),
  fc.record({
    jsonrpc: fc.constant("2.0"),
    id,
    error: fc.constantFrom<unknown>({ code: 1, message: "no" }, { code: "1", message: "no" }, { code: 1 }, 5),
  }),
);

const clientInfo = { name: "generated", version: "1.0.0" };

const initialize = fc
  .tuple(
    fc.integer({ min: 0, max: 99 }),
    fc.oneof(
      {
        weight: 3,
        arbitrary: fc
          .constantFrom("2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05", "1999-01-01")
          .map((protocolVersion): unknown => ({ protocolVersion, capabilities: {}, clientInfo })),
      },
      {
        weight: 1,
        arbitrary: fc.constantFrom<unknown>(
          {},
          { protocolVersion: "2025-11-25" },
          { protocolVersion: 5, capabilities: {}, clientInfo },
          { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "x" } },
          { protocolVersion: "2025-11-25", capabilities: [], clientInfo },
        ),
      },
    ),
  )
  .map(([requestId, params]) => ({ jsonrpc: "2.0", id: requestId, method: "initialize", params }));

/** Messages with a field too many, or of another JSON-RPC. */
const spoilt = fc
  .tuple(
    fc.oneof(request, notification, response),
    fc.constantFrom({ jsonrpc: "1.0" }, { extra: 1 }, { jsonrpc: 2 }, { result: {} }),
  )
  .map(([message, fault]) => ({ ...message, ...fault }));

const message = fc.oneof(
  { weight: 5, arbitrary: request },
  { weight: 2, arbitrary: notification },
  { weight: 1, arbitrary: response },
  { weight: 2, arbitrary: initialize },
  { weight: 1, arbitrary: spoilt },
);

const body = fc.oneof(
  { weight: 8, arbitrary: message.map((value) => JSON.stringify(value)) },
  { weight: 2, arbitrary: fc.array(message, { maxLength: 4 }).map((value) => JSON.stringify(value)) },
  { weight: 1, arbitrary: request.map((value) => JSON.stringify([value, value])) },
  { weight: 1, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.constantFrom("", "{", "null", "[[]]", "[1]", '{"jsonrpc":"2.0"}', "\u0000") },
  {
    weight: 1,
    arbitrary: fc.constant(JSON.stringify(Array(101).fill({ jsonrpc: "2.0", method: "notifications/nope" }))),
  },
);

const both = "application/json, text/event-stream";

/** Mostly right, for otherwise the first check would answer everything. */
function mostly<T>(right: T, ...wrong: T[]): fc.Arbitrary<T> {
  return fc.oneof({ weight: 9, arbitrary: fc.constant(right) }, { weight: 1, arbitrary: fc.constantFrom(...wrong) });
}

export const generatedRequest: fc.Arbitrary<GeneratedRequest> = fc
  .record({
    method: fc.oneof(
      { weight: 14, arbitrary: fc.constant("POST") },
      { weight: 3, arbitrary: fc.constant("GET") },
      { weight: 1, arbitrary: fc.constantFrom("DELETE", "PUT", "PATCH", "OPTIONS") },
    ),
    revision: fc.constantFrom("2025-11-25", "2025-03-26", "2025-06-18"),
    session: fc.oneof(
      { weight: 12, arbitrary: fc.constant("live" as const) },
      { weight: 3, arbitrary: fc.constant("none" as const) },
      { weight: 2, arbitrary: fc.constantFrom("unknown" as const, "malformed" as const, "twice" as const) },
    ),
    accept: mostly<string | undefined>(both, undefined, "*/*", "application/json", "text/event-stream", "text/html"),
    contentType: mostly<string | undefined>(
      "application/json",
      "application/json; charset=utf-8",
      "text/plain",
      "application/jsonx",
      "Application/JSON",
      undefined,
    ),
    version: mostly<string | undefined>(
      "2025-03-26",
      undefined,
      "2025-11-25",
      "2025-06-18",
      "1999-01-01",
      "2026-07-28",
    ),
    lastEventId: mostly<string | undefined>(undefined, "s-0", "nonsense", "c1-1"),
    body,
  })
  .map((generated) => {
    const hasBody = generated.method === "POST" || generated.method === "PUT" || generated.method === "PATCH";
    return { ...generated, body: hasBody ? generated.body : undefined };
  });
