import { describe, expect, test } from "vitest";
import { type RefusalReason, refusalBody } from "../../src/model/refusal.ts";

const table: readonly [reason: RefusalReason, id: null | 7, next: "initialize" | "retry"][] = [
  ["unknown", null, "initialize"],
  ["closed", null, "initialize"],
  ["expired", null, "initialize"],
  ["owner-gone", null, "initialize"],
  ["server-gone", null, "initialize"],
  ["misrouted", 7, "retry"],
];

describe("the body of a refusal", () => {
  test.each(table)("%s: id %s, next %s", (reason, id, next) => {
    const body = refusalBody(reason, 7);
    expect(body).toMatchObject({ jsonrpc: "2.0", id, error: { code: -32001, data: { reason, next } } });
    expect(Object.keys(body.error.data)).toEqual(["reason", "next"]);
  });

  test.each(table)("%s: the message says what happened and what to do", (reason, _id, next) => {
    const { message } = refusalBody(reason, 7).error;
    expect(message).toMatch(next === "retry" ? /Send the request again/ : /Send initialize to begin a new session/);
    expect(message).toMatch(/^Session not (found|reachable): /);
  });
});
