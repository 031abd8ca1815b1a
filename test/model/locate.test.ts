import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Knowledge, type Location, locate } from "../../src/model/locate.ts";

const owner = { tag: "k3f9q2", incarnation: "one" };

const cases: readonly [name: string, known: Knowledge, goes: Location][] = [
  ["a session held here is served here", { local: true }, { kind: "here" }],
  ["one held here is served here whatever else is said", { local: true, registry: "none" }, { kind: "here" }],
  ["the registry is asked only when this node knows nothing", { local: false }, { kind: "ask-registry" }],
  ["a closed one is refused without asking", { local: false, ended: "closed" }, { kind: "refuse", reason: "closed" }],
  ["an expired one too", { local: false, ended: "expired" }, { kind: "refuse", reason: "expired" }],
  ["one whose server ended too", { local: false, ended: "server-gone" }, { kind: "refuse", reason: "server-gone" }],
  ["nobody knows it", { local: false, registry: "none" }, { kind: "refuse", reason: "unknown" }],
  [
    "its owner is up elsewhere",
    { local: false, registry: { owner, ownerIsUp: true } },
    { kind: "refuse", reason: "misrouted", owner },
  ],
  [
    "its owner is gone",
    { local: false, registry: { owner, ownerIsUp: false } },
    { kind: "refuse", reason: "owner-gone", owner },
  ],
  [
    "a registry that doesn't answer is no proof that a session is gone",
    { local: false, registry: "unreachable" },
    { kind: "refuse", reason: "misrouted" },
  ],
];

describe("where a request goes", () => {
  test.each(cases)("%s", (_name, known, goes) => {
    expect(locate(known)).toEqual(goes);
  });

  test("once the registry has answered, it is never asked again", () => {
    const knowledge = fc.record({
      local: fc.boolean(),
      ended: fc.constantFrom("closed" as const, "expired" as const, "server-gone" as const, undefined),
      registry: fc.oneof(
        fc.constantFrom("none" as const, "unreachable" as const),
        fc.boolean().map((ownerIsUp) => ({ owner, ownerIsUp })),
      ),
    });
    fc.assert(fc.property(knowledge, (known) => locate(known).kind !== "ask-registry"));
  });
});
